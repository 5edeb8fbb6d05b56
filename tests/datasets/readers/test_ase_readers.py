"""ASE databases and whatever else ASE reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.db import connect
from ase.io import write

from torch_gptff.datasets import detect_format, is_known, read_frames
from torch_gptff.errors import UnreadableDataError


@pytest.mark.parametrize("name", ["metals.db", "metals.json"])
def test_a_database(tmp_path: Path, metals: list[Atoms], name: str) -> None:
    with connect(tmp_path / name) as database:
        for number, atoms in enumerate(metals):
            database.write(atoms, split="test" if number == 3 else "train", material=f"m-{number}")
    assert detect_format(tmp_path / name) == "ase-db"
    frames = list(read_frames(tmp_path / name))
    assert [frame.material for frame in frames] == [f"m-{number}" for number in range(len(metals))]
    assert [frame.split for frame in frames].index("test") == 3
    for frame, atoms in zip(frames, metals, strict=True):
        assert frame.energy.item() == pytest.approx(atoms.calc.results["energy"])
        np.testing.assert_allclose(frame.forces, atoms.calc.results["forces"], atol=1e-12)
        assert bool(is_known(frame, "stress"))


def test_a_trajectory(tmp_path: Path, metals: list[Atoms]) -> None:
    write(tmp_path / "run.traj", metals)
    assert detect_format(tmp_path / "run.traj") == "ase"
    frames = list(read_frames(tmp_path / "run.traj"))
    assert len(frames) == len(metals)
    np.testing.assert_allclose(frames[-1].forces, metals[-1].calc.results["forces"])


def test_what_ase_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "notes.xyzzy"
    path.write_text("nothing of this is an atom")
    with pytest.raises(UnreadableDataError, match=r"notes.xyzzy: not a file that ASE knows"):
        list(read_frames(path))
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(UnreadableDataError, match=r"broken.db: not an ASE database"):
        list(read_frames(tmp_path / "broken.db"))
