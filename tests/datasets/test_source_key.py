"""Which source the frames of an extended XYZ file say they are of."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from torch_gptff.datasets import Source, read_frames, read_sources
from torch_gptff.errors import LabelError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frames = []
    for kind in ("wbm:1", "md:300"):
        frames.append(bulk("Cu"))
        frames[-1].info = {"REF_energy": -3.7, "config_type": kind, "source": "teacher"}
    write(tmp_path / "frames.extxyz", frames)
    return tmp_path / "frames.extxyz"


def test_the_source_is_where_it_is_asked_for(file: Path) -> None:
    assert [frame.source for frame in read_frames(file)] == ["teacher", "teacher"]
    assert [frame.source for frame in read_frames(file, source_key="config_type")] == ["wbm:1", "md:300"]
    source = Source(file, options={"source_key": "config_type"})
    assert [frame.source for frame in read_sources(source)] == ["wbm:1", "md:300"]


def test_a_source_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(
        LabelError, match=r"frame 0: there is no 'kind' to take the source from; there is .*config_type"
    ):
        list(read_frames(file, source_key="kind"))
