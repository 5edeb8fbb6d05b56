"""Refusal of frames with atoms nearer than a third of touching, as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from torch_gptff.errors import CloseAtomsError
from torch_gptff.graph.contacts import check_contacts

T = TypeVar("T")


def checked(frames: Iterable[T], what: str, allow_close: bool) -> Iterator[T]:
    """The frames, unchanged.

    Args:
        frames: of any kind that :func:`~torch_gptff.graph.contacts.check_contacts` takes
        what: they are of, for the message
        allow_close: whether to give those with atoms nearer than a third of touching, too

    Raises:
        CloseAtomsError: names the first frame that has some.
    """
    for number, frame in enumerate(frames):
        if not allow_close:
            try:
                check_contacts(frame)
            except CloseAtomsError as error:
                raise CloseAtomsError(f"{what}, frame {number}: {error}") from error
        yield frame
