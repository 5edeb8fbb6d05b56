"""A report on molecular dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from torch_gptff.moved import old_names
from torch_gptff.report import Named, Report
from torch_gptff.report.plots import lines
from torch_gptff.report.structures import thin
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.md import (
    draw_displacements,
    draw_energies,
    draw_radial_distributions,
    draw_vibrations,
)
from torch_gptff.workflows.drawing.words import subscripted
from torch_gptff.workflows.md.analysis import MotionAnalysis, analyze_motion
from torch_gptff.workflows.md.result import AVERAGE_UNITS, MolecularDynamicsRun
from torch_gptff.workflows.md.settings import AXES, MolecularDynamicsSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__getattr__ = old_names(__name__)

LEAST_FRAMES = 20
"""Smallest number of frames of which the motion is analysed."""

HIGHEST_VIBRATION = 60.0
"""THz, above which there are only vibrations of hydrogen."""


def md_report(run: MolecularDynamicsRun, about: str = "", frames: Sequence[Atoms] | None = None) -> Report:
    """A report on a run of molecular dynamics.

    Args:
        run: the result
        about: how forces were computed, shown below the title
        frames: of the trajectory, to show it and to analyse how atoms are arranged and move
    """
    settings = run.settings
    report = Report(f"Molecular dynamics of {subscripted(run.formula)}", about)
    if run.problem is not None:
        report.note(f"{run.problem[0].upper()}{run.problem[1:]}. What follows is of the frames before.")
    report.numbers(
        {
            "atoms": (run.n_atoms, ""),
            "time": (f"{run.steps * settings.timestep / 1000:g}", "ps"),
            **{
                name.replace("_", " "): (_with_spread(average.mean, average.standard_deviation), AVERAGE_UNITS[name])
                for name, average in run.averages_per_atom.items()
            },
        }
    )
    report.text("Means and standard deviations over the second half of the frames.")
    for remark in run.remarks:
        report.note(f"{remark[0].upper()}{remark[1:]}.")
    report.heading("Over time")
    time = run.time / 1000
    energies, axes = new_figure(4.8, 3.0)
    draw_energies(axes, run)
    if frames is None:
        report.figure(energies, "Energy.")
    else:
        between = settings.interval * settings.timestep / 1000
        shown = thin(frames, (between * np.arange(len(frames))).tolist(), "time (ps)")
        report.trajectory(shown, "The atoms. One that leaves the cell is drawn at its other end.", energies, "Energy.")
    target = np.array([settings.temperature_at(step) for step in run.time / settings.timestep])
    temperatures = {"atoms": run.temperature}
    if settings.ensemble != "nve":
        temperatures["thermostat"] = target
    report.figure(_over_time(time, temperatures, "temperature", "K"), "Temperature.")
    if run.pressure is not None:
        report.figure(
            _over_time(time, {"pressure": run.pressure}, "pressure", "GPa"), "Pressure, kinetic part included."
        )
    if run.volume is not None and np.ptp(run.lengths) > 0 and np.ptp(run.volume) > 1e-9:
        report.figure(_over_time(time, {"": run.volume / run.n_atoms}, "volume", "Å³/atom"), "Volume.")
        ratios = run.lengths / run.lengths[0]
        if np.ptp(ratios, axis=1).max() > 1e-9:  # not all by one factor
            vectors = {name: ratios[:, k] for k, name in enumerate("abc")}
            report.figure(_over_time(time, vectors, "length / length at the start", ""), "Lengths of the cell vectors.")
    if run.axial_stress is not None:
        figure = lines(
            run.strain, {"": run.axial_stress}, f"strain along {settings.strain_axis}", "stress", y_unit="GPa"
        )
        report.figure(figure, "Stress along the strained cell vector, positive where it pulls back.")
    if frames is not None and len(frames) >= LEAST_FRAMES:
        _analysis(report, analyze_motion(frames[len(frames) // 2 :], between), settings)
    report.heading("Settings")
    report.facts(_facts(settings))
    report.facts(
        {
            "frames": run.n_frames,
            "steps done": run.steps,
            "drift of the conserved energy (meV/atom/ps)": None if run.drift is None else 1000 * run.drift,
            "trajectory": Named(Path(run.trajectory).name, run.trajectory),
        }
    )
    return report


def _analysis(report: Report, analysis: MotionAnalysis, settings: MolecularDynamicsSettings) -> None:
    """Add distances, displacements and vibrations."""
    report.heading("Arrangement and motion")
    report.text(f"Of the second half of the run, {analysis.n_frames:,} frames.")
    if analysis.radial_distributions:
        figure, axes = new_figure(4.8, 3.2)
        draw_radial_distributions(axes, analysis)
        report.figure(figure, "Radial distributions of pairs of elements.")
    figure, axes = new_figure(4.8, 3.2)
    draw_displacements(axes, analysis)
    report.figure(figure, "Mean squared displacements of the elements, beside the motion of the centre of mass.")
    if not analysis.vibrations:
        return
    figure, axes = new_figure(4.8, 3.2)
    draw_vibrations(axes, analysis)
    report.figure(figure, "Vibrational density of states, from the velocities.")
    if analysis.highest_frequency < HIGHEST_VIBRATION:
        report.note(
            f"Frames are {1000 * analysis.interval:g} fs apart: vibrations above {analysis.highest_frequency:.3g} THz "
            "appear at lower frequencies. Write frames more often (--interval) if there are some."
        )


def _over_time(time: NDArray[np.float64], curves: dict[str, NDArray[np.float64]], label: str, unit: str) -> Figure:
    return lines(time, curves, "time", label, x_unit="ps", y_unit=unit, width=4.8, height=3.0)


def _with_spread(mean: float, spread: float) -> str:
    """A mean and its spread, both to the second digit of the spread."""
    digits = 4 if spread <= 0 else min(max(1 - int(np.floor(np.log10(spread))), 0), 6)
    return f"{round(mean, digits) + 0.0:.{digits}f} ± {spread:.{digits}f}"  # without a minus before zero


def _facts(settings: MolecularDynamicsSettings) -> dict[str, object]:
    facts: dict[str, object] = {
        "ensemble": settings.ensemble.upper(),
        "steps": settings.steps,
        "timestep (fs)": f"{settings.timestep:g}",
        "temperature (K)": f"{settings.temperature:g}",
    }
    if settings.final_temperature is not None:
        facts["final temperature (K)"] = f"{settings.final_temperature:g}"
    if settings.ensemble == "nvt":
        facts["thermostat"] = settings.thermostat
    if settings.ensemble != "nve":
        facts["thermostat time (fs)"] = f"{settings.thermostat_time:g}"
    if settings.ensemble == "npt":
        held = [axis for axis, free in zip(AXES, settings.mask, strict=True) if not free]
        kept = f", {' and '.join(held)} kept" if held else ""
        facts |= {
            "pressure (GPa)": f"{settings.pressure:g}",
            "cell": settings.cell + kept,
            "barostat time (fs)": f"{settings.barostat_time:g}",
        }
    if settings.strain:
        facts["strain at the end"] = f"{settings.strain:g} along {settings.strain_axis}"
    return facts | {"steps between frames": settings.interval, "seed": settings.seed}
