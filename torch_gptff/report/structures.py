"""Structures and trajectories as the viewer of a page takes them, and a still picture of each for paper."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torch_gptff.report.style import new_figure

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

MOST_FRAMES = 200
"""Largest number of frames that a page shows of a trajectory."""

MOST_POSITIONS = 60_000
"""Largest number of positions, of all frames together: about a megabyte of a page."""

MOST_ATOMS = 5_000
"""Largest number of atoms that a page shows."""

ON_FACE = 0.02
"""Fractions of a cell vector: an atom so close to a face of the cell is drawn on the opposite one too."""

STRAY = 0.2
"""Fractions of a cell vector that an atom of a trajectory may leave the cell by, before it is drawn opposite."""

MOST_DRAWN_TWICE = 400
"""Largest number of atoms of a crystal whose faces are drawn complete."""

DECIMALS = 3
"""Digits of positions, Å."""

METALS = frozenset([*range(3, 5), *range(11, 14), *range(19, 32), *range(37, 51), *range(55, 85), *range(87, 117)])
"""Atomic numbers of metals: two of them are not bonded beside non-metals."""

LOOK = (25.0, 12.0)
"""Degrees by which a picture is turned about c, and tilted, from a view against a."""


@dataclass(frozen=True)
class Trajectory:
    """Frames of one structure, each with a number that tells where in the run it is.

    Attributes:
        frames: structures of the same atoms
        along: of every frame, such as its time
        label: what ``along`` is, with its unit
        total: number of frames of which these were chosen
    """

    frames: Sequence[Atoms]
    along: Sequence[float]
    label: str
    total: int = field(default=0)

    @property
    def thinned(self) -> str:
        """A remark on the number of frames shown, where they are not all; empty otherwise."""
        n_frames = len(self.frames)
        return "" if self.total <= n_frames else f"{n_frames} of {self.total:,} frames are shown, evenly spaced."


def thin(frames: Sequence[Atoms], along: Sequence[float], label: str) -> Trajectory:
    """At most :data:`MOST_FRAMES` frames, evenly spaced, with the first and the last; fewer of large structures.

    Args:
        frames: of a run
        along: a number of every frame
        label: what it is, with its unit
    """
    chosen = evenly_spaced(len(frames), most_frames(len(frames[0])))
    return Trajectory([frames[k] for k in chosen], [float(along[k]) for k in chosen], label, len(frames))


def most_frames(n_atoms: int) -> int:
    """Largest number of frames that a page shows of so many atoms."""
    return max(min(MOST_FRAMES, MOST_POSITIONS // max(n_atoms, 1)), 2)


def evenly_spaced(total: int, most: int) -> list[int]:
    """Places of at most ``most`` of so many frames, with the first and the last."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(int)).tolist()


