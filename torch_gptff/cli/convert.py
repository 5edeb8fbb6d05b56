"""``torch-gptff convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli import options


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN.pth", help="A published GPTFF checkpoint.", show_default=False)],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT.safetensors", help="File to write.", show_default=False, callback=options.new_file),
    ],
    overwrite: options.Overwrite = False,
) -> None:
    """Turn a published checkpoint into a safetensors file of this package."""
    if target.suffix != ".safetensors":
        raise typer.BadParameter(f"{target} must end in .safetensors", param_hint="OUT.safetensors")
    from torch_gptff.io import load_published, save

    potential = load_published(source)
    save(potential, target)
    typer.echo(f"{source} -> {target}: {potential.model!r}")
