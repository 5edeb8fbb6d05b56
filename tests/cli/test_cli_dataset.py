"""``torch-gptff dataset``: inspect, convert, split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from torch_gptff.datasets import LMDBCrystalDataset, OnDiskCrystalDataset, Split


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty labelled frames of copper, gold and their alloys, some of them for testing."""
    frames = []
    for seed in range(30):
        atoms = bulk("Cu", cubic=True, a=3.8) * (1 + seed % 2, 1, 1)
        atoms.symbols[: seed % 5] = "Au"
        atoms.set_cell(atoms.cell * (1 + 0.01 * (seed % 4)), scale_atoms=True)
        atoms.rattle(0.05, seed=seed)
        frames.append(labelled(atoms))
        frames[-1].info["split"] = "test" if seed % 5 == 0 else "train"
    write(tmp_path / "alloys.extxyz", frames)
    return tmp_path / "alloys.extxyz"


def labelled(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_inspect(call, data: Path, tmp_path: Path) -> None:
    result = call("dataset", "inspect", data, "--elements", "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("30 frames of 7 materials, 180 atoms: 4 to 8 a frame, 6.0 in the mean\n2 elements")
    assert "Au in 24 frames" in result.stdout
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["known"] == {"energy": 30, "forces": 30, "stress": 30}
    assert document["elements"]["29"] == [27, 120]
    assert document["suspicions"] == []
    assert set(document["element_energies"]["alloys"]["energies"]) == {"29", "79"}


def test_inspect_warns_of_units(call, data: Path, tmp_path: Path) -> None:
    atoms = labelled(bulk("Cu", cubic=True) * (2, 1, 1))
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        atoms = atoms.copy()
        atoms.positions += rng.normal(scale=0.03, size=(8, 3))
        labelled(atoms)
        atoms.calc.results["forces"] = atoms.calc.results["forces"] / 51.422
        frames.append(atoms)
    write(tmp_path / "atomic-units.extxyz", frames)
    result = call("dataset", "inspect", tmp_path / "atomic-units.extxyz")
    assert result.exit_code == 0
    assert "warning: atomic-units: the forces account for the energies" in result.stderr
    assert "Hartree/Bohr?" in result.stderr


def test_convert_and_read_again(call, data: Path, tmp_path: Path) -> None:
    result = call("dataset", "convert", data, "--out", tmp_path / "lmdb", "--cutoff", "3.5", "--angle-cutoff", "3")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"30 frames -> {tmp_path / 'lmdb'}"
    dataset = LMDBCrystalDataset(tmp_path / "lmdb")
    assert dataset[3].angle_index.size(1) > 0
    assert call("dataset", "convert", tmp_path / "lmdb", "--out", tmp_path / "back.extxyz").exit_code == 0
    for one, other in zip(read(tmp_path / "back.extxyz", ":"), read(data, ":"), strict=True):
        np.testing.assert_allclose(one.get_forces(), other.get_forces(), atol=1e-8)
        np.testing.assert_allclose(one.get_stress(), other.get_stress(), atol=1e-8)
        assert one.info["split"] == other.info["split"]
    again = call("dataset", "convert", data, "--out", tmp_path / "lmdb", "--kind", "on-disk")
    assert again.exit_code == 2
    assert "--overwrite replaces it" in again.stderr
    options = ("--kind", "on-disk", "--source", "emt")
    assert call("dataset", "convert", data, "--out", tmp_path / "db", *options).exit_code == 0
    assert OnDiskCrystalDataset(tmp_path / "db")[0].source == "emt"
    shown = call("dataset", "inspect", tmp_path / "lmdb")
    assert shown.stdout == call("dataset", "inspect", data).stdout


def test_split_and_check(call, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    result = call("dataset", "split", data, "--by", "formula", "--fractions", "0.6,0.4", "--seed", "1", "--out", file)
    assert result.exit_code == 0, result.stderr
    split = Split.load(file)
    assert set(split.parts) == {"train", "test"}
    assert call("dataset", "split", data, "--check", file).stdout.splitlines()[-1] == f"{file}: no leaks"
    document = json.loads(file.read_text())
    train, test = document["parts"].values()
    first = train[0][0]
    train[0][0] += 1
    test.insert(0, [first, first + 1])
    document["frames"]["train"] -= 1
    document["frames"]["test"] += 1
    file.write_text(json.dumps(document))
    leaky = call("dataset", "split", data, "--check", file)
    assert leaky.exit_code == 1
    assert leaky.stderr.startswith("error: train and test share 1 formula")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--by", "random"), {"train": 24, "validation": 3, "test": 3}),
        (("--by", "given"), {"train": 24, "test": 6}),
        (("--by", "element", "--elements", "Au"), {"train": 6, "test": 24}),
        (("--by", "random", "--folds", "3"), {"fold-1": 10, "fold-2": 10, "fold-3": 10}),
        (("--by", "material", "--folds", "3"), None),
    ],
)
def test_ways_to_split(
    call, data: Path, tmp_path: Path, options: tuple[str, ...], parts: dict[str, int] | None
) -> None:
    result = call("dataset", "split", data, *options, "--out", tmp_path / "split.json")
    assert result.exit_code == 0, result.stderr
    split = Split.load(tmp_path / "split.json")
    assert sum(map(len, split.parts.values())) == 30
    if parts is not None:
        assert {name: len(indices) for name, indices in split.parts.items()} == parts


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("inspect", "absent.extxyz"), 1, "error: no data at absent.extxyz"),
        (("inspect", "DATA", "--format", "excel"), 1, "error: there is no format 'excel'"),
        (("inspect", "DATA", "-o", "type_map"), 2, "is not KEY=VALUE"),
        (("inspect", "DATA", "-o", "type_map=Cu"), 1, "the format extxyz has no option type_map"),
        (("inspect", "mptrj"), 1, "error: mptrj cannot be downloaded automatically: get it from https://doi.org"),
        (("convert", "DATA", "--out", "OUT", "--angle-cutoff", "3"), 2, "angles need bonds"),
        (("split", "DATA"), 2, "name the file to write"),
        (("split", "DATA", "--out", "OUT", "--fractions", "a,b"), 2, "two or three numbers"),
        (("split", "DATA", "--out", "OUT", "--by", "element"), 2, "--by element and --elements go together"),
        (("split", "DATA", "--out", "OUT", "--by", "element", "--elements", "Xx"), 2, "no element 'Xx'"),
        (("split", "DATA", "--check", "DATA"), 1, "not a split"),
        (("split", "DATA", "--out", "OUT", "--folds", "9"), 1, "too few"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    call, data: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    places = {"DATA": data, "OUT": tmp_path / "out"}
    result = call("dataset", *(places.get(argument, argument) for argument in arguments))
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert code == 2 or result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_failed_conversion_leaves_nothing(call, data: Path, tmp_path: Path) -> None:
    data.write_text(data.read_text() + "garbage\n")
    for out in ("out", "out.extxyz"):
        result = call("dataset", "convert", data, "--out", tmp_path / out)
        assert result.exit_code == 1
        assert result.stderr == f"error: {data}, frame 30: expected a number of atoms, found 'garbage'\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alloys.extxyz"]


def test_keys_and_placeholders_are_told(call, data: Path, tmp_path: Path) -> None:
    """What labels are read from, what is not read, and zeros that stand for nothing."""
    frames = read(data, ":")
    for atoms in frames:
        results = atoms.calc.results
        atoms.calc = None
        atoms.info["REF_energy"] = results["energy"]
        atoms.arrays["REF_force"] = np.zeros((len(atoms), 3))
        atoms.info["stress"] = np.full((3, 3), 0.1)
    write(tmp_path / "odd.extxyz", frames)
    result = call("dataset", "inspect", tmp_path / "odd.extxyz")
    assert result.exit_code == 0, result.stderr
    first, *others = result.stderr.splitlines()
    assert first.startswith(
        f"warning: {tmp_path}/odd.extxyz: energy from REF_energy, forces from REF_force; not read: "
    )
    assert "which leaves stress unknown" in first
    assert any("the forces of" in line and "are exactly zero" in line for line in others)
