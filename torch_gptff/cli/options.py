"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torch_gptff.cli.existing import new_file

if TYPE_CHECKING:
    import torch


class Corrections(str, Enum):
    """Corrections that energies may be given."""

    none = "none"
    mp2020 = "mp2020"


class DType(str, Enum):
    """Floating-point types that a model may compute in."""

    float32 = "float32"
    float64 = "float64"

    @property
    def torch(self) -> torch.dtype:
        import torch

        return torch.float32 if self is DType.float32 else torch.float64


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILES",
        help="Structure files of any format that ASE or pymatgen reads. Every frame of a file is taken; "
        "[bold]md.xyz@0[/bold], [bold]md.xyz@-1[/bold] or [bold]md.xyz@::10[/bold] takes some.",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="TORCH_GPTFF_MODEL",
        help="A checkpoint: [bold]gptff-universal[/bold], [bold]gptff-v1[/bold], [bold]gptff-v2[/bold], or a path.",
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Give energies in the reference of this source, one of those that [bold]torch-gptff info[/bold] shows.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="[bold]cpu[/bold], [bold]cuda[/bold], ... By default the GPU, where there is one."),
]
Precision = Annotated[DType, typer.Option("--dtype", help="The precision of the model's arithmetic.")]
AllowClose = Annotated[
    bool,
    typer.Option("--allow-close", help="Compute structures with atoms nearer than a third of touching, too."),
]
Formulas = Annotated[
    Path | None,
    typer.Option(
        "--formulas",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Only what has one of these reduced formulas, one on a line: materials that a model never saw.",
        show_default=False,
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="OUT", help="Write all values to a JSON file, anew after each structure.", callback=new_file
    ),
]
JsonAtTheEnd = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT", help="Write all values to a JSON file.", callback=new_file),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="OUT", help="Write a report with pictures as one HTML file.", callback=new_file),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.", is_eager=True)]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Keep the results that the file of --json holds, and go on with the rest.", is_eager=True
    ),
]


def chosen_device(name: str | None) -> torch.device:
    """The device asked for, or the best there is.

    Raises:
        typer.BadParameter: there is no such device, or PyTorch cannot use it here.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise typer.BadParameter(f"{name}: {str(error).splitlines()[0]}", param_hint="--device") from error
