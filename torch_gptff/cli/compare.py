"""``torch-gptff compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.dataset_options import ReaderOptions
from torch_gptff.cli.train import Accelerator, Divide


def compare(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder of the comparison.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="Files or folders of frames; or --config names them.", show_default=False),
    ] = None,
    models: Annotated[
        str, typer.Option("--models", metavar="NAMES", help="Names of models, with commas.")
    ] = "gptff,schnet,dimenet++,visnet",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="YAML", help="Settings of a training run; its model is passed over.", show_default=False
        ),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Settings to start from, without --config.")] = "small-data",
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the data.", min=1, show_default=False)
    ] = None,
    validation: Annotated[
        list[str] | None, typer.Option("--validation", help="Frames that choose the best epoch.", show_default=False)
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option("--test", help="Frames that errors are of; by default a tenth of DATA.", show_default=False),
    ] = None,
    split: Annotated[
        Divide | None,
        typer.Option("--split", help="How frames are held out where none are named.", show_default=False),
    ] = None,
    option: ReaderOptions = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the models that DIR has, and go on with the others.")
    ] = False,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of all, [bold]optimizer.lr=1e-3[/bold], or of one model, "
            "[bold]schnet.hidden_channels=64[/bold].",
            show_default=False,
        ),
    ] = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Train several models on the same frames with the same settings; compare errors, time and memory.

    DIR receives a table and plots (comparison.html, .json, .png, .svg), and a folder for the run of each model.
    """
    from torch_gptff.cli.comparisons import configurations, print_comparison, settings, watched
    from torch_gptff.cli.output import make_console

    if config is None and not data:
        raise typer.BadParameter("name the data, or settings that name them (--config)", param_hint="DATA")
    how = None if split is None else split.value
    shared = settings(config, preset, data, validation, test, how, epochs, option)
    contenders = configurations(shared, models, set or ())
    console = make_console()
    comparison = watched(console, contenders, out, accelerator, resume)
    print_comparison(console, comparison, out)