def scene(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory, or a structure as a trajectory of one frame, as JSON that ``viewer.js`` draws.

    Positions are those in the cell; in a trajectory an atom is put back into it where it has strayed from it, so that
    it does not flicker at a face.
    """
    first = trajectory.frames[0]
    symbols = sorted(set(first.get_chemical_symbols()), key=first.get_chemical_symbols().index)
    place = InCell(first)
    frames = [frame(atoms, place) for atoms in trajectory.frames]
    packed = {"frames": frames[0:1]} if len(frames) == 1 else {"packed": packed_json(frames)}
    return {
        "symbols": first.get_chemical_symbols(),
        "elements": {symbol: _element(symbol) for symbol in symbols},
        "images": _images(first, InCell(first)(first)) if len(first) <= MOST_DRAWN_TWICE else [],
        "view": np.round(orientation(first), 6).tolist(),
        "along": [float(f"{value:.7g}") for value in trajectory.along],
        "label": trajectory.label,
        **packed,
    }


def frame(atoms: Atoms, place: InCell) -> dict[str, Any]:
    """A frame of a trajectory as JSON that ``viewer.js`` draws.

    Args:
        atoms: the structure
        place: of this trajectory, which is given its frames one after the other
    """
    return {"cell": _rounded(atoms.cell.array) if atoms.cell.rank == 3 else None, "positions": _rounded(place(atoms))}


class InCell:
    """Positions of frames, one after the other, with atoms put back into the cell where they have strayed from it.

    Args:
        first: the first frame, whose positions are all put into the cell
    """

    def __init__(self, first: Atoms) -> None:
        self._is_needed = first.cell.rank == 3 and bool(first.pbc.any())
        self._kept = np.zeros((len(first), 3))
        self._is_first = True

    def __call__(self, atoms: Atoms) -> NDArray[np.float64]:
        """Positions in the next frame, Å."""
        if not self._is_needed:
            return atoms.positions
        fractions = np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T
        margin = ON_FACE if self._is_first else STRAY
        inside = fractions + self._kept
        self._kept -= np.where((inside < -margin) | (inside > 1 + margin), np.floor(inside), 0) * atoms.pbc
        if self._is_first:
            self._kept -= np.where(fractions + self._kept > 1 - ON_FACE, 1, 0) * atoms.pbc
            self._is_first = False
        return (fractions + self._kept) @ atoms.cell.array


def surface_scene(values: Any) -> dict[str, Any]:
    """A property of all directions as JSON that ``viewer.js`` draws as a surface, see :meth:`Report.surface`."""
    from matplotlib.colors import to_hex

    from torch_gptff.report.style import color_map

    grid = np.asarray(values, dtype=float)
    return {
        "values": [[float(f"{value:.4g}") for value in row] for row in grid],
        "low": float(grid.min()),
        "high": float(grid.max()),
        "colors": [to_hex(color_map()(share)) for share in np.linspace(0, 1, 64)],
        "view": np.round(orientation(None), 6).tolist(),
    }


def packed_json(content: Any) -> str:
    """JSON, compressed, as text in base 64."""
    return packed_text(json.dumps(content, separators=(",", ":"), allow_nan=False))


def packed_text(text: str) -> str:
    """Text, compressed, in base 64."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def legend(atoms: Atoms) -> list[tuple[str, str]]:
    """Element symbols and their colours, in the order in which they occur."""
    symbols = dict.fromkeys(atoms.get_chemical_symbols())
    return [(symbol, _element(symbol)["color"]) for symbol in symbols]


def picture(atoms: Atoms) -> Figure:
    """The structure and its cell, seen as in the viewer at first, with the images of atoms on its faces, without
    bonds."""
    from ase import Atom
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors
    from ase.visualize.plot import plot_atoms

    turned = atoms.copy()
    turned.set_constraint()
    turned.calc = None
    turned.wrap(eps=ON_FACE)
    if len(turned) <= MOST_DRAWN_TWICE:
        for number, *steps in _images(turned, turned.positions):
            turned.append(Atom(turned.symbols[number], turned.positions[number] + steps @ turned.cell.array))
    view = orientation(atoms)
    turned.set_cell(turned.cell.array @ view.T)
    turned.positions = turned.positions @ view.T
    figure, axes = new_figure(3.9, 3.4)
    plot_atoms(
        turned,
        axes,
        radii=0.45 * covalent_radii[turned.numbers],
        colors=jmol_colors[turned.numbers],
        show_unit_cell=2 if atoms.cell.rank == 3 else 0,
    )
    axes.axis("off")
    return figure


def orientation(atoms: Atoms | None) -> NDArray[np.float64]:
    """Directions to the right, up, and towards the eye, as rows: c points upwards, and a towards the eye, turned and
    tilted by :data:`LOOK`. Without a cell, z and x stand for c and a."""
    cell = atoms.cell.array if atoms is not None and atoms.cell.rank == 3 else np.eye(3)
    up = cell[2] / np.linalg.norm(cell[2])
    front = cell[0] - (cell[0] @ up) * up
    front /= np.linalg.norm(front)
    turn, tilt = np.radians(LOOK)
    side = np.cross(up, front)
    level = np.cos(turn) * front + np.sin(turn) * side
    eye = np.cos(tilt) * level + np.sin(tilt) * up
    above = np.cos(tilt) * up - np.sin(tilt) * level
    return np.array([np.cross(above, eye), above, eye])


def _element(symbol: str) -> dict[str, Any]:
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors
    from matplotlib.colors import to_hex

    number = atomic_numbers[symbol]
    return {
        "color": to_hex(jmol_colors[number]),
        "radius": round(float(covalent_radii[number]), 2),
        "metal": number in METALS,
    }


def _rounded(values: NDArray[np.float64]) -> list[list[float]]:
    return np.round(values + 0.0, DECIMALS).tolist()


def _images(atoms: Atoms, positions: NDArray[np.float64]) -> list[list[int]]:
    """Atoms on a face of the cell, with the translations to the faces opposite, ``[atom, a, b, c]``."""
    if atoms.cell.rank < 3:
        return []
    fractions = np.linalg.solve(atoms.cell.array.T, positions.T).T
    images = []
    for number, place in enumerate(fractions):
        ranges = [(0, 1) if atoms.pbc[k] and abs(place[k]) < ON_FACE else (0,) for k in range(3)]
        images += [[number, a, b, c] for a in ranges[0] for b in ranges[1] for c in ranges[2] if a or b or c]
    return images
