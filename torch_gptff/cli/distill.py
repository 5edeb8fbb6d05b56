"""``torch-gptff distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from torch_gptff.cli import options


def distill(
    seeds: Annotated[
        list[str],
        typer.Argument(
            metavar="SEEDS",
            help="Structures to start from: files of any format that ASE or pymatgen reads ([bold]md.xyz@::10[/bold] "
            "takes some frames), folders of stored datasets, or published datasets by name.",
            show_default=False,
        ),
    ],
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher",
            "-t",
            help="Teacher model: [bold]emt[/bold], [bold]lj[/bold], [bold]chgnet[/bold], [bold]matgl:FOLDER[/bold], "
            "[bold]nequix:FILE[/bold], any ASE calculator as [bold]package.module:Name[/bold], or one of our models "
            "by name or path.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the dataset and the report.")],
    arguments: Annotated[
        str | None,
        typer.Option(
            "--teacher-arguments",
            metavar="JSON",
            help="Arguments of the teacher, as a JSON object.",
            show_default=False,
        ),
    ] = None,
    unchanged: Annotated[
        bool, typer.Option("--unchanged/--no-unchanged", help="Also label each seed as it is.")
    ] = True,
    strained: Annotated[int, typer.Option(help="Number of strained copies of each seed.", min=0)] = 5,
    rattled: Annotated[int, typer.Option(help="Number of rattled copies of each seed.", min=0)] = 5,
    rescaled: Annotated[int, typer.Option(help="Number of copies of each seed with another volume.", min=0)] = 2,
    substituted: Annotated[
        int, typer.Option(help="Number of copies of each seed with one element replaced by a similar one.", min=0)
    ] = 0,
    among: Annotated[
        str | None, typer.Option(help="Elements that may replace another, such as Ag,Au.", show_default=False)
    ] = None,
    collided: Annotated[
        int, typer.Option(help="Number of rattled copies of each seed with two neighbours too close.", min=0)
    ] = 0,
    temperatures: Annotated[
        str, typer.Option(help="Molecular dynamics: temperatures in K, one run each; '' for none.")
    ] = "300,1000",
    md_steps: Annotated[int, typer.Option(help="Molecular dynamics: steps of each run.", min=0)] = 200,
    md_interval: Annotated[int, typer.Option(help="Molecular dynamics: steps between frames.", min=1)] = 50,
    timestep: Annotated[float, typer.Option(help="Molecular dynamics: time step, fs.")] = 1.0,
    min_distance: Annotated[
        float,
        typer.Option(
            help="Frames with atoms closer than this fraction of the sum of their covalent radii are left out."
        ),
    ] = 0.62,
    max_force: Annotated[float, typer.Option(help="Frames with a larger force are left out, eV/Å.")] = 40.0,
    max_stress: Annotated[float, typer.Option(help="Frames with a larger stress are left out, GPa.")] = 144.0,
    seed: Annotated[int, typer.Option(help="Seed of the random copies.", min=0)] = 0,
    select_by: Annotated[
        list[str] | None,
        typer.Option(
            "--select-by",
            metavar="MODEL",
            help="Label only structures on which these models disagree; given once for each, or once for a committee.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="With --select-by: number of structures to label.", min=1, show_default=False)
    ] = None,
    extxyz: Annotated[
        bool, typer.Option("--extxyz", help="Write DIR/frames.extxyz instead of a dataset in LMDB.")
    ] = False,
    train: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="Train a student in DIR/student with this preset.", show_default=False),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the training.", show_default=False),
    ] = None,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
) -> None:
    """Make a labelled dataset with a teacher, to train a small fast model of a large slow one.

    DIR receives the dataset, coverage.html and coverage.json. The same command again goes on where it was killed.
    """
    from dataclasses import replace

    from torch_gptff.cli.output import make_console, make_progress, print_line
    from torch_gptff.cli.train import changed, run_training
    from torch_gptff.graph.contacts import checked_frames
    from torch_gptff.io import load_pretrained
    from torch_gptff.training.config import SourceSettings, TrainingConfig
    from torch_gptff.training.distillation import DistillationSettings, make_teacher, read_seeds
    from torch_gptff.training.distillation import distill as distill_seeds

    if bool(select_by) != (keep is not None):
        raise typer.BadParameter("--select-by and --keep go together", param_hint="--keep")
    settings = DistillationSettings(
        unchanged=unchanged,
        strained=strained,
        rattled=rattled,
        rescaled=rescaled,
        substituted=substituted,
        collided=collided,
        among=tuple(filter(None, (among or "").split(","))),
        temperatures=_temperatures(temperatures),
        md_steps=md_steps,
        md_interval=md_interval,
        timestep=timestep,
        min_distance=min_distance,
        max_force=max_force,
        max_stress=max_stress,
        seed=seed,
    )
    given = _arguments(arguments)
    console = make_console()
    where = str(options.chosen_device(device))
    with console.status("loading"):
        config = None if train is None else changed(TrainingConfig.preset(train), set)
        started = read_seeds(seeds)
        for _ in checked_frames((seed.atoms for seed in started), ", ".join(seeds), allow_close):
            pass
        made = make_teacher(teacher, given, where)
        students = [load_pretrained(model).to(where) for model in select_by or ()]
    with make_progress(console) as progress:
        task = progress.add_task("")

        def show(what: str, done: int, of: int) -> None:
            progress.update(task, description=f"{what}: part {done + 1} of {of}")

        result = distill_seeds(started, made, out, settings, students=students, keep=keep, extxyz=extxyz, progress=show)
    for line in str(result.coverage).splitlines():
        print_line(console, line)
    print_line(console, f"-> {result.dataset}")
    if config is not None:
        folder = out / "student"
        source = SourceSettings(str(result.dataset), name=made.name)
        config = replace(config, data=replace(config.data, train=(source,)))
        run_training(config, folder, resume=folder.exists(), devices=1, nodes=1, accelerator="auto", report=True)


def _arguments(text: str | None) -> dict[str, Any]:
    """``'{"asap_cutoff": true}'`` as keyword arguments.

    Raises:
        typer.BadParameter: it is no JSON object.
    """
    import json

    try:
        values = json.loads(text or "{}")
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not JSON: {error}", param_hint="--teacher-arguments") from error
    if not isinstance(values, dict):
        raise typer.BadParameter(f"{text} is no JSON object", param_hint="--teacher-arguments")
    return values


def _temperatures(text: str) -> tuple[float, ...]:
    """``"300,1000"`` as numbers.

    Raises:
        typer.BadParameter: one is no number.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}", param_hint="--temperatures") from error
