"""Formats by name, told apart by name and content."""

from __future__ import annotations

from pathlib import Path

import pytest

from torch_gptff.datasets import FORMATS, LMDBCrystalDataset, detect_format, open_dataset, read_frames
from torch_gptff.datasets.extxyz import write_extxyz
from torch_gptff.errors import UnknownFormatError, UnreadableDataError
from torch_gptff.graph import CrystalData


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_reader(name: str) -> None:
    assert FORMATS[name].holds
    assert all(isinstance(option, str) for option in FORMATS[name].options())


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.extxyz", "extxyz"),
        ("a.XYZ.gz", "extxyz"),
        ("a.db", "ase-db"),
        ("a.csv.xz", "gptff-csv"),
        ("vasprun.xml", "vasp"),
        ("vasprun_2.xml.gz", "vasp"),
        ("OUTCAR", "vasp"),
        ("OUTCAR.gz", "vasp"),
        ("a.tar.xz", "deepmd"),
        ("a.tgz", "deepmd"),
        ("a.traj", "ase"),
        ("POSCAR", "ase"),
    ],
)
def test_formats_by_name(tmp_path: Path, name: str, format: str) -> None:
    (tmp_path / name).touch()
    assert detect_format(tmp_path / name) == format


@pytest.mark.parametrize(
    "content", ["{}", "[]", "[[1]]", '{"a": "b"}', '[{"structure": {}}]', '{"a": {"b": {"c": 1}}}']
)
def test_json_of_another_layout(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UnknownFormatError, match=r"a.json: JSON, but not as MPtrj"):
        detect_format(tmp_path / "a.json")


def test_what_is_not_there_or_not_known(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no data at"):
        read_frames(tmp_path / "absent.extxyz")
    with pytest.raises(UnknownFormatError, match=r"neither a stored dataset nor"):
        read_frames(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UnreadableDataError, match=r"a.json: not JSON"):
        read_frames(tmp_path / "a.json")
    (tmp_path / "a.csv").touch()
    with pytest.raises(UnknownFormatError, match=r"there is no format 'excel'; there are extxyz"):
        read_frames(tmp_path / "a.csv", format="excel")
    with pytest.raises(UnknownFormatError, match=r"the format gptff-csv has no option type_map; it has none"):
        read_frames(tmp_path / "a.csv", type_map=["Li"])


def test_the_folder_of_a_distillation_is_its_dataset(tmp_path: Path, frames: list[CrystalData]) -> None:
    (tmp_path / "distillation.json").write_text("{}")
    with pytest.raises(UnreadableDataError, match=r"the distillation was not finished"):
        detect_format(tmp_path)
    write_extxyz(tmp_path / "frames.extxyz", frames)
    assert detect_format(tmp_path) == "extxyz"
    assert len(list(read_frames(tmp_path))) == len(frames)
    LMDBCrystalDataset(tmp_path / "dataset", tmp_path / "frames.extxyz", log=False)
    assert detect_format(tmp_path) == "dataset"
    assert isinstance(open_dataset(tmp_path), LMDBCrystalDataset)
    assert len(open_dataset(tmp_path)) == len(list(read_frames(tmp_path))) == len(frames)
