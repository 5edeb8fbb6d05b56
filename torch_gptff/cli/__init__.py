"""The command line, ``torch-gptff``. A command imports what it needs when it runs, so that help is at hand at once."""

from __future__ import annotations

from typing import Annotated

import typer

from torch_gptff import __version__
from torch_gptff.cli import dataset
from torch_gptff.cli.compare import compare
from torch_gptff.cli.convert import convert
from torch_gptff.cli.cooldown import cooldown
from torch_gptff.cli.diffraction import diffraction
from torch_gptff.cli.diffusion import diffusion
from torch_gptff.cli.distill import distill
from torch_gptff.cli.elastic import elastic
from torch_gptff.cli.eos import eos
from torch_gptff.cli.eos_benchmark import eos_benchmark
from torch_gptff.cli.errors import ReportingGroup
from torch_gptff.cli.evaluate import evaluate
from torch_gptff.cli.finetune import finetune
from torch_gptff.cli.hull import hull
from torch_gptff.cli.info import info
from torch_gptff.cli.kappa import kappa
from torch_gptff.cli.lammps import lammps, lammps_plugin
from torch_gptff.cli.md import md
from torch_gptff.cli.neb import neb
from torch_gptff.cli.phonons import phonons
from torch_gptff.cli.predict import predict
from torch_gptff.cli.qha import qha
from torch_gptff.cli.rank import rank
from torch_gptff.cli.relax import relax
from torch_gptff.cli.screen import screen
from torch_gptff.cli.serve import serve
from torch_gptff.cli.surface import surface
from torch_gptff.cli.train import train
from torch_gptff.cli.vacancy import vacancy

app = typer.Typer(
    name="torch-gptff",
    cls=ReportingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(predict, relax, eos, eos_benchmark, elastic, phonons, qha, kappa),
    *(vacancy, surface, neb, hull, rank),
    *(md, diffusion, diffraction),
    *(train, finetune, cooldown, distill, evaluate, compare),
    *(serve, screen, lammps_plugin),
    *(info, convert),
):
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(lammps)
app.add_typer(dataset.app, name="dataset")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"torch-gptff {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="TORCH_GPTFF_DEBUG", help="Show where an error comes from.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """GPTFF: energy, forces and stress of crystals, from their structure files."""
