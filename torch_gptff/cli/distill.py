"""``torch-gptff distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.options import AllowClose, Device


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
            help="Who labels them: [bold]emt[/bold], [bold]lj[/bold], [bold]chgnet[/bold], [bold]matgl:FOLDER[/bold], "
            "[bold]nequix:FILE[/bold], any ASE calculator as [bold]package.module:Name[/bold], or one of our models "
            "by name or path.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for dataset and report.")],
    arguments: Annotated[
        str | None,
        typer.Option("--teacher-arguments", metavar="JSON", help="What the teacher is made with.", show_default=False),
    ] = None,
    unchanged: Annotated[
        bool, typer.Option("--unchanged/--no-unchanged", help="Label each seed as it is, too.")
    ] = True,
    strained: Annotated[int, typer.Option(help="Strained copies of each seed.", min=0)] = 5,
    rattled: Annotated[int, typer.Option(help="Rattled copies of each seed.", min=0)] = 5,
    rescaled: Annotated[int, typer.Option(help="Copies of another volume.", min=0)] = 2,
    substituted: Annotated[int, typer.Option(help="Copies with one element replaced by a near one.", min=0)] = 0,
    among: Annotated[
        str | None, typer.Option(help="The elements that may be put in, as Ag,Au.", show_default=False)
    ] = None,
    collided: Annotated[int, typer.Option(help="Rattled copies with two neighbours too close.", min=0)] = 0,
    temperatures: Annotated[
        str, typer.Option(help="Of molecular dynamics in K, one run each; '' for none.")
    ] = "300,1000",
    md_steps: Annotated[int, typer.Option(help="Steps of each run ...", min=0)] = 200,
    md_interval: Annotated[int, typer.Option(help="... one frame every so many ...", min=1)] = 50,
    timestep: Annotated[float, typer.Option(help="... of so many fs.")] = 1.0,
    min_distance: Annotated[
        float, typer.Option(help="Leave out frames with atoms closer than this part of their covalent radii ...")
    ] = 0.62,
    max_force: Annotated[float, typer.Option(help="... with a force above this, in eV/Å ...")] = 40.0,
    max_stress: Annotated[float, typer.Option(help="... or a stress above this, in GPa.")] = 144.0,
    seed: Annotated[int, typer.Option(help="Another number gives other copies.", min=0)] = 0,
    select_by: Annotated[
        list[str] | None,
        typer.Option(
            "--select-by",
            metavar="MODEL",
            help="Label only structures on which these models disagree; given once for each, or once for a committee.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[int | None, typer.Option(help="How many to label then.", min=1, show_default=False)] = None,
    extxyz: Annotated[bool, typer.Option("--extxyz", help="Write DIR/frames.extxyz, and no dataset in LMDB.")] = False,
    train: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="Train a student in DIR/student, with these settings.", show_default=False),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the training.", show_default=False),
    ] = None,
    allow_close: AllowClose = False,
    device: Device = None,
) -> None:
    """Make a labelled dataset with a teacher, to train a small fast model of a large slow one.

    DIR receives the dataset, coverage.html and coverage.json. The same command again goes on where it was killed.
    """
    from torch_gptff.cli.distillation import Student, make, options, parsed_arguments, parsed_temperatures

    if bool(select_by) != (keep is not None):
        raise typer.BadParameter("--select-by and --keep go together", param_hint="--keep")
    settings = options(
        unchanged=unchanged,
        strained=strained,
        rattled=rattled,
        rescaled=rescaled,
        substituted=substituted,
        collided=collided,
        among=tuple(filter(None, (among or "").split(","))),
        temperatures=parsed_temperatures(temperatures),
        md_steps=md_steps,
        md_interval=md_interval,
        timestep=timestep,
        min_distance=min_distance,
        max_force=max_force,
        max_stress=max_stress,
        seed=seed,
    )
    student = None if train is None else Student(train, tuple(set or ()))
    make(
        seeds,
        teacher,
        parsed_arguments(arguments),
        out,
        settings,
        select_by or [],
        keep,
        extxyz,
        student,
        device,
        allow_close,
    )
