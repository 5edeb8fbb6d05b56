"""``torch-gptff train``, ``cooldown`` and ``finetune``."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.dataset_options import ReaderOptions

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


def cooldown(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run with a constant rate.", show_default=False)
    ],
    out: Out,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the data.", min=1)] = 1,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Take weights from a run with a constant learning rate: train on from its latest state while the rate falls.

    The run in RUN (optimizer.schedule: constant) is only read: it may go on meanwhile, or be resumed later. Where
    energies matter most, let them weigh more in this last stage: --set loss.energy=20.
    """
    from torch_gptff.cli.training import changed
    from torch_gptff.cli.training import run as run_training
    from torch_gptff.errors import TrainingError
    from torch_gptff.training.config import TrainingConfig
    from torch_gptff.training.files import CONFIG

    if not (run / CONFIG).is_file():
        raise TrainingError(f"{run} has no {CONFIG}: name the folder that a training has written")
    config = TrainingConfig.from_yaml(run / CONFIG)
    if config.optimizer.schedule != "constant":
        raise TrainingError(
            f"the learning rate of {run} follows optimizer.schedule: {config.optimizer.schedule}, and falls by itself; "
            "only a run with a constant one is cooled down"
        )
    falling = config.changed(optimizer=replace(config.optimizer, schedule="decay"), start=str(run), epochs=epochs)
    run_training(changed(falling, set), out, resume, devices, accelerator, not no_report)


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
    option: ReaderOptions = None,
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
    from torch_gptff.cli.training import changed, run, sources
    from torch_gptff.training.config import DataSettings, ModelSettings, TrainingConfig

    base = TrainingConfig.preset(preset)
    config = replace(
        base,
        model=ModelSettings(checkpoint=model, repair=repair, freeze=tuple(freeze or ())),
        data=DataSettings(
            train=sources(data, option),
            validation=sources(validation, option),
            test=sources(test, option),
            replay=sources(replay),
            split=split.value,
        ),
        epochs=epochs or base.epochs,
    )
    run(changed(config, set), out, resume, devices, accelerator, not no_report)
