"""``torch-gptff train`` and ``torch-gptff finetune``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="The folder of the run: models, figures, logs, report.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR, as if it had never stopped.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting: [bold]optimizer.lr=1e-3[/bold], [bold]data.workers=4[/bold], ...",
        show_default=False,
    ),
]
Devices = Annotated[int, typer.Option("--devices", help="Processes that share the work.", min=1)]
Accelerator = Annotated[
    str, typer.Option("--accelerator", help="[bold]cpu[/bold], [bold]gpu[/bold] or [bold]auto[/bold].")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out the evaluation and the report at the end.")]


class Divide(str, Enum):
    """How frames are held out."""

    material = "material"
    random = "random"
    given = "given"


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file of settings.", show_default=False)],
    out: Out,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Train a model as a configuration says.

    DIR receives the best model (best.safetensors), the state to resume from, a line of figures for every epoch
    (metrics.csv), logs for TensorBoard, the evaluation of the best model on frames held out, and report.html.
    """
    from torch_gptff.cli.training import changed, run
    from torch_gptff.training.config import TrainingConfig

    run(changed(TrainingConfig.from_yaml(config), set), out, resume, devices, accelerator, not no_report)


def finetune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint, by name or path.", show_default=False)],
    data: Annotated[list[str], typer.Argument(metavar="DATA", help="Files or folders of frames.", show_default=False)],
    out: Out,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the data.", min=1, show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Settings to start from.")] = "fine-tune",
    validation: Annotated[
        list[str] | None, typer.Option("--validation", help="Frames that choose the best model.", show_default=False)
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", help="Frames that it is measured on at the end.", show_default=False)
    ] = None,
    split: Annotated[
        Divide, typer.Option("--split", help="How frames are held out where none are named.")
    ] = Divide.random,
    freeze: Annotated[
        list[str] | None,
        typer.Option("--freeze", help="Keep parameters whose names begin so as they are.", show_default=False),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Give a published GPTFF the recommended readout and envelope first.")
    ] = False,
    replay: Annotated[
        list[str] | None, typer.Option("--replay", help="Older frames to mix in, against forgetting.")
    ] = None,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Train a checkpoint further, on data of one's own.

    Element energies are fitted to the new data first, so that another reference of energies does no harm. The best
    model is DIR/best.safetensors.
    """
    from dataclasses import replace

    from torch_gptff.cli.training import changed, run, sources
    from torch_gptff.training.config import DataSettings, ModelSettings, TrainingConfig

    base = TrainingConfig.preset(preset)
    config = replace(
        base,
        model=ModelSettings(checkpoint=model, repair=repair, freeze=tuple(freeze or ())),
        data=DataSettings(
            train=sources(data),
            validation=sources(validation),
            test=sources(test),
            replay=sources(replay),
            split=split.value,
        ),
        epochs=epochs or base.epochs,
    )
    run(changed(config, set), out, resume, devices, accelerator, not no_report)
