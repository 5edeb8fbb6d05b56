"""A report on molecular dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.moved import old_names
from torch_gptff.report import Report
from torch_gptff.report.plots import lines
from torch_gptff.workflows.md.result import AVERAGE_UNITS, MolecularDynamicsRun
from torch_gptff.workflows.md.settings import MolecularDynamicsSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__getattr__ = old_names(__name__)


def md_report(run: MolecularDynamicsRun, about: str = "") -> Report:
    """A report on a run of molecular dynamics.

    Args:
        run: the result
        about: how forces were computed, shown below the title
    """
    settings = run.settings
    report = Report(f"Molecular dynamics of {run.formula}", about)
    if run.problem is not None:
        report.note(f"{run.problem[0].upper()}{run.problem[1:]}. What follows is of the frames before.")
    report.numbers(
        {
            "atoms": (run.n_atoms, ""),
            "time": (run.steps * settings.timestep / 1000, "ps"),
            **{
                name.replace("_", " "): (round(average.mean, 4), AVERAGE_UNITS[name])
                for name, average in run.averages_per_atom.items()
            },
        }
    )
    report.facts(
        {
            f"{name.replace('_', ' ')} ({AVERAGE_UNITS[name]})": _with_spread(average.mean, average.standard_deviation)
            for name, average in run.averages_per_atom.items()
        }
    )
    report.text("Means and standard deviations over the second half of the frames.")
    for remark in run.remarks:
        report.note(f"{remark}.")
    report.heading("Over time")
    time = run.time / 1000
    target = np.array([settings.temperature_at(step) for step in run.time / settings.timestep])
    temperatures = {"atoms": run.temperature}
    if settings.ensemble != "nve":
        temperatures["thermostat"] = target
    report.figure(_over_time(time, temperatures, "temperature", "K"), "Temperature.")
    potential = run.potential_energy / run.n_atoms
    total = potential + run.kinetic_energy / run.n_atoms
    report.figure(_over_time(time, {"potential": potential, "total": total}, "energy", "eV/atom"), "Energy.")
    if run.pressure is not None:
        report.figure(
            _over_time(time, {"pressure": run.pressure}, "pressure", "GPa"), "Pressure, kinetic part included."
        )
    if run.volume is not None and np.ptp(run.lengths) > 0 and np.ptp(run.volume) > 1e-9:
        report.figure(_over_time(time, {"": run.volume / run.n_atoms}, "volume", "Å³/atom"), "Volume.")
        vectors = {name: run.lengths[:, k] / run.lengths[0, k] for k, name in enumerate("abc")}
        report.figure(_over_time(time, vectors, "length / length at the start", ""), "Lengths of the cell vectors.")
    if run.axial_stress is not None:
        figure = lines(
            run.strain, {"": run.axial_stress}, f"strain along {settings.strain_axis}", "stress", y_unit="GPa"
        )
        report.figure(figure, "Stress along the strained cell vector, positive where it pulls back.")
    report.heading("Settings")
    report.facts(_facts(settings))
    report.facts(
        {
            "frames": run.n_frames,
            "steps done": run.steps,
            "drift of the conserved energy (meV/atom/ps)": None if run.drift is None else 1000 * run.drift,
            "trajectory": run.trajectory,
        }
    )
    return report


def _over_time(time: NDArray[np.float64], curves: dict[str, NDArray[np.float64]], label: str, unit: str) -> Figure:
    return lines(time, curves, "time", label, x_unit="ps", y_unit=unit, width=4.8, height=3.0)


def _with_spread(mean: float, spread: float) -> str:
    """A mean and its spread, both to the second digit of the spread."""
    digits = 4 if spread <= 0 else min(max(1 - int(np.floor(np.log10(spread))), 0), 6)
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _facts(settings: MolecularDynamicsSettings) -> dict[str, object]:
    facts: dict[str, object] = {
        "ensemble": settings.ensemble.upper(),
        "steps": settings.steps,
        "timestep (fs)": settings.timestep,
        "temperature (K)": settings.temperature,
        "final temperature (K)": settings.final_temperature,
    }
    if settings.ensemble == "nvt":
        facts["thermostat"] = settings.thermostat
    if settings.ensemble != "nve":
        facts["thermostat time (fs)"] = settings.thermostat_time
    if settings.ensemble == "npt":
        facts |= {
            "pressure (GPa)": settings.pressure,
            "cell": settings.cell,
            "barostat time (fs)": settings.barostat_time,
        }
    if settings.strain:
        facts["strain at the end"] = f"{settings.strain:g} along {settings.strain_axis}"
    return facts | {"steps between frames": settings.interval, "seed": settings.seed}
