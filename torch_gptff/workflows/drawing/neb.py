"""Migration paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_gptff.report.style import SERIES
from torch_gptff.workflows.migration import MigrationPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_path(axes: Axes, path: MigrationPath) -> None:
    """Energies of the images above the first, and a curve through them with their forces as slopes."""
    zero = path.energies[0]
    axes.plot(path.fit_distances, path.fit_energies - zero, color=SERIES[0], linewidth=1.2)
    axes.plot(path.distances, path.energies - zero, "o", color=SERIES[0])
    highest = int(path.energies.argmax())
    axes.plot([path.distances[highest]], [path.energies[highest] - zero], "o", color=SERIES[1], markersize=6)
    axes.set_xlabel("path (Å)")
    axes.set_ylabel("energy above the first image (eV)")
