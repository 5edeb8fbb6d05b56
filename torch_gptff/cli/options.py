"""Arguments and options that several commands share, and what they stand for: a device, a model, a new file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from torch_gptff.errors import ExistingResultsError

if TYPE_CHECKING:
    import torch

    from torch_gptff.potential import Potential


Output = TypeVar("Output", Path, str, None)


def new_file(context: typer.Context, parameter: typer.CallbackParam, value: Output) -> Output:
    """The callback of an option that names a file to write: the file is kept for this process until its command ends.

    Raises:
        ExistingResultsError: there is such a file, and neither ``--overwrite`` nor ``--resume`` is given; or another
            process is writing it.
    """
    if value is not None and value != "-":
        option = parameter.opts[0] if parameter.opts[0].startswith("-") else "the file"
        require_new(context, Path(value), option)
        claim_file(context, Path(value))
    return value


def require_new(context: typer.Context, path: Path, option: str) -> None:
    """Refuse an output that is there already, unless it is to be replaced or gone on with.

    Raises:
        ExistingResultsError: says what can be done.
    """
    is_there = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if is_there and not (context.params.get("overwrite") or context.params.get("resume")):
        raise ExistingResultsError(f"{option} {path} is there already; {choices(context)}")


def choices(context: typer.Context) -> str:
    """Advice about existing results, by the options of a command."""
    has = {parameter.name for parameter in context.command.params}
    said = {"overwrite": "--overwrite replaces it", "resume": "--resume goes on with it"}
    return ", ".join([text for name, text in said.items() if name in has] + ["or name another place"])


def claim_file(context: typer.Context, path: Path) -> None:
    """Keep other processes from writing a file until the command ends."""
    from torch_gptff.io.files import claimed

    context.with_resource(claimed(path))


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
        help="Reference of the energies: one of the sources that [bold]torch-gptff info[/bold] lists.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", help="Device: [bold]cpu[/bold], [bold]cuda[/bold], ... The default is the GPU, where there is one."
    ),
]
DType = Literal["float32", "float64"]
Precision = Annotated[DType, typer.Option("--dtype", help="Floating-point precision of the model.")]
AllowClose = Annotated[
    bool,
    typer.Option("--allow-close", help="Accept atoms closer than a third of the sum of their covalent radii."),
]
Formulas = Annotated[
    Path | None,
    typer.Option(
        "--formulas",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Compute only materials with the reduced formulas in this file, one on each line.",
        show_default=False,
    ),
]
Dispersion = Annotated[
    bool,
    typer.Option("--d3", help="Add the D3(BJ) dispersion of PBE, which the training data of a model must lack."),
]
RelaxFirst = Annotated[
    bool, typer.Option("--relax/--as-given", help="Relax positions and cell first, or take structures as given.")
]
Supercell = Annotated[
    tuple[int, int, int] | None,
    typer.Option("--supercell", help="Repetitions of the cell along its vectors.", metavar="N N N", show_default=False),
]
MinLength = Annotated[
    float,
    typer.Option(
        "--min-length",
        help="Smallest distance between opposite faces of the supercell, where none is given, Å.",
        min=1,
    ),
]
Displacement = Annotated[float, typer.Option(help="Displacement of an atom, Å.", min=1e-5, max=0.5)]
SmallestVolume = Annotated[
    float, typer.Option("--from", metavar="RATIO", help="Smallest volume, divided by that of the structure.", min=0.05)
]
LargestVolume = Annotated[
    float, typer.Option("--to", metavar="RATIO", help="Largest volume, divided by that of the structure.", max=20)
]
VolumeCount = Annotated[int, typer.Option(help="Number of volumes.", min=5)]
ForceLimit = Annotated[float, typer.Option(help="Largest force after a relaxation, eV/Å.", min=0)]
MaxSteps = Annotated[int, typer.Option("--max-steps", help="Maximum number of relaxation steps.", min=0)]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="OUT", help="JSON file of all results, updated after each structure.", callback=new_file
    ),
]
JsonAtTheEnd = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT", help="JSON file of all results.", callback=new_file),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="OUT", help="HTML file of a report with figures.", callback=new_file),
]
CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", metavar="OUT", help="CSV file of the numbers, with all their digits.", callback=new_file),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.", is_eager=True)]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Keep the results in the file of --json, and compute the others.", is_eager=True),
]


def element_and_number(text: str, option: str) -> tuple[str, float]:
    """``"Li=1"`` as an element and a number.

    Raises:
        typer.BadParameter: the text is something else.
    """
    element, _, value = text.partition("=")
    try:
        return element, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text} is not an element and a number, Li=1", param_hint=option) from None


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


def load_potential(model: str, device: str | None, dtype: DType, reference: str | None = None) -> Potential:
    """A potential by name or path, on a device and in a precision, and with the reference of one of its sources.

    Raises:
        typer.BadParameter: the device cannot be used.
        CheckpointError, DownloadError, UnknownReferenceError: see :func:`torch_gptff.load_pretrained`.
    """
    import torch

    from torch_gptff.io import load_pretrained

    where = chosen_device(device)
    return load_pretrained(model, reference).to(where, getattr(torch, dtype))
