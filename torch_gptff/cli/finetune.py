"""``torch-gptff finetune``."""

from __future__ import annotations

from typing import Annotated

import typer

from torch_gptff.cli.sources import ReaderOptions
from torch_gptff.cli.train import (
    Accelerator,
    Devices,
    Divide,
    Nodes,
    NoReport,
    Out,
    Resume,
    Set,
    changed,
    run_training,
    sources,
)


def finetune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint, by name or path.", show_default=False)],
    data: Annotated[list[str], typer.Argument(metavar="DATA", help="Files or folders of frames.", show_default=False)],
    out: Out,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Number of passes over the data.", min=1, show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Preset of settings.")] = "fine-tune",
    validation: Annotated[
        list[str] | None,
        typer.Option("--validation", help="Validation frames, by which the best model is chosen.", show_default=False),
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", help="Test frames, for the errors at the end.", show_default=False)
    ] = None,
    split: Annotated[
        Divide, typer.Option("--split", help="How frames are held out where no files are named.")
    ] = "random",
    option: ReaderOptions = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option("--freeze", help="Do not train parameters whose names begin with this.", show_default=False),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Give a published GPTFF the recommended readout and envelope first.")
    ] = False,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            "--replay",
            metavar="NAME|FILE",
            help="Frames to mix in, against forgetting: of the earlier training, or [bold]universal[/bold], known "
            "crystals that MODEL itself labels first.",
            show_default=False,
        ),
    ] = None,
    lora: Annotated[
        int,
        typer.Option(
            "--lora", metavar="RANK", help="Train updates of this rank to the weights; 0: all parameters.", min=0
        ),
    ] = 0,
    layer_decay: Annotated[
        float,
        typer.Option(
            "--layer-decay", metavar="FACTOR", help="Factor of the learning rate from a layer to the one before it."
        ),
    ] = 1.0,
    resume: Resume = False,
    set: Set = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    no_report: NoReport = False,
) -> None:
    """Train a checkpoint further, on data of one's own.

    Element energies are fitted to the new data first, so that another reference of energies does no harm. The best
    model is DIR/best.safetensors.
    """
    from dataclasses import replace

    from torch_gptff.training.config import DataSettings, ModelSettings, TrainingConfig

    base = TrainingConfig.preset(preset)
    config = replace(
        base,
        model=ModelSettings(
            checkpoint=model, repair=repair, freeze=tuple(freeze or ()), lora=lora, layer_decay=layer_decay
        ),
        data=DataSettings(
            train=sources(data, option),
            validation=sources(validation, option),
            test=sources(test, option),
            replay=sources(replay),
            split=split,
        ),
        epochs=epochs or base.epochs,
    )
    run_training(changed(config, set), out, resume, devices, nodes, accelerator, not no_report)
