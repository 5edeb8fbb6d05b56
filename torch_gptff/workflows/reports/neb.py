"""A report on migration paths."""

from __future__ import annotations

from torch_gptff.report.structures import Trajectory
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.neb import draw_path
from torch_gptff.workflows.migration import MigrationPath
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport


def neb_report(paths: Labelled[MigrationPath], about: str = "") -> RecordsReport[MigrationPath]:
    """A report on migration paths.

    Args:
        paths: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Migration barriers", paths, about)
    report.overview("Forward and reverse: barriers above the first and above the last image.")
    report.remarks(_remarks)
    return report.sections(_section)


def _remarks(path: MigrationPath) -> list[str]:
    if path.converged:
        return list(path.remarks)
    return [f"NOT CONVERGED, {path.fmax:.2g} eV/Å left: the barrier is not that of the saddle point", *path.remarks]


def _section(report: RecordsReport[MigrationPath], label: str, path: MigrationPath) -> None:
    figure, axes = new_figure(4.6, 3.2)
    draw_path(axes, path)
    images = Trajectory(list(path.images), [float(each) for each in path.distances], "path (Å)")
    report.trajectory(images, "The images of the path.", figure, "Energy along the path; the saddle point is marked.")
    report.facts(
        {
            "highest image": f"{int(path.energies.argmax())}, counted from 0",
            "atoms put into another order": path.n_reordered,
        }
    )
