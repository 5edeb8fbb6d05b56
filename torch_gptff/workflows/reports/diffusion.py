"""A report on diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from torch_gptff.moved import old_names
from torch_gptff.report import Named, Report
from torch_gptff.report.plots import heat_map, new_figure
from torch_gptff.workflows.diffusion.arrhenius import ArrheniusFit
from torch_gptff.workflows.diffusion.coefficient import Diffusion
from torch_gptff.workflows.diffusion.density import IonDensity
from torch_gptff.workflows.diffusion.estimate import Estimate, in_powers
from torch_gptff.workflows.diffusion.series import DiffusionSeries
from torch_gptff.workflows.drawing.diffusion import draw_arrhenius, draw_displacements
from torch_gptff.workflows.reports.frame import RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

ROOM = 300.0
"""Room temperature, K."""


def diffusion_report(
    series: DiffusionSeries,
    densities: Mapping[str, IonDensity] | None = None,
    about: str = "",
    structures: Mapping[str, Atoms] | None = None,
) -> RecordsReport[Diffusion]:
    """A report on the diffusion of a species, at one temperature or several.

    Args:
        series: the runs
        densities: densities of ions in the cell, by the labels of runs
        about: how the trajectories were made, shown below the title
        structures: first frames, by the labels of runs
    """
    species = series.runs[0].species
    report = RecordsReport(f"Diffusion of {species}", list(zip(series.labels, series.runs, strict=True)), about)
    if len(series.runs) == 1:
        report.numbers(_numbers(series.runs[0]))
    else:
        report.overview("– where there is no valid estimate.")
        for fit, name in (
            (series.diffusivity_fit, "Diffusion coefficient"),
            (series.conductivity_fit, "Conductivity"),
            (series.nernst_einstein_fit, "Conductivity of independent ions (Nernst–Einstein)"),
        ):
            if fit is not None:
                _arrhenius(report, fit, name, series)
        if series.diffusivity_fit is None:
            report.note(
                "Fewer than two temperatures have a valid diffusion coefficient: there is no activation energy."
            )

    def section(report: Report, label: str, run: Diffusion) -> None:
        given = label.full if isinstance(label, Named) else label
        _section(report, run, (densities or {}).get(given), (structures or {}).get(given))

    return report.sections(section, _heading)


def _heading(label: str, run: Diffusion) -> str:
    temperature = f"{run.temperature:.0f} K"
    if label == temperature:
        return label
    words = f"{label}, {temperature}"
    return Named(words, label.full) if isinstance(label, Named) else words


def _numbers(run: Diffusion) -> dict[str, tuple[object, str]]:
    if not run.is_diffusive:
        return {"diffusion coefficient, at most": _split(in_powers(run.upper_bound), "cm²/s")}
    numbers: dict[str, tuple[object, str]] = {
        "diffusion coefficient": _split(str(run.diffusivity), "cm²/s"),
        "temperature": (run.temperature, "K"),
    }
    if run.conductivity is not None and run.nernst_einstein_conductivity is not None:
        numbers["conductivity"] = (str(run.conductivity), "mS/cm")
        numbers["of independent ions"] = (str(run.nernst_einstein_conductivity), "mS/cm")
    if run.haven_ratio is not None:
        numbers["Haven ratio"] = (str(run.haven_ratio), "")
    return numbers


def _split(number: str, unit: str) -> tuple[str, str]:
    """A number and its unit with the power of ten: ``("4.24 ± 0.26", "10⁻⁶ cm²/s")`` of ``"(4.24 ± 0.26) × 10⁻⁶"``."""
    digits, _, power = number.partition(" × ")
    return (digits.strip("()"), f"{power} {unit}") if power else (number, unit)


def _arrhenius(report: Report, fit: ArrheniusFit, name: str, series: DiffusionSeries) -> None:
    energies = [line.activation_energy for line in fit.lines]
    labels = ("activation energy",) if len(energies) == 1 else ("activation energy, low T", "activation energy, high T")
    numbers: dict[str, tuple[object, str]] = {
        label: (str(each), "eV") for label, each in zip(labels, energies, strict=True)
    }
    if fit.crossing is not None:
        numbers["lines cross at"] = (str(fit.crossing), "K")
    room = fit.at(ROOM)
    unit = "mS/cm" if fit.quantity == "conductivity" else "cm²/s"
    where = "at 300 K, extrapolated" if fit.temperatures.min() > ROOM else "at 300 K"
    numbers[where] = _split(in_powers(room.value), unit)
    report.heading(name, 3)
    report.numbers(numbers)
    report.text(f"95 % interval at 300 K: {in_powers(room.low)} to {in_powers(room.high)} {unit}.")
    bounds = " Triangles: upper bounds at 95 %." if fit.quantity == "diffusivity" and fit.left_out else ""
    figure, axes = new_figure(4.4, 2.8)
    draw_arrhenius(axes, fit, series)
    report.figure(figure, f"{name}, with standard errors.{bounds}")


def _section(report: Report, run: Diffusion, density: IonDensity | None, atoms: Atoms | None) -> None:
    for remark in run.remarks:
        report.note(remark)
    if atoms is not None:
        report.structure(atoms, "The first frame.")
    figure, axes = new_figure(5.0, 3.0)
    draw_displacements(axes, run)
    report.figure(figure, "Mean squared displacement with standard errors, and the line of the fit.")
    report.facts(
        {
            "diffusion coefficient (cm²/s)": str(run.diffusivity) if run.is_diffusive else None,
            "95 % interval (cm²/s)": f"{in_powers(run.diffusivity.low)} to {in_powers(run.diffusivity.high)}",
            "upper bound (cm²/s)": in_powers(run.upper_bound),
            "along the principal axes (cm²/s)": "; ".join(str(each) for each in run.principal_values),
            "conductivity (mS/cm)": _valid(run, run.conductivity),
            "of independent ions (mS/cm)": _valid(run, run.nernst_einstein_conductivity),
            "Haven ratio": _valid(run, run.haven_ratio),
            "exponent of time": None if run.exponent is None else str(run.exponent),
            "squared displacement over half the run, relative to the fit": run.persistence,
            f"jumps of {run.hop_distance:g} Å": round(run.hops),
            "ions": run.n_ions,
            "length (ps)": run.duration,
            "blocks": run.n_blocks,
            "at rest": {"laboratory": "nothing", "center of mass": "centre of mass"}.get(run.origin, run.origin),
        }
    )
    if density is not None:
        for axis, seen in enumerate("abc"):
            report.figure(
                _map(density, axis), f"Density of {run.species}, seen along {seen}; oblique cells are drawn upright."
            )


def _valid(run: Diffusion, estimate: Estimate | None) -> str | None:
    return str(estimate) if run.is_diffusive and estimate is not None else None


def _map(density: IonDensity, axis: int) -> Figure:
    first, second = (k for k in range(3) if k != axis)
    lengths = np.linalg.norm(density.cell, axis=1)
    values = density.projected(axis)

    def places(k: int, n: int) -> np.ndarray:
        return (np.arange(n) + 0.5) * lengths[k] / n

    return heat_map(
        values.T,
        places(first, values.shape[0]),
        places(second, values.shape[1]),
        f"along {'abc'[first]} (Å)",
        f"along {'abc'[second]} (Å)",
        "ions per Å²",
        width=3.6,
        height=3.0,
        isotropic=True,
    )
