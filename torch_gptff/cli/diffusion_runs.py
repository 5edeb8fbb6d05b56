"""The diffusion in a list of trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from torch_gptff.cli.errors import Failures
from torch_gptff.cli.output import NOTHING, Column, fixed, make_progress, print_line, print_table, short_labels
from torch_gptff.io.structures import split_index
from torch_gptff.workflows import (
    ArrheniusFit,
    Diffusion,
    Estimate,
    IonDensity,
    diffusion,
    diffusion_series,
    ion_density,
    ion_motion,
    iterate_frames,
)
from torch_gptff.workflows.diffusion.motion import Origin
from torch_gptff.workflows.reports.diffusion import ROOM, diffusion_report, with_error

COLUMNS = (
    Column("file", number=False),
    Column("T", "K"),
    Column("D", "cm²/s"),
    Column("±", "%"),
    Column("σ", "mS/cm"),
    Column("±", "%"),
    Column("σ indep.", "mS/cm"),
    Column("Haven"),
    Column("jumps"),
    Column("dim."),
)


@dataclass(frozen=True)
class Settings:
    """The options of ``torch-gptff diffusion``."""

    species: str
    timestep: float | None
    temperatures: tuple[float | None, ...]
    charges: dict[str, float]
    skip: float
    origin: Origin
    n_blocks: int
    fit_range: tuple[float, float] | None
    regimes: Literal[1, 2] | None


def analyze_all(
    files: Sequence[str],
    settings: Settings,
    console: Console,
    failures: Failures,
    cubes: Path | None,
    json: Path | None,
    report: Path | None,
) -> None:
    """Every trajectory, each by itself, and all together: a table, what follows from it, and files."""
    short = short_labels(console, files)
    runs: dict[str, Diffusion] = {}
    densities: dict[str, IonDensity] = {}
    with make_progress(console) as progress:
        task = progress.add_task("")
        for number, (file, kelvin) in enumerate(zip(files, settings.temperatures, strict=True), start=1):
            progress.update(task, description=f"{number}/{len(files)} {short(file)}")
            with failures.alone(file):
                motion = ion_motion(
                    iterate_frames(file),
                    settings.species,
                    timestep=settings.timestep,
                    charges=settings.charges,
                    origin=settings.origin,
                    skip=settings.skip,
                )
                runs[file] = diffusion(motion, kelvin, n_blocks=settings.n_blocks, fit_range=settings.fit_range)
                if motion.is_crystal and (cubes or report):
                    densities[file] = ion_density(motion)
    if not runs:
        return
    series = diffusion_series(runs, settings.regimes)

    for file, run in runs.items():
        for remark in run.remarks:
            print_line(console, f"{short(file)}: {remark}")
    print_table(console, COLUMNS, [_row(short(file), run) for file, run in runs.items()])
    for name, fit in (("D", series.diffusivity_fit), ("σ", series.conductivity_fit)):
        if fit is not None:
            _tell_fit(console, name, fit)
    if cubes is not None:
        for number, (file, density) in enumerate(densities.items(), start=1):
            density.write_cube(cubes / f"{number:02d}-{split_index(file)[0].stem}-{settings.species}.cube")
    if json is not None:
        series.save(json)
    if report is not None:
        diffusion_report(series, densities).save(report)


def _row(label: str, run: Diffusion) -> list[str]:
    temperature = fixed(run.temperature, 0)
    if not run.is_diffusive:
        return [label, temperature, f"< {run.upper_bound:.1e}", *[NOTHING] * 5, fixed(run.hops, 0), NOTHING]
    actual, ideal, haven = run.conductivity, run.nernst_einstein_conductivity, run.haven_ratio
    return [
        label,
        temperature,
        f"{run.diffusivity.value:.2e}",
        _percent(run.diffusivity),
        NOTHING if actual is None else f"{actual.value:.3g}",
        NOTHING if actual is None else _percent(actual),
        NOTHING if ideal is None else f"{ideal.value:.3g}",
        fixed(None if haven is None else haven.value, 2),
        fixed(run.hops, 0),
        str(run.dimensionality),
    ]


def _percent(estimate: Estimate) -> str:
    """Of the standard error."""
    return fixed(100 * estimate.standard_error / abs(estimate.value), 0)


def _tell_fit(console: Console, name: str, fit: ArrheniusFit) -> None:
    regimes = ("",) if len(fit.lines) == 1 else (" at low T", " at high T")
    for regime, line in zip(regimes, fit.lines, strict=True):
        kelvins = f"{line.temperatures.min():.0f} to {line.temperatures.max():.0f} K"
        print_line(console, f"{name}: activation energy{regime} {with_error(line.activation_energy)} eV ({kelvins})")
    if fit.crossing is not None:
        print_line(console, f"{name}: the lines cross at {with_error(fit.crossing)} K")
    room, unit = fit.at(ROOM), "cm²/s" if fit.quantity == "diffusivity" else "mS/cm"
    print_line(console, f"{name}: {room.value:.2g} {unit} at 300 K, from {room.low:.2g} to {room.high:.2g} at 95 %")
