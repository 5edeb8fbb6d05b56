"""The published GPTFF's CSV, MPtrj and MatPES: files as their descriptions say, with known physics in them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff.datasets import check_work, detect_format, is_known, read_frames
from torch_gptff.errors import LabelError, PartialOccupancyError, UnreadableDataError
from torch_gptff.graph import CrystalData

KBAR = 1602.1766208


def entries(metals: list[Atoms]) -> list[dict[str, Any]]:
    """Structures and labels in VASP's units and signs."""
    listed = []
    for atoms in metals:
        xx, yy, zz, yz, xz, xy = (-KBAR * atoms.calc.results["stress"]).tolist()
        listed.append(
            {
                "structure": AseAtomsAdaptor.get_structure(atoms).as_dict(),
                "energy": float(atoms.calc.results["energy"]),
                "forces": atoms.calc.results["forces"].tolist(),
                "stress": [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]],
            }
        )
    return listed


def check(frames: list[CrystalData], metals: list[Atoms]) -> None:
    assert len(frames) == len(metals)
    for frame, atoms in zip(frames, metals, strict=True):
        assert frame.z.tolist() == atoms.numbers.tolist()
        np.testing.assert_allclose(frame.cell[0], atoms.cell.array, atol=1e-12)
        shift = (frame.pos.numpy() - atoms.positions) @ np.linalg.inv(atoms.cell.array)
        np.testing.assert_allclose(shift, np.round(shift), atol=1e-9)
        assert frame.energy.item() == pytest.approx(atoms.calc.results["energy"])
        np.testing.assert_allclose(frame.forces, atoms.calc.results["forces"], atol=1e-9)
        xx, yy, zz, yz, xz, xy = atoms.calc.results["stress"]
        np.testing.assert_allclose(frame.stress[0], [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-9)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = ["struct_id", "energy", "forces", "stress", "structure", "fold", "ref_energy"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("as_text", [repr, json.dumps])
def test_gptff_csv(tmp_path: Path, metals: list[Atoms], as_text: Any) -> None:
    rows: list[dict[str, Any]] = [
        {
            "struct_id": f"id-{number}",
            "energy": entry["energy"],
            "forces": as_text(entry["forces"]),
            "stress": as_text(entry["stress"]),
            "structure": as_text(entry["structure"]),
            "fold": number % 3,
            "ref_energy": -1.0,
        }
        for number, entry in enumerate(entries(metals))
    ]
    path = tmp_path / "train.csv"
    write_csv(path, rows)
    assert detect_format(path) == "gptff-csv"
    frames = list(read_frames(path))
    check(frames, metals)
    assert [frame.frame_id for frame in frames] == [row["struct_id"] for row in rows]
    assert [frame.split for frame in frames] == [str(row["fold"]) for row in rows]

    rows[4]["stress"] = ""
    write_csv(path, rows)
    assert [bool(is_known(frame, "stress")) for frame in read_frames(path)].index(False) == 4
    rows[5]["energy"] = "nan"
    write_csv(path, rows)
    with pytest.raises(LabelError, match=r"train.csv, row 5: the energy is not finite"):
        list(read_frames(path))
    rows[5] = {**rows[4], "forces": "[[1, 2"}
    write_csv(path, rows)
    with pytest.raises(UnreadableDataError, match=r"train.csv, row 5: forces is neither JSON nor Python"):
        list(read_frames(path))
    rows[5] = {**rows[4], "stress": "[1, 2, 3, 4, 5, 6]"}
    write_csv(path, rows)
    with pytest.raises(LabelError, match=r"row 5: a stress has 9 or 3x3 components here"):
        list(read_frames(path))


def test_a_csv_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("name,age\nAda,36\n")
    with pytest.raises(
        UnreadableDataError, match=r"other.csv, row 0: there is no 'structure'; there are 'name', 'age'"
    ):
        list(read_frames(path))


def mptrj(metals: list[Atoms]) -> dict[str, dict[str, Any]]:
    frames: dict[str, dict[str, Any]] = {}
    for number, (entry, atoms) in enumerate(zip(entries(metals), metals, strict=True)):
        frames.setdefault(f"mp-{number // 4}", {})[f"mp-{number // 4}-0-{number}"] = {
            "structure": entry["structure"],
            "uncorrected_total_energy": entry["energy"] + 2.0,
            "corrected_total_energy": entry["energy"],
            "energy_per_atom": entry["energy"] / len(atoms),
            "force": entry["forces"],
            "stress": entry["stress"],
            "magmom": None,
            "mp_id": f"mp-{number // 4}",
        }
    return frames


def test_mptrj(tmp_path: Path, metals: list[Atoms]) -> None:
    path = tmp_path / "MPtrj.json"
    path.write_text(json.dumps(mptrj(metals)))
    assert detect_format(path) == "mptrj"
    frames = list(read_frames(path))
    check(frames, metals)
    check(list(read_frames(path, energy_key="energy_per_atom")), metals)
    uncorrected = next(read_frames(path, energy_key="uncorrected_total_energy"))
    assert uncorrected.energy.item() == pytest.approx(frames[0].energy.item() + 2)
    assert frames[5].material == "mp-1"
    assert frames[5].frame_id == "mp-1-0-5"
    with pytest.raises(UnreadableDataError, match=r"MPtrj has no energy 'e'"):
        list(read_frames(path, energy_key="e"))


def test_mptrj_with_missing_bad_and_truncated_labels(tmp_path: Path, metals: list[Atoms]) -> None:
    content = mptrj(metals)
    path = tmp_path / "MPtrj.json"
    frame = content["mp-1"]["mp-1-0-5"]
    frame["stress"] = None
    path.write_text(json.dumps(content))
    assert [bool(is_known(each, "stress")) for each in read_frames(path)].index(False) == 5
    frame["force"][1][2] = float("nan")
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"MPtrj.json, mp-1, frame mp-1-0-5: the forces are not finite"):
        list(read_frames(path))
    frame["force"] = frame["force"][:-1]
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"frame mp-1-0-5: forces have the shape"):
        list(read_frames(path))
    del frame["force"]
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableDataError, match=r"frame mp-1-0-5: there is no 'force'; there are 'structure'"):
        list(read_frames(path))
    path.write_text(json.dumps(mptrj(metals))[:-500])
    with pytest.raises(UnreadableDataError, match=r"truncated, after 2 items"):
        list(read_frames(path, format="mptrj"))


