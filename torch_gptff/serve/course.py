"""The course of a job: the structure, its frames and its curve, in a bounded number of pieces."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")

MOST_POINTS = 2000
"""Largest number of points of a curve."""


class Thinned(Generic[T]):
    """A list that keeps every first, second, fourth, … of what is added, so that it does not grow beyond a length.

    Args:
        most: its length

    Attributes:
        kept: what it keeps
        times: how often it was thinned
    """

    def __init__(self, most: int) -> None:
        self.kept: list[T] = []
        self.times = 0
        self._most = most
        self._seen = 0
        self._last: T | None = None

    def add(self, item: T) -> None:
        """Add an item."""
        is_kept = self._seen % 2**self.times == 0
        self._seen += 1
        self._last = None if is_kept else item
        if not is_kept:
            return
        self.kept.append(item)
        if len(self.kept) > self._most:
            self._last = self.kept[-1] if len(self.kept) % 2 == 0 else None
            self.kept = self.kept[::2]
            self.times += 1

    def close(self) -> None:
        """Keep the last item, too."""
        if self._last is not None:
            self.kept.append(self._last)
            self._last = None


class Course:
    """History of a job.

    Args:
        scene: the structure it begins with, see :func:`torch_gptff.report.structures.scene`

    Attributes:
        label: what frames and points are counted by, with its unit
        columns: names of the values of a point, with their units
        points: numbers along the course, and values
        frames: numbers along the course, cells and positions
    """

    def __init__(self, scene: dict[str, Any]) -> None:
        self.begun = 0
        self._set(scene, "", [], 1)

    def _set(self, scene: dict[str, Any], label: str, columns: list[str], most: int) -> None:
        self.scene, self.label, self.columns = scene, label, columns
        self.points: Thinned[list[float]] = Thinned(MOST_POINTS)
        self.frames: Thinned[dict[str, Any]] = Thinned(most)

    @property
    def generation(self) -> int:
        """Changes where pieces have gone, or are of another structure: whoever follows begins anew."""
        return 100 * self.begun + self.points.times + self.frames.times

    def begin(self, scene: dict[str, Any], label: str, columns: list[str], most: int) -> None:
        """Begin anew with another structure, or with other counts.

        Args:
            scene: of the first frame
            label: what frames and points are counted by, with its unit
            columns: names of the values of a point, with their units
            most: number of frames that are kept
        """
        self.begun += 1
        self._set(scene, label, columns, most)

    def add(self, points: list[list[float]], frames: list[dict[str, Any]]) -> None:
        """Add what came next."""
        for point in points:
            self.points.add(point)
        for frame in frames:
            self.frames.add(frame)

    def close(self) -> None:
        """Keep the ends of what was thinned."""
        self.points.close()
        self.frames.close()

    def since(self, seen: tuple[int, int, int]) -> tuple[tuple[int, int, int], dict[str, Any] | None]:
        """Changes since the last ones that a client has seen, and the mark of the latest.

        Args:
            seen: generation, points and frames that they have; ``(-1, 0, 0)`` for nothing
        """
        now = (self.generation, len(self.points.kept), len(self.frames.kept))
        if now == seen:
            return now, None
        if now[0] == seen[0]:
            return now, {"points": self.points.kept[seen[1] :], "frames": self.frames.kept[seen[2] :]}
        whole = {"scene": self.scene, "label": self.label, "columns": self.columns}
        return now, {**whole, "points": self.points.kept, "frames": self.frames.kept}
