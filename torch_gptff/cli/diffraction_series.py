"""Diffraction along a trajectory."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from torch_gptff.cli.contacts import checked
from torch_gptff.cli.output import Column, fixed, make_progress, print_line, print_table
from torch_gptff.errors import DiffractionError
from torch_gptff.workflows import DiffractionSeries, diffraction_series, iterate_frames
from torch_gptff.workflows.reports.diffraction import Against, diffraction_report

COLUMNS = (
    Column("first", number=True),
    Column("last", number=True),
    Column("2θ first", "°"),
    Column("2θ last", "°"),
    Column("height last/first"),
)


def analyze(
    trajectory: str,
    console: Console,
    *,
    wavelength: str | float,
    two_theta: tuple[float, float],
    fwhm: float,
    structures: bool,
    against: Against,
    json: Path | None,
    report: Path | None,
    allow_close: bool = False,
) -> None:
    """Patterns, peaks and local structures: a table, a JSON file and a report.

    Raises:
        CloseAtomsError: atoms of a frame are nearer than a third of touching, and ``allow_close`` is not set.
        DiffractionError: see :func:`~torch_gptff.workflows.diffraction_series`; or times are asked for, and frames do
            not tell them.
    """
    with make_progress(console) as progress:
        task = progress.add_task(trajectory)
        series = diffraction_series(
            checked(iterate_frames(trajectory), trajectory, allow_close),
            wavelength=wavelength,
            two_theta=two_theta,
            fwhm=fwhm,
            structures=structures,
            on_frame=lambda number: progress.update(task, description=f"{trajectory}: frame {number}"),
        )
    if against == "time" and series.times is None:
        raise DiffractionError(f"{trajectory} does not tell times: show it against frames")
    print_table(console, COLUMNS, _rows(series))
    if series.fractions is not None:
        for name, row in (("first", 0), ("last", -1)):
            shares = zip(series.structures, series.fractions[row], strict=True)
            told = ", ".join(f"{100 * share:.1f} % {structure}" for structure, share in shares if share > 0)
            print_line(console, f"{name} frame: {told}")
    if json is not None:
        series.save(json)
    if report is not None:
        diffraction_report(series, against, trajectory).save(report)


def _rows(series: DiffractionSeries) -> list[list[str]]:
    return [
        [
            str(track.frames[0]),
            str(track.frames[-1]),
            fixed(float(track.two_theta[0]), 2),
            fixed(float(track.two_theta[-1]), 2),
            fixed(float(track.heights[-1] / track.heights[0]), 2),
        ]
        for track in series.tracks
        if len(track.frames) >= max(len(series.profiles) / 10, 1)
    ]
