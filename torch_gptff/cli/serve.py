"""``torch-gptff serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL


def serve(
    model: options.Model = DEFAULT_MODEL,
    reference: options.Reference = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            file_okay=False,
            help="Folder of files and results, the only one that is written to. By default a temporary one, which is "
            "deleted at the end.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes one that is free.", min=0, max=65535)] = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen on. By default only programs on this machine reach the page.")
    ] = "127.0.0.1",
    atoms: Annotated[int, typer.Option(help="Largest number of atoms of a structure.", min=1)] = 1000,
    megabytes: Annotated[float, typer.Option(help="Largest size of a file, MB.", min=0.001, max=1000)] = 10.0,
    minutes: Annotated[float, typer.Option(help="Largest computing time of a job, min.", min=0.01)] = 60.0,
    waiting: Annotated[int, typer.Option(help="Largest number of jobs that wait.", min=1, max=100)] = 20,
    device: options.Device = None,
) -> None:
    """A page to work in: drop a structure file, relax it or move its atoms, and watch.

    The page is for a browser on this machine, at the address that is printed, which has a secret token. One process
    computes; other jobs wait for it. Stop the server with Ctrl-C.
    """
    from torch_gptff.cli.errors import tell
    from torch_gptff.cli.output import make_console, print_line
    from torch_gptff.cli.serving import WORKER, kinds
    from torch_gptff.serve.guard import is_loopback
    from torch_gptff.serve.limits import Limits
    from torch_gptff.serve.server import serve as run

    console = make_console()
    if not is_loopback(host):
        tell(
            "warning",
            f"--host {host}: other machines can reach the page, and what is sent is not encrypted: whoever reads the "
            "address on its way can compute here; a tunnel is safer: ssh -L 8000:127.0.0.1:PORT",
        )
    named = str(Path(model).resolve()) if Path(model).exists() else model
    given = {"--model": named, "--reference": reference, "--device": device}
    words = [word for name, value in given.items() if value is not None for word in (name, value)]

    def show(address: str) -> None:
        print_line(console, f"open {address}")
        print_line(console, "Ctrl-C stops the server")

    run(
        kinds(),
        Limits(megabytes, atoms, minutes, waiting),
        WORKER,
        words,
        host=host,
        port=port,
        folder=folder,
        tell=show,
    )
