"""What the commands that train have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from torch_gptff.cli.dataset_options import parsed
from torch_gptff.cli.errors import tell_notes
from torch_gptff.cli.output import make_console, print_line
from torch_gptff.errors import ConfigError
from torch_gptff.training.config import SourceSettings, TrainingConfig, merged, yaml_value


def sources(paths: Sequence[str] | None, options: Sequence[str] | None = None) -> tuple[SourceSettings, ...]:
    """Paths as sources of frames, all with these options of their readers; those of one name are numbered."""
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


def run(config: TrainingConfig, out: Path, resume: bool, devices: int, accelerator: str, report: bool) -> None:
    """Train, show how it goes, and say what came of it."""
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
        accelerator=accelerator,
        callbacks=[ShowProgress(console)],
        report=report,
    )
    if result.evaluation is not None:
        from torch_gptff.cli.evaluations import print_evaluation

        print_line(console, f"the best model, on the {result.part} frames:")
        print_evaluation(console, result.evaluation, by_element=False)
    print_line(console, f"{result.epochs} epochs, {result.seconds:.0f} s -> {result.best}")
