"""``torch-gptff lammps``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lammps(
    context: typer.Context,
    script: Annotated[
        Path,
        typer.Argument(
            metavar="IN.lmp",
            exists=True,
            dir_okay=False,
            help="A script of LAMMPS with [bold]pair_style gptff[/bold] and [bold]pair_coeff * * MODEL Na Cl[/bold].",
            show_default=False,
        ),
    ],
    ranks: Annotated[int, typer.Option("--ranks", min=1, help="Number of processes that share the atoms.")] = 1,
) -> None:
    """Run a script of LAMMPS. Arguments that are not listed here go to LAMMPS, such as [bold]-var T 300[/bold]."""
    from torch_gptff.calculators.lammps.start import start

    code = start(script, ranks, context.args)
    if code:
        raise typer.Exit(code)


def lammps_plugin(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to write gptffplugin.so to.", show_default=False)
    ],
    headers: Annotated[
        Path,
        typer.Option(
            "--headers",
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Headers of your LAMMPS: its folder [bold]src[/bold], or where they are installed.",
            show_default=False,
        ),
    ],
) -> None:
    """Build [bold]pair_style gptff[/bold] for a LAMMPS of your own, compiled with its package PLUGIN.

    Set CXX to the compiler that LAMMPS was compiled with, such as [bold]mpicxx[/bold], and CXXFLAGS to its flags.
    """
    from torch_gptff.calculators.lammps.build import build_plugin
    from torch_gptff.cli.output import make_console

    file = build_plugin(folder, headers)
    make_console().print(f"{file}: start LAMMPS with LAMMPS_PLUGIN_PATH={file.parent.resolve()}")
