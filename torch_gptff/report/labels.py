"""Words beside points that lie on no other words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = ((0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Directions in which a label is tried: below, above, to the right, to the left, and at the corners."""

ABOVE = ((0, 1), (1, 1), (-1, 1))
"""Sides that keep words off the curve below the points."""

DISTANCES = (1.0, 1.8, 2.6)
"""Distances at which a label is tried, in units of the height of a line."""

GLYPH = 0.62
"""Mean width of a letter, in units of the font size."""


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    words: Sequence[str],
    size: float = 9.0,
    sides: Sequence[tuple[int, int]] = SIDES,
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> int:
    """Write words beside points, each where neither words nor points are. Words without a place are left out.

    Args:
        axes: with everything else drawn, and its limits set
        points: places in the coordinates of the axes
        words: one text for each of the first points; more points are kept free
        size: of the font, points
        sides: where words are tried, see :data:`SIDES`
        lines: ends of lines that are kept free too

    Returns:
        how many words were left out
    """
    figure = axes.get_figure()
    assert figure is not None
    figure.draw_without_rendering()  # type: ignore[union-attr]
    scale = 72 / figure.dpi
    places = axes.transData.transform(np.reshape(points, (-1, 2))) * scale
    frame = axes.get_window_extent().get_points() * scale
    taken = [_box(place, 7.0, 7.0) for place in places]
    ends = axes.transData.transform(np.reshape(lines, (-1, 2))).reshape(-1, 2, 2) * scale
    taken += [_box(first + share * (last - first), 2.0, 2.0) for first, last in ends for share in np.linspace(0, 1, 60)]
    left_out = 0
    for (x, y), place, text in zip(points, places, words, strict=False):
        width, height = GLYPH * size * len(text) + 2, 1.25 * size
        for distance, (right, up) in product(DISTANCES, sides):
            shift = np.array([right * (width / 2 + 4 + 6 * (distance - 1)), up * distance * 1.15 * height])
            box = _box(place + shift, width, height)
            inside = (box[0] >= frame[0] - [30, height]).all() and (box[1] <= frame[1] + [30, height]).all()
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                offset = {"xytext": tuple(shift), "textcoords": "offset points", "fontsize": size}
                axes.annotate(text, (x, y), ha="center", va="center", **offset)  # type: ignore[arg-type]
                break
        else:
            left_out += 1
    return left_out


def _box(centre: NDArray[np.float64], width: float, height: float) -> NDArray[np.float64]:
    half = np.array([width, height]) / 2
    return np.array([centre - half, centre + half])


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool((one[0] < other[1]).all() and (other[0] < one[1]).all())
