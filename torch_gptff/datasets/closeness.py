"""Detection of labelled frames whose atoms are too close to each other, by a mistake or on purpose."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

from torch_geometric.data import Data

from torch_gptff.graph.contacts import NEAREST, near_pairs

MOST = 20_000
"""Number of frames that are checked, from the start of the data; each takes a millisecond."""


def check_closeness(frames: Iterable[Data]) -> list[str]:
    """One sentence for each source that has frames with atoms nearer than a third of the sum of their covalent radii.

    Frames of collisions are made on purpose, and are labelled and trained on as they are; a duplicate, or positions in
    another unit, look the same.
    """
    looked_at: Counter[str] = Counter()
    number: Counter[str] = Counter()
    nearest: dict[str, tuple[float, str]] = {}
    for frame in itertools.islice(frames, MOST):
        looked_at[frame.source] += 1
        distances = near_pairs(frame, NEAREST)[2]
        if len(distances):
            number[frame.source] += 1
            found = (float(distances.min()), frame.frame_id)
            nearest[frame.source] = min(nearest.get(frame.source, found), found)
    return [
        f"{source}: atoms are nearer than a third of touching in {count} of {looked_at[source]} frames, down to "
        f"{nearest[source][0]:.2g} Å in {nearest[source][1]}: right where they are collisions made on purpose; "
        "otherwise look for duplicates and for units of length"
        for source, count in number.items()
    ]
