"""Records: what is saved comes back, and what is not a record is not taken for one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from monty.json import MontyDecoder, MontyEncoder

from torch_gptff.errors import GPTFFError, RecordError
from torch_gptff.record import Record
from torch_gptff.workflows import relax


@dataclass(frozen=True)
class Inner(Record):
    value: float


@dataclass(frozen=True)
class Outer(Record):
    derived: ClassVar[tuple[str, ...]] = ("doubled", "absent")
    units: ClassVar[dict[str, str]] = {"matrix": "GPa"}
    name: str
    matrix: np.ndarray
    maybe: float | None
    flags: tuple[bool, ...]
    inner: tuple[Inner, ...]
    charges: dict[str, float]

    @property
    def doubled(self) -> float:
        return 2 * float(self.matrix[0, 0])

    @property
    def absent(self) -> float:
        raise GPTFFError("there is none")


@dataclass(frozen=True)
class Holder(Record):
    atoms: Atoms


@pytest.fixture
def record() -> Outer:
    return Outer("Ti (α)", np.array([[1.5, 2], [3, 4]]), None, (True, False), (Inner(1.0), Inner(2.0)), {"Li": 1.0})


def test_a_record_comes_back(record: Outer, tmp_path: Path) -> None:
    record.save(tmp_path / "deep/record.json")
    found = Outer.load(tmp_path / "deep/record.json")
    np.testing.assert_array_equal(found.matrix, record.matrix)
    assert (found.name, found.maybe, found.flags, found.inner, found.charges) == (
        record.name,
        None,
        (True, False),
        record.inner,
        record.charges,
    )


def test_the_file_states_derived_values_and_units(record: Outer, tmp_path: Path) -> None:
    record.save(tmp_path / "record.json")
    document = json.loads((tmp_path / "record.json").read_text())
    assert document["derived"] == {"doubled": 3.0, "absent": None}
    assert document["units"] == {"matrix": "GPa"}


def test_structures_come_back(tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.5)
    salt.set_masses([22.0, 37.0])
    Holder(salt).save(tmp_path / "salt.json")
    found = Holder.load(tmp_path / "salt.json").atoms
    assert found == salt
    assert found.get_masses().tolist() == [22.0, 37.0]


def test_monty_builds_a_record_again(tmp_path: Path) -> None:
    """So do jobflow and atomate2, by the same encoder and decoder."""
    relaxation = relax(bulk("Cu"), EMT(), max_steps=2)
    found = json.loads(json.dumps({"one": [relaxation]}, cls=MontyEncoder), cls=MontyDecoder)["one"][0]
    assert type(found) is type(relaxation)
    assert found.energy == relaxation.energy
    assert found.final == relaxation.final
    np.testing.assert_array_equal(found.energies, relaxation.energies)


def test_other_files_are_refused(record: Outer, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record.save(path)
    with pytest.raises(RecordError, match=r"record.json: this is no Inner but Outer"):
        Inner.load(path)
    path.write_text("{")
    with pytest.raises(RecordError, match="is no JSON file"):
        Outer.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(RecordError, match="no record of a result at all"):
        Outer.load(path)
    path.write_text('{"record": "Inner"}')
    with pytest.raises(RecordError, match="lacks 'value'"):
        Inner.load(path)
    path.write_text(json.dumps({**record.to_dict(), "inner": 3}))
    with pytest.raises(RecordError, match="'inner' of Outer cannot be read"):
        Outer.load(path)


def test_what_is_not_finite_is_not_written(record: Outer, tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(RecordError, match=r"value is (nan|inf)"):
            Inner(value).save(tmp_path / "inner.json")
    broken = Outer("x", np.array([[np.nan]]), None, (), (), {})
    with pytest.raises(RecordError, match="matrix is not finite"):
        broken.save(tmp_path / "outer.json")
    assert list(tmp_path.iterdir()) == []
