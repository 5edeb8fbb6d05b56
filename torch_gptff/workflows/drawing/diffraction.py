"""Diffraction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torch_gptff.report.interactive import name_points
from torch_gptff.report.labels import ABOVE, label_points
from torch_gptff.report.style import SERIES
from torch_gptff.workflows.diffraction.pattern import DiffractionPattern

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_NAMED = 0.02
"""Smallest intensity of a reflection with a label, as a fraction of the highest."""

MOST_NAMED = 25
"""Largest number of labels."""

OVERLINE = "\u0305"


def draw_profiles(axes: Axes, two_theta: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]]) -> None:
    """Intensities by angle."""
    for k, (name, values) in enumerate(curves.items()):
        axes.plot(two_theta, values, color=SERIES[k], linewidth=1.2, label=name)
    axes.set_xlabel("2θ (°)")
    axes.set_ylabel("intensity")
    if len(curves) > 1:
        axes.legend(frameon=False)


def label_reflections(axes: Axes, pattern: DiffractionPattern, height: NDArray[np.float64]) -> None:
    """Name the strongest reflections above the curve by their h, k and l.

    Args:
        axes: with the curve
        pattern: the reflections
        height: the curve at each of them
    """
    order = np.argsort(-pattern.intensities)
    strong = [int(k) for k in order if pattern.intensities[k] >= LEAST_NAMED * pattern.intensities.max(initial=0.0)]
    strong = strong[:MOST_NAMED]
    if not strong:
        return
    (marks,) = axes.plot(pattern.two_theta[strong], height[strong], "o", color=SERIES[1], markersize=3)
    name_points(
        marks,
        (
            f"{miller(pattern.indices[k])}\n2θ {pattern.two_theta[k]:.3f}°\nd {pattern.d_spacings[k]:.4f} Å"
            for k in strong
        ),
    )
    axes.margins(y=0.12)
    points = [(float(pattern.two_theta[k]), float(height[k])) for k in strong]
    label_points(axes, points, [miller(pattern.indices[k]) for k in strong], size=8, sides=ABOVE)


def draw_pattern(axes: Axes, pattern: DiffractionPattern) -> None:
    """Reflections as lines, with their names."""
    axes.vlines(pattern.two_theta, 0, pattern.intensities, color=SERIES[0], linewidth=1.2)
    axes.set_xlabel("2θ (°)")
    axes.set_ylabel("intensity")
    axes.set_ylim(bottom=0)
    label_reflections(axes, pattern, pattern.intensities)
    axes.set_ylim(bottom=0)


def miller(indices: NDArray[np.int64]) -> str:
    """``"11̅0"``: h, k and l, negative ones with a bar; with spaces where one has two digits."""
    digits = ["".join(letter + OVERLINE for letter in str(-k)) if k < 0 else str(k) for k in map(int, indices)]
    return (" " if any(abs(int(k)) > 9 for k in indices) else "").join(digits)
