"""Names of output files: one for each structure, none twice, none of an input."""

from __future__ import annotations

from pathlib import Path

import pytest

from torch_gptff.errors import ExistingResultsError
from torch_gptff.io.output_names import OutputNames


def test_names_of_compressed_and_dotted_files(tmp_path: Path) -> None:
    names = OutputNames(tmp_path, [])
    assert names.take("x/md.xyz.gz").name == "md"
    assert names.take("x/TiO2.v2.cif").name == "TiO2.v2"
    assert names.take("x/md.xyz@12").name == "md-12"
    assert names.take("y/MD.xyz").name == "MD-2"


def test_no_name_is_that_of_an_input_or_given_twice(tmp_path: Path) -> None:
    names = OutputNames(tmp_path, [str(tmp_path / "salt.extxyz")])
    assert [names.take("other/salt.cif").name for _ in range(3)] == ["salt-2", "salt-3", "salt-4"]


def test_files_of_an_earlier_run_are_found(tmp_path: Path) -> None:
    for name in ("salt.extxyz", "salt-3.traj", "salt-notes.txt", "pepper.cif"):
        (tmp_path / name).touch()
    assert OutputNames(tmp_path, ["x/salt.cif"]).existing == [tmp_path / "salt-3.traj", tmp_path / "salt.extxyz"]
    resumed = OutputNames(tmp_path, ["x/salt.cif"], resume=True)
    with pytest.raises(ExistingResultsError, match="not of the run that goes on"):
        resumed.require_free(tmp_path / "salt")
    resumed.require_free(tmp_path / "sugar")
