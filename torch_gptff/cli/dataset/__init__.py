"""``torch-gptff dataset``: commands that work on labelled data, one file each."""

from __future__ import annotations

import typer

from torch_gptff.cli.dataset.convert import convert
from torch_gptff.cli.dataset.inspect import inspect
from torch_gptff.cli.dataset.split import split

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Inspect, store and split data with energies, forces and stresses.",
)
for command in (inspect, convert, split):
    app.command()(command)
