"""Elastic tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.report.style import SERIES, color_map, legend_above
from torch_gptff.workflows.elastic_moduli import ElasticTensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 60
"""Number of azimuths of a surface."""


def draw_young_modulus(axes: Axes, tensor: ElasticTensor) -> None:
    """Young's modulus along directions in the three planes, as the distance from the origin."""
    angles = np.linspace(0, 2 * np.pi, 181)
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    planes = {
        "x, y": np.stack([cosine, sine, zero], axis=1),
        "y, z": np.stack([zero, cosine, sine], axis=1),
        "z, x": np.stack([sine, zero, cosine], axis=1),
    }
    for k, (name, directions) in enumerate(planes.items()):
        modulus = tensor.directional_young_modulus(directions)
        # in a cubic crystal the three lie on one another
        axes.plot(modulus * cosine, modulus * sine, color=SERIES[k], linestyle=("-", "--", ":")[k], label=name)
    axes.set_aspect("equal")
    axes.set_xlabel("first axis (GPa)")
    axes.set_ylabel("second axis (GPa)")
    legend_above(axes)


def young_modulus_surface(tensor: ElasticTensor) -> NDArray[np.float64]:
    """Young's modulus by polar angle from 0 to π and by azimuth from 0 to less than 2π, GPa, ``[P, A]``."""
    polar = np.linspace(0, np.pi, STEPS // 2 + 1)[:, None]
    azimuth = np.arange(STEPS) * 2 * np.pi / STEPS
    directions = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth], axis=-1
    )
    return np.asarray(tensor.directional_young_modulus(directions.reshape(-1, 3)).reshape(directions.shape[:2]))


def draw_surface(axes: Any, values: NDArray[np.float64]) -> None:
    """A property of all directions as a surface, coloured by its size.

    Args:
        axes: with three dimensions
        values: see :func:`young_modulus_surface`
    """
    closed = np.concatenate([values, values[:, :1]], axis=1)
    polar = np.linspace(0, np.pi, closed.shape[0])[:, None]
    azimuth = np.linspace(0, 2 * np.pi, closed.shape[1])
    low, high = values.min(), values.max()
    spread = high - low
    shares = (closed - low) / spread if spread > 1e-9 * high else np.full_like(closed, 0.5)
    places = (np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth)
    surface = axes.plot_surface(
        *(closed * each for each in places), facecolors=color_map()(shares), rstride=1, cstride=1
    )
    surface.set_rasterized(True)
    axes.set_box_aspect((1, 1, 1))
    axes.set(xlim=(-high, high), ylim=(-high, high), zlim=(-high, high), xlabel="x (GPa)", ylabel="y", zlabel="z")
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8, pad=0)
    axes.view_init(elev=20, azim=35)