def matpes(metals: list[Atoms]) -> list[dict[str, Any]]:
    listed = []
    for number, (entry, atoms) in enumerate(zip(entries(metals), metals, strict=True)):
        six = (-KBAR * atoms.calc.results["stress"]).tolist()
        origin = {"matpes_id": f"matpes-{number}", "functional": "PBE", "provenance": {"original_mp_id": "mp-23"}}
        listed.append({**entry, "stress": six, **origin, "bandgap": 0.0})
    return listed


def test_matpes(tmp_path: Path, metals: list[Atoms]) -> None:
    path = tmp_path / "MatPES.json.gz"
    with gzip.open(path, "wt") as file:
        json.dump(matpes(metals), file)
    assert detect_format(path) == "matpes"
    frames = list(read_frames(path))
    check(frames, metals)
    assert (frames[3].frame_id, frames[3].material, frames[3].source) == ("matpes-3", "mp-23", "MatPES-PBE")


def test_partial_occupancy_is_named(tmp_path: Path, metals: list[Atoms]) -> None:
    content = matpes(metals)
    content[1]["structure"]["sites"][2]["species"] = [{"element": "Cu", "occu": 0.5}, {"element": "Au", "occu": 0.5}]
    path = tmp_path / "MatPES.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PartialOccupancyError, match=r"MatPES.json, entry 1: a site holds Cu 0.5, Au 0.5"):
        list(read_frames(path))
    content[1]["structure"]["sites"][2]["species"] = [{"element": "Xx", "occu": 1}]
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableDataError, match=r"entry 1: no element has the symbol 'Xx'"):
        list(read_frames(path))
    content[1]["structure"] = {"lattice": {}}
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableDataError, match=r"entry 1: the structure is not the as_dict"):
        list(read_frames(path))


def test_structures_are_those_of_pymatgen(tmp_path: Path) -> None:
    """Oxidation states, site properties and open directions do not disturb."""
    structure = Structure.from_spacegroup(
        "Fm-3m", [[5.6, 0, 0], [0, 5.6, 0], [0, 0, 5.6]], ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    structure.add_site_property("magmom", [0.0] * 8)
    content = [{"structure": structure.as_dict(), "energy": -27.0, "forces": np.zeros((8, 3)).tolist(), "stress": None}]
    path = tmp_path / "salt.json"
    path.write_text(json.dumps(content))
    (frame,) = read_frames(path, format="matpes")
    expected = CrystalData.from_pymatgen(structure)
    assert frame.z.tolist() == expected.z.tolist()
    np.testing.assert_allclose(frame.pos, expected.pos, atol=1e-12)
    assert frame.pbc.tolist() == [[True, True, True]]


def test_the_labels_of_a_trajectory_belong_together(tmp_path: Path, metals: list[Atoms], emt_labelled: Any) -> None:
    """A path of small random steps, through MPtrj's units and signs: work equals energy."""
    rng = np.random.default_rng(0)
    atoms = metals[1]
    path_of_atoms = []
    for _ in range(40):
        atoms = atoms.copy()
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.01, size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.03, size=(len(atoms), 3))
        path_of_atoms.append(emt_labelled(atoms))
    path = tmp_path / "MPtrj.json"
    path.write_text(json.dumps(mptrj(path_of_atoms)))
    (work,) = check_work(read_frames(path))
    assert work.forces == pytest.approx(1, abs=0.1)
    assert work.stress == pytest.approx(1, abs=0.1)
