"""``torch-gptff compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torch_gptff.cli.sources import ReaderOptions
from torch_gptff.cli.train import Accelerator, Divide, changed, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_gptff.training.config import TrainingConfig

TEST_FRACTION = 0.1
"""Share of the frames held out for errors, where no test frames are named."""


def compare(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the comparison.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="Files or folders of frames; or --config names them.", show_default=False),
    ] = None,
    models: Annotated[
        str, typer.Option("--models", metavar="NAMES", help="Names of models, separated by commas.")
    ] = "gptff,schnet,dimenet++,visnet",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="YAML", help="Settings of a training run; its model is ignored.", show_default=False
        ),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Preset of settings, without --config.")] = "small-data",
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Number of passes over the data.", min=1, show_default=False)
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option("--validation", help="Validation frames, by which the best epoch is chosen.", show_default=False),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option("--test", help="Test frames, for the errors; by default a tenth of DATA.", show_default=False),
    ] = None,
    split: Annotated[
        Divide | None,
        typer.Option("--split", help="How frames are held out where no files are named.", show_default=False),
    ] = None,
    option: ReaderOptions = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the models in DIR, and train the others.")] = False,
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
    from torch_gptff.cli.output import make_console, make_progress, print_line, print_table
    from torch_gptff.comparison import compare as compare_models
    from torch_gptff.report import Table

    if config is None and not data:
        raise typer.BadParameter("name the data, or settings that name them (--config)", param_hint="DATA")
    contenders = configurations(
        _settings(config, preset, data, validation, test, split, epochs, option), models, set or ()
    )
    places = {label: f"{number}/{len(contenders)}" for number, label in enumerate(contenders, start=1)}
    console = make_console()
    with make_progress(console) as progress:
        task = progress.add_task("reading data")

        def show(label: str, what: str) -> None:
            progress.update(task, description=f"{places[label]} {label}: {what}")

        comparison = compare_models(contenders, out, accelerator=accelerator, resume=resume, progress=show)
    models_of = [(model.label, model) for model in comparison.models]
    print_table(console, Table.of(models_of, comparison.models[0].columns, "model"))
    counts = comparison.counts
    print_line(console, f"errors on {counts['frames']:,} {comparison.part} frames -> {out / 'comparison.html'}")


def _settings(
    config: Path | None,
    preset: str,
    data: Sequence[str] | None,
    validation: Sequence[str] | None,
    test: Sequence[str] | None,
    split: str | None,
    epochs: int | None,
    options: Sequence[str] | None,
) -> TrainingConfig:
    """Settings of all models: those of a file or a preset, changed by the options.

    Raises:
        ConfigError: a value out of range, no such preset, or a file that is no configuration.
        FileNotFoundError: no such file.
    """
    from dataclasses import replace

    from torch_gptff.training.config import TrainingConfig

    base = TrainingConfig.preset(preset) if config is None else TrainingConfig.from_yaml(config)
    of_data: dict[str, Any] = {
        "train": sources(data, options),
        "validation": sources(validation, options),
        "test": sources(test, options),
        "split": split,
        "test_fraction": TEST_FRACTION if config is None and not test else None,
    }
    given = {key: value for key, value in of_data.items() if value}
    return base.changed(data=replace(base.data, **given), epochs=epochs or base.epochs)


def configurations(shared: TrainingConfig, models: str, changes: Sequence[str]) -> dict[str, TrainingConfig]:
    """A configuration for each model, by its name.

    Args:
        shared: of all
        models: their names, with commas
        changes: ``KEY=VALUE``, where the key is one of ``shared``, or that of a model after its name

    Raises:
        ConfigError: no such model, or a setting that does not exist or is out of range.
        typer.BadParameter: a change without a value, or no models.
    """
    from torch_gptff.errors import ConfigError
    from torch_gptff.models import build_model
    from torch_gptff.training.config import ModelSettings

    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise typer.BadParameter(f"{models!r}: name models, each once", param_hint="--models")
    own: dict[str, list[str]] = {name: [] for name in names}
    of_all = []
    for change in changes:
        name, _, rest = change.partition(".")
        if name in own:
            own[name].append(f"model.config.{rest}")
        else:
            of_all.append(change)
    shared = changed(shared, of_all)
    contenders = {}
    for name in names:
        config = changed(shared.changed(model=ModelSettings(name=name)), own[name])
        try:
            build_model(name, config.model.config)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
        contenders[name] = config
    return contenders
