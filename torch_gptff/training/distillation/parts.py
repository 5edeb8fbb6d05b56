"""Results in numbered parts, so that a stopped run can continue."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.io import read, write

from torch_gptff.io.files import written_atomically


@dataclass(frozen=True)
class Parts:
    """Files of frames, each with a count of what was left out.

    A part is there when its count is, which is written last. Frames are read back from the file, whether they were
    written a moment or a run ago, so that an interrupted run gives what an uninterrupted one does.

    Attributes:
        folder: folder of the files
        name: beginning of the names of the files
    """

    folder: Path
    name: str

    def is_there(self, number: int) -> bool:
        """Whether a part was finished."""
        return self._count(number).is_file()

    def write(self, number: int, frames: Sequence[Atoms], left_out: Counter[str]) -> None:
        """Keep a part."""
        if frames:
            with written_atomically(self.file(number)) as temporary:
                write(temporary, list(frames), format="extxyz")
        with written_atomically(self._count(number)) as temporary:
            temporary.write_text(json.dumps({"frames": len(frames), "left_out": dict(left_out)}, ensure_ascii=False))

    def read(self, number: int) -> list[Atoms]:
        """The frames of a part."""
        file = self.file(number)
        return read(file, ":", format="extxyz") if self.n_frames(number) else []

    def n_frames(self, number: int) -> int:
        """Number of frames of a part."""
        return int(json.loads(self._count(number).read_text())["frames"])

    def left_out(self, n_parts: int) -> Counter[str]:
        """Number of frames left out of all parts, by reason."""
        total: Counter[str] = Counter()
        for number in range(n_parts):
            total.update(json.loads(self._count(number).read_text())["left_out"])
        return total

    def file(self, number: int) -> Path:
        """The frames of a part; there are none where the part is empty."""
        return self.folder / f"{self.name}-{number:06d}.extxyz"

    def _count(self, number: int) -> Path:
        return self.file(number).with_suffix(".json")
