"""Surface energies and Wulff shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.report.style import SERIES
from torch_gptff.units import JOULE_PER_M2_PER_EV_PER_ANGSTROM2
from torch_gptff.workflows.surface import SurfaceEnergies, joules
from torch_gptff.workflows.wulff import wulff_radii

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 120
"""Number of azimuths of a shape."""


def draw_energies(axes: Axes, crystal: SurfaceEnergies) -> None:
    """Energies of the surfaces, of relaxed ones beside those before the relaxation."""
    places = np.arange(len(crystal.surfaces))
    before = [joules(each.unrelaxed_energy) or 0.0 for each in crystal.surfaces]
    after = [joules(each.relaxed_energy) for each in crystal.surfaces]
    if None in after:
        axes.barh(places, before, 0.72, color=SERIES[0], label="unrelaxed")
    else:
        axes.barh(places - 0.19, before, 0.36, color=SERIES[7], label="unrelaxed")
        axes.barh(places + 0.19, [each or 0.0 for each in after], 0.36, color=SERIES[0], label="relaxed")
        axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))  # above the bars
    axes.set_yticks(places, [each.name for each in crystal.surfaces])
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlabel("surface energy (J/m²)")
    axes.grid(False, axis="y")


def draw_wulff_shape(axes: Any, crystal: SurfaceEnergies) -> None:
    """The facets of the Wulff shape, a colour for each set of planes.

    Args:
        axes: with three dimensions
        crystal: with a Wulff shape
    """
    from matplotlib.patches import Patch
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    shape = crystal.wulff_shape()
    drawn = [facet for facet in shape.facets if facet.points]
    names = sorted({facet.index for facet in drawn})
    for facet in drawn:
        corners = JOULE_PER_M2_PER_EV_PER_ANGSTROM2 * np.array(shape.get_line_in_facet(facet))
        color = SERIES[names.index(facet.index) % len(SERIES)]
        axes.add_collection3d(Poly3DCollection([corners], facecolors=color, edgecolors="black", linewidths=0.6))
    size = JOULE_PER_M2_PER_EV_PER_ANGSTROM2 * float(np.abs(shape.wulff_pt_list).max())
    axes.set_box_aspect((1, 1, 1))
    axes.set(xlim=(-size, size), ylim=(-size, size), zlim=(-size, size))
    axes.view_init(elev=20, azim=25)
    axes.set_axis_off()
    labels = [_planes(shape.miller_list[name]) for name in names]
    patches = [Patch(color=SERIES[k % len(SERIES)], label=label) for k, label in enumerate(labels)]
    axes.legend(handles=patches, frameon=False, loc="upper left")


def wulff_surface(crystal: SurfaceEnergies) -> NDArray[np.float64]:
    """Distance of the Wulff shape from its centre by polar angle from 0 to π and by azimuth from 0 to less than 2π,
    J/m², ``[P, A]``."""
    polar = np.linspace(0, np.pi, STEPS // 2 + 1)[:, None]
    azimuth = np.arange(STEPS) * 2 * np.pi / STEPS
    directions = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth], axis=-1
    )
    radii = wulff_radii(crystal.wulff_shape(), directions.reshape(-1, 3)).reshape(directions.shape[:2])
    return np.asarray(JOULE_PER_M2_PER_EV_PER_ANGSTROM2 * radii)


def _planes(miller: Any) -> str:
    return f"({' '.join(str(int(index)) for index in miller)})"
