"""What ``torch-gptff distill`` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from torch_gptff.cli.contacts import checked
from torch_gptff.cli.options import chosen_device
from torch_gptff.cli.output import make_console, make_progress, print_line
from torch_gptff.training.distillation import DistillationSettings


@dataclass(frozen=True)
class Student:
    """What is trained in the end.

    Attributes:
        preset: of :class:`~torch_gptff.training.TrainingConfig`
        changes: to it, as ``"optimizer.lr=1e-3"``
    """

    preset: str
    changes: tuple[str, ...]


def options(**values: Any) -> DistillationSettings:
    """The settings of a distillation.

    Raises:
        ConfigError: a value is out of range.
    """
    return DistillationSettings(**values)


def parsed_arguments(text: str | None) -> dict[str, Any]:
    """``'{"asap_cutoff": true}'`` as keyword arguments.

    Raises:
        typer.BadParameter: it is no JSON object.
    """
    try:
        values = json.loads(text or "{}")
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not JSON: {error}", param_hint="--teacher-arguments") from error
    if not isinstance(values, dict):
        raise typer.BadParameter(f"{text} is no JSON object", param_hint="--teacher-arguments")
    return values


def parsed_temperatures(text: str) -> tuple[float, ...]:
    """``"300,1000"`` as numbers.

    Raises:
        typer.BadParameter: one is no number.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}", param_hint="--temperatures") from error


def make(
    seeds: Sequence[str],
    teacher: str,
    arguments: dict[str, Any],
    out: Path,
    settings: DistillationSettings,
    select_by: Sequence[str],
    keep: int | None,
    extxyz: bool,
    student: Student | None,
    device: str | None,
    allow_close: bool = False,
) -> None:
    """Make the dataset, say what it covers and, where it is asked for, train a student on it."""
    console = make_console()
    where = str(chosen_device(device))
    with console.status("loading"):
        from torch_gptff.cli.training import changed, run
        from torch_gptff.io import load_pretrained
        from torch_gptff.training.config import SourceSettings, TrainingConfig
        from torch_gptff.training.distillation import distill, make_teacher, read_seeds

        config = None if student is None else changed(TrainingConfig.preset(student.preset), student.changes)
        started = read_seeds(seeds)
        for _ in checked((seed.atoms for seed in started), ", ".join(seeds), allow_close):
            pass
        made = make_teacher(teacher, arguments, where)
        students = [load_pretrained(model).to(where) for model in select_by]
    with make_progress(console) as progress:
        task = progress.add_task("")

        def tell(what: str, done: int, of: int) -> None:
            progress.update(task, description=f"{what}: part {done + 1} of {of}")

        result = distill(started, made, out, settings, students=students, keep=keep, extxyz=extxyz, progress=tell)
    for line in str(result.coverage).splitlines():
        print_line(console, line)
    print_line(console, f"-> {result.dataset}")
    if config is not None:
        folder = out / "student"
        config = replace(
            config, data=replace(config.data, train=(SourceSettings(str(result.dataset), name=made.name),))
        )
        run(config, folder, resume=folder.exists(), devices=1, accelerator="auto", report=True)
