"""Peaks of profiles, followed from one to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.signal import find_peaks

from torch_gptff.record import Record

PROMINENCE = 0.03
"""Smallest prominence of a peak, as a fraction of the highest value of all profiles."""

LARGEST_SHIFT = 0.8
"""Degrees, from one frame to the next: what is farther away is another peak."""


@dataclass(frozen=True)
class PeakTrack(Record):
    """A peak along a trajectory.

    Attributes:
        frames: in which it was seen, ``[K]``
        two_theta: its place in each, degrees, ``[K]``
        heights: of the profile there, ``[K]``
    """

    units: ClassVar[dict[str, str]] = {"two_theta": "°"}

    frames: NDArray[np.int64]
    two_theta: NDArray[np.float64]
    heights: NDArray[np.float64]


@dataclass
class _Track:
    frames: list[int] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)


def track_peaks(two_theta: NDArray[np.float64], profiles: NDArray[np.float64]) -> tuple[PeakTrack, ...]:
    """Find the peaks of every profile, and link those of neighbouring frames that are nearest to each other.

    A peak that is not seen in a frame ends there; one that appears later is another.

    Args:
        two_theta: degrees, equally spaced, ``[P]``
        profiles: ``[F, P]``

    Returns:
        by their first frame, and by angle within it
    """
    least = PROMINENCE * float(profiles.max(initial=0.0))
    done: list[_Track] = []
    alive: list[_Track] = []
    for frame, profile in enumerate(profiles):
        places, heights = _peaks(two_theta, profile, least)
        followed: dict[int, int] = {}
        if alive and len(places):
            distances = np.abs(np.array([track.places[-1] for track in alive])[:, None] - places)
            pairs = zip(*linear_sum_assignment(np.minimum(distances, 2 * LARGEST_SHIFT)), strict=True)
            followed = {int(peak): int(track) for track, peak in pairs if distances[track, peak] <= LARGEST_SHIFT}
        done += [track for number, track in enumerate(alive) if number not in followed.values()]
        alive = [alive[followed[peak]] if peak in followed else _Track() for peak in range(len(places))]
        for track, place, height in zip(alive, places, heights, strict=True):
            track.frames.append(frame)
            track.places.append(float(place))
            track.heights.append(float(height))
    found = sorted(done + alive, key=lambda track: (track.frames[0], track.places[0]))
    return tuple(PeakTrack(np.array(track.frames), np.array(track.places), np.array(track.heights)) for track in found)


def _peaks(
    two_theta: NDArray[np.float64], profile: NDArray[np.float64], least: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places and heights, refined by the parabola through the three highest points."""
    tops = find_peaks(profile, prominence=max(least, 1e-300))[0]
    before, at, after = profile[tops - 1], profile[tops], profile[tops + 1]
    shift = 0.5 * (before - after) / (before - 2 * at + after)
    step = two_theta[1] - two_theta[0]
    return two_theta[tops] + shift * step, at - 0.25 * (before - after) * shift
