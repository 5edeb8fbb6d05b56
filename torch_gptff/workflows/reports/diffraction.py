"""A report on diffraction along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from torch_gptff.moved import old_names
from torch_gptff.report import Column, Report
from torch_gptff.report.plots import SERIES, heat_map, lines, new_figure
from torch_gptff.workflows.diffraction.series import DiffractionSeries
from torch_gptff.workflows.drawing.diffraction import draw_profiles, label_reflections

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

Against = Literal["frame", "time", "strain-a", "strain-b", "strain-c"]
"""Vertical axis of the map: the number of the frame, the time, or the strain of a cell vector."""

MOST_ROWS = 400
"""Largest number of rows of a heat map; of more frames, means of neighbours are shown."""


def diffraction_report(series: DiffractionSeries, against: Against = "frame", about: str = "") -> Report:
    """A report on diffraction along a trajectory.

    Args:
        series: patterns of the frames
        against: vertical axis of the map
        about: what the trajectory is, shown below the title
    """
    label, places = _axis(series, against)
    n_frames = len(series.profiles)
    report = Report("Diffraction", about)
    facts: dict[str, tuple[object, str]] = {"frames": (n_frames, ""), "wavelength": (series.wavelength, "Å")}
    report.numbers(facts)
    if series.atoms is not None:
        report.structure(series.atoms, "The structure." if n_frames == 1 else "The first frame.")
    if n_frames == 1:
        figure, axes = new_figure(6.4, 3.8)
        _profiles(axes, series, {"": series.profiles[0]})
        report.figure(figure, f"Powder pattern.{_named(series)}")
    else:
        ends = {"first frame": series.profiles[0], "last frame": series.profiles[-1]}
        report.heading("Patterns")
        if np.all(np.diff(places) > 0) or np.all(np.diff(places) < 0):
            report.figure(_map(series, label, places), f"Intensity against 2θ and {label}.")
        else:
            report.note(f"The {label} does not grow from frame to frame: the map is against frames.")
            report.figure(_map(series, "frame", np.arange(float(n_frames))), "Intensity against 2θ and the frame.")
        figure, axes = new_figure(6.4, 3.8)
        _profiles(axes, series, ends)
        report.figure(figure, f"Powder patterns.{_named(series)}")
        report.heading("Peaks")
        report.figure(_tracks(series, label, places), "Places of peaks that were followed.")
        table = series.peak_table()
        report.table(table.columns, table.rows)
    if series.fractions is not None:
        report.heading("Local structure")
        if n_frames > 1:
            report.figure(_fractions(series, label, places), "Share of the atoms in each structure.")
        names = [Column(name, "%", 1) for name in series.structures]
        rows = [("first frame", series.fractions[0])]
        rows += [("last frame", series.fractions[-1])] if n_frames > 1 else []
        report.table(["", *names], [[name, *(100 * share).tolist()] for name, share in rows])
    return report


def _profiles(axes: Axes, series: DiffractionSeries, curves: dict[str, NDArray[np.float64]]) -> None:
    draw_profiles(axes, series.two_theta, curves)
    if series.reflections is not None:
        heights = np.interp(series.reflections.two_theta, series.two_theta, series.profiles[0])
        label_reflections(axes, series.reflections, heights)


def _named(series: DiffractionSeries) -> str:
    return "" if series.reflections is None else " Points: hkl of strong reflections, in the cell of the first frame."


def _axis(series: DiffractionSeries, against: Against) -> tuple[str, NDArray[np.float64]]:
    if against == "time" and series.times is not None:
        return "time (ps)", series.times
    if against.startswith("strain"):
        axis = "abc".index(against[-1])
        return f"strain along {against[-1]} (%)", 100 * series.strain(axis)
    return "frame", np.arange(len(series.profiles), dtype=float)


def _map(series: DiffractionSeries, label: str, places: NDArray[np.float64]) -> Figure:
    order = np.argsort(places)
    size = int(np.ceil(len(order) / MOST_ROWS))
    groups = [order[k : k + size] for k in range(0, len(order), size)]
    values = np.array([series.profiles[group].mean(axis=0) for group in groups])
    rows = np.array([places[group].mean() for group in groups])
    # weak reflections are seen beside strong ones
    return heat_map(np.sqrt(values), series.two_theta, rows, "2θ (°)", label, "√ intensity", width=6.4, height=4.2)


def _tracks(series: DiffractionSeries, label: str, places: NDArray[np.float64]) -> Figure:
    figure, axes = new_figure(5.0, 3.6)
    for k, track in enumerate(track for track in series.lasting_tracks if len(track.frames) > 1):
        axes.plot(track.two_theta, places[track.frames], color=SERIES[k % len(SERIES)], linewidth=1.2)
    axes.set_xlabel("2θ (°)")
    axes.set_ylabel(label)
    axes.set_xlim(series.two_theta[0], series.two_theta[-1])
    return figure


def _fractions(series: DiffractionSeries, label: str, places: NDArray[np.float64]) -> Figure:
    assert series.fractions is not None
    curves = {name: 100 * series.fractions[:, k] for k, name in enumerate(series.structures)}
    seen = {name: values for name, values in curves.items() if values.max() > 0.5}
    only = f", {next(iter(seen))}" if len(seen) == 1 else ""
    figure = lines(places, seen, label, f"atoms{only}", y_unit="%")
    figure.axes[0].set_ylim(-2, 102)
    return figure
