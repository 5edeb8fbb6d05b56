"""``torch-gptff train``, and what the other commands that train have in common with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_gptff.training.config import SourceSettings, TrainingConfig

Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run: models, metrics, logs, report.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in DIR as if it had never stopped.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting: [bold]optimizer.lr=1e-3[/bold], [bold]data.workers=4[/bold], ...",
        show_default=False,
    ),
]
Devices = Annotated[int, typer.Option("--devices", help="Number of processes of a machine that share the work.", min=1)]
Nodes = Annotated[
    int, typer.Option("--nodes", help="Number of machines that share the work, started by SLURM or torchrun.", min=1)
]
Accelerator = Annotated[
    str, typer.Option("--accelerator", help="Device: [bold]cpu[/bold], [bold]gpu[/bold] or [bold]auto[/bold].")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Skip the evaluation and the report at the end.")]


Divide = Literal["material", "random", "given"]
"""Ways to hold out frames."""


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file of settings.", show_default=False)],
    out: Out,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Train a model as a configuration says.

    DIR receives the best model (best.safetensors), the state to resume from, a line of figures for every epoch
    (metrics.csv), logs for TensorBoard, the evaluation of the best model on frames held out, and report.html.
    """
    from torch_gptff.training.config import TrainingConfig

    run_training(
        changed(TrainingConfig.from_yaml(config), set), out, resume, devices, nodes, accelerator, not no_report
    )


def sources(paths: Sequence[str] | None, options: Sequence[str] | None = None) -> tuple[SourceSettings, ...]:
    """Paths as sources of frames, all with these options of their readers; sources of the same name are numbered."""
    from torch_gptff.cli.sources import parsed
    from torch_gptff.training.config import SourceSettings

    of_reader = parsed(options)
    found: list[SourceSettings] = []
    for path in paths or ():
        source = SourceSettings(path)
        alike = sum(SourceSettings(other).title == source.title for other in (paths or ())[: len(found)])
        name = f"{source.title}-{alike + 1}" if alike else None
        found.append(SourceSettings(path, name=name, options=of_reader))
    return tuple(found)


def changed(config: TrainingConfig, assignments: Sequence[str] | None) -> TrainingConfig:
    """A configuration after ``["optimizer.lr=1e-3"]`` and the like.

    Raises:
        typer.BadParameter: there is no ``=`` in one.
        ConfigError: a key is unknown, or a value of another type or out of range.
    """
    from torch_gptff.errors import ConfigError
    from torch_gptff.training.config import TrainingConfig, merged, yaml_value

    table: dict[str, Any] = config.to_dict()
    for assignment in assignments or ():
        key, equals, text = assignment.partition("=")
        if not equals:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--set")
        try:
            value = yaml_value(text)
        except ConfigError as error:
            raise ConfigError(f"--set {assignment}: {error}") from error
        for part in reversed(key.split(".")):
            value = {part: value}
        table = merged(table, value)
    return TrainingConfig.from_dict(table)


def run_training(
    config: TrainingConfig, out: Path, resume: bool, devices: int, nodes: int, accelerator: str, report: bool
) -> None:
    """Train with a progress bar, and print the errors of the best model."""
    from torch_gptff.cli.errors import tell_notes
    from torch_gptff.cli.output import make_console, print_line

    tell_notes()
    console = make_console()
    with console.status("loading data"):
        from torch_gptff.training.progress import ShowProgress
        from torch_gptff.training.run import train
    result = train(
        config,
        out,
        resume=resume,
        devices=devices,
        nodes=nodes,
        accelerator=accelerator,
        callbacks=[ShowProgress(console)],
        report=report,
    )
    if result.evaluation is not None:
        from torch_gptff.cli.evaluate import print_evaluation

        print_line(console, f"the best model, on the {result.part} frames:")
        print_evaluation(console, result.evaluation, by_element=False)
    print_line(console, f"{result.epochs} epochs, {result.seconds:.0f} s -> {result.best}")
