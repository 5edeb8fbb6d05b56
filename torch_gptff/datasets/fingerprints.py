"""Fingerprint of all frames of a dataset, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from torch_geometric.data import Data, Dataset

from torch_gptff.datasets.frames import LABELS

DIGITS = 3
"""Decimals of coordinates in Å that are compared."""


def dataset_fingerprint(frames: Iterable[Data]) -> str:
    """The fingerprint of frames: atoms, labels and order; not of graphs, and not of how they are stored."""
    stored = getattr(frames, "stored_fingerprint", None)
    if stored is not None:
        return str(stored)
    total = hashlib.sha256()
    for frame in untransformed(frames):
        total.update(frame_digest(frame))
    return total.hexdigest()


def frame_digest(frame: Data) -> bytes:
    """Sixteen bytes that differ for frames with different atoms or labels."""
    digest = hashlib.blake2b(digest_size=16)
    for key in ("z", "pbc"):
        digest.update(frame[key].numpy().astype("<u1").tobytes())
    for key in ("pos", "cell", *LABELS):
        digest.update(frame[key].numpy().astype("<f8").tobytes())
    return digest.digest()


def structure_digest(frame: Data) -> int:
    """A number below 2⁶³ that two frames share when their atoms are the same ones at the same places."""
    digest = hashlib.blake2b(frame.z.numpy().astype("<u1").tobytes(), digest_size=8)
    for key in ("pos", "cell"):
        rounded = np.round(frame[key].numpy().astype("<f8"), DIGITS) + 0.0  # no negative zero
        digest.update(rounded.tobytes())
    return int.from_bytes(digest.digest(), "little") >> 1


def untransformed(frames: Iterable[Data]) -> Iterator[Data]:
    """The frames of a dataset as they are stored, without its ``transform``; other iterables as they are."""
    if isinstance(frames, Dataset):
        return (frames.get(index) for index in frames.indices())
    return iter(frames)


def untransformed_frame(frames: Sequence[Data] | Dataset, number: int) -> Data:
    """One frame, as :func:`untransformed` gives it."""
    return frames.get(frames.indices()[number]) if isinstance(frames, Dataset) else frames[number]
