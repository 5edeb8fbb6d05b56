"""What ``torch-gptff compare`` does: settings from options, models under way, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from torch_gptff.cli.output import Column, make_progress, print_line, print_table
from torch_gptff.cli.training import changed, sources
from torch_gptff.errors import ConfigError
from torch_gptff.models import build_model
from torch_gptff.report.tables import cells
from torch_gptff.training.comparison import Comparison, compare
from torch_gptff.training.comparison_report import columns, rows
from torch_gptff.training.config import ModelSettings, TrainingConfig

TEST_FRACTION = 0.1


def settings(
    config: Path | None,
    preset: str,
    data: Sequence[str] | None,
    validation: Sequence[str] | None,
    test: Sequence[str] | None,
    split: str | None,
    epochs: int | None,
    options: Sequence[str] | None = None,
) -> TrainingConfig:
    """What all models are trained with: of a file or a preset, with the options that were given.

    Raises:
        ConfigError: a value out of range, no such preset, or a file that is no configuration.
        FileNotFoundError: no such file.
    """
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


def watched(
    console: Console, contenders: Mapping[str, TrainingConfig], out: Path, accelerator: str, resume: bool
) -> Comparison:
    """Compare, with a line that says what is under way."""
    places = {label: f"{number}/{len(contenders)}" for number, label in enumerate(contenders, start=1)}
    with make_progress(console) as progress:
        task = progress.add_task("reading data")

        def show(label: str, what: str) -> None:
            progress.update(task, description=f"{places[label]} {label}: {what}")

        return compare(contenders, out, accelerator=accelerator, resume=resume, progress=show)


def print_comparison(console: Console, comparison: Comparison, out: Path) -> None:
    """The table of mean absolute errors and costs, and where everything is."""
    named = columns()
    table = [[cell.text for cell in row] for row in cells(named, rows(comparison))]
    head = [Column(column.name, column.unit, number=n > 0) for n, column in enumerate(named)]
    print_table(console, head, table)
    counts = comparison.counts
    print_line(console, f"errors on {counts['frames']:,} {comparison.part} frames -> {out / 'comparison.html'}")
