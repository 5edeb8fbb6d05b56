"""``torch-gptff cooldown``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.train import Accelerator, Devices, Nodes, NoReport, Out, Resume, Set, changed, run_training


def cooldown(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run with a constant rate.", show_default=False)
    ],
    out: Out,
    epochs: Annotated[int, typer.Option("--epochs", help="Number of passes over the data.", min=1)] = 1,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Take weights from a run with a constant learning rate: train on from its latest state while the rate falls.

    The run in RUN (optimizer.schedule: constant) is only read: it may go on meanwhile, or be resumed later. Where
    energies matter most, let them weigh more in this last stage: --set loss.energy=20.
    """
    from dataclasses import replace

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
    run_training(changed(falling, set), out, resume, devices, nodes, accelerator, not no_report)
