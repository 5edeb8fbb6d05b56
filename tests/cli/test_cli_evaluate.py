"""``torch-gptff evaluate``: a table, a JSON file, a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from html_page import assert_self_contained

from torch_gptff import Potential, load, save
from torch_gptff.evaluation import Evaluation
from torch_gptff.models import GPTFF, GPTFFConfig


@pytest.fixture
def data(checkpoint: Path, tmp_path: Path) -> Path:
    """Twelve frames of rocksalt whose energies are 0.1 eV per atom, and forces 0.05 eV/Å, above the small model's."""
    potential, frames = load(checkpoint), []
    for seed in range(12):
        atoms = bulk("NaCl", "rocksalt", a=5.5 + 0.02 * seed, cubic=seed % 2 == 0)
        atoms.rattle(0.1, seed=seed)
        (prediction,) = potential.predict([atoms])
        atoms.calc = SinglePointCalculator(
            atoms, energy=prediction.energy.item() + 0.1 * len(atoms), forces=prediction.forces.numpy() + 0.05
        )
        atoms.info["split"] = "test" if seed < 4 else "train"
        frames.append(atoms)
    write(tmp_path / "salt.extxyz", frames)
    return tmp_path / "salt.extxyz"


def test_table_json_and_arrays(call, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    out, arrays = tmp_path / "out.json", tmp_path / "out.npz"
    result = call("evaluate", checkpoint, data, "--json", out, "--arrays", arrays, "--align", "--by-element")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "12 frames of 60 atoms"
    assert lines[2].split() == ["energy", "12", "100.00", "0.00", "100.00", "0.00", "meV/atom", *lines[2].split()[-1:]]
    assert lines[3].split()[:4] == ["aligned", "energy", "12", "0.00"]
    assert lines[4].split()[:3] == ["forces", "180", "50.00"]
    assert lines[5].split() == ["stress", "0", *["–"] * 4, "GPa", "–"]
    assert [line.split()[0] for line in lines[7:]] == ["Na", "Cl"]
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["mae"] == {"energy_per_atom": pytest.approx(0.1), "forces": pytest.approx(0.05), "stress": None}
    assert document["rmse"]["forces"] == pytest.approx(0.05)
    assert document["counts"] == {"frames": 12, "atoms": 60, "energy_per_atom": 12, "forces": 180, "stress": 0}
    assert document["aligned"]["mae"]["energy_per_atom"] == pytest.approx(0, abs=1e-6)
    assert document["model"] == str(checkpoint)
    assert Evaluation.load(arrays).mae.to_dict() == document["mae"]


def test_frames_with_close_atoms_are_evaluated_where_it_is_forced(call, checkpoint: Path, tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    close = salt.copy()
    close.positions[1] = close.positions[0] + [0, 0, 0.3]
    for atoms in (salt, close):
        atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    write(tmp_path / "close.extxyz", [salt, close])
    result = call("evaluate", checkpoint, tmp_path / "close.extxyz")
    assert result.exit_code == 1
    assert "close.extxyz, frame 1: atoms 0 (Na) and 1 (Cl) are 0.3 Å apart" in " ".join(result.stderr.split())
    result = call("evaluate", checkpoint, tmp_path / "close.extxyz", "--allow-close")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 frames of 4 atoms")


def test_another_reference_is_hinted_at(call, checkpoint: Path, data: Path) -> None:
    result = call("evaluate", checkpoint, data)
    assert (
        "warning: a constant for each element reduces the error of the energies from 100 to 0 meV/atom" in result.stderr
    )
    assert call("evaluate", checkpoint, data, "--align").stderr == ""
    assert call("evaluate", checkpoint, data, "--part", "test").stderr == "", "four frames tell nothing"


def test_json_on_standard_output_is_all_there_is(call, checkpoint: Path, data: Path) -> None:
    result = call("evaluate", checkpoint, data, "--json", "-")
    assert json.loads(result.stdout)["counts"]["frames"] == 12


def test_parts_of_the_files_and_of_a_split(call, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    result = call("evaluate", checkpoint, data, "--part", "test")
    assert result.stdout.startswith("4 frames of 20 atoms\n")
    file = tmp_path / "split.json"
    assert call("dataset", "split", data, "--by", "random", "--fractions", "0.5,0.5", "--out", file).exit_code == 0
    assert call("evaluate", checkpoint, data, "--split", file).stdout.startswith("6 frames of")
    assert call("evaluate", checkpoint, data, "--split", file, "--part", "train").stdout.startswith("6 frames of")
    absent = call("evaluate", checkpoint, data, "--split", file, "--part", "validation")
    assert absent.exit_code == 1
    assert absent.stderr == f"error: {file} has no part 'validation'; it has train, test\n"
    absent = call("evaluate", checkpoint, data, "--part", "validation")
    assert absent.exit_code == 1
    assert "no frame is of the part 'validation': the files name test, train" in absent.stderr


def test_frames_of_some_formulas(call, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    sodium = bulk("Na", cubic=True)
    sodium.calc = SinglePointCalculator(sodium, energy=0.0, forces=np.zeros((2, 3)))
    write(tmp_path / "sodium.extxyz", sodium)
    both, file = (data, tmp_path / "sodium.extxyz"), tmp_path / "formulas.txt"
    file.write_text("NaCl\nKCl\n")
    assert call("evaluate", checkpoint, *both).stdout.startswith("13 frames of 62 atoms\n")
    assert call("evaluate", checkpoint, *both, "--formulas", file).stdout.startswith("12 frames of 60 atoms\n")
    split = tmp_path / "split.json"
    call("dataset", "split", *both, "--by", "random", "--fractions", "0.5,0.5", "--out", split)
    counts = {}
    for formulas in ("NaCl", "Na"):
        file.write_text(formulas)
        for part in ("train", "test"):
            result = call("evaluate", checkpoint, *both, "--split", split, "--part", part, "--formulas", file)
            counts[formulas, part] = int(result.stdout.split()[0]) if result.exit_code == 0 else 0
    assert sum(counts["NaCl", part] for part in ("train", "test")) == 12
    assert sum(counts["Na", part] for part in ("train", "test")) == 1
    file.write_text("KCl")
    absent = call("evaluate", checkpoint, *both, "--formulas", file)
    assert absent.exit_code == 2
    assert "no frame has one of these formulas" in absent.stderr


def test_report_and_model_card(call, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert call("evaluate", checkpoint, data, "--report", page).exit_code == 0
    plain = assert_self_contained(page.read_text(encoding="utf-8"))
    assert plain.text["h1"] == ["Evaluation of small.safetensors"]
    assert "Limits" not in plain.text["h2"]
    said = f"Predictions of small.safetensors in float32 beside {data.parent.name}/salt.extxyz."
    assert plain.text["p"][0] == said
    rows = {row[0]: row for row in plain.rows}
    assert rows["forces"][1:3] == ["180", "50.00"]
    page = tmp_path / "card.html"
    assert call("evaluate", checkpoint, data, "--report", page, "--card").exit_code == 0
    card = assert_self_contained(page.read_text(encoding="utf-8"))
    assert card.text["h1"] == ["Model card of small.safetensors"]
    assert ["purpose", "tests"] in card.rows


def test_sources_are_told_apart(call, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.extxyz"
    other.write_bytes(data.read_bytes())
    result = call("evaluate", checkpoint, data, other)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["salt", "12", "60", "100.00", "50.00", "–"] in lines
    assert ["other", "12", "60", "100.00", "50.00", "–"] in lines
    assert call("evaluate", checkpoint, data, other, "--source", "one").stdout.count("salt") == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--card",), 2, "name the page that it is part of"),
        (("--report", "page.pdf"), 2, "must end in .html"),
        (("--arrays", "values.txt"), 2, "must end in .npz"),
        (("--device", "nowhere"), 2, "nowhere"),
        (("--format", "excel"), 1, "error: there is no format 'excel'"),
        (("--split", "absent.json"), 1, "absent.json"),
    ],
)
def test_wrong_calls_are_one_line(
    call, checkpoint: Path, data: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    result = call("evaluate", checkpoint, data, *options)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_a_structure_that_the_model_cannot_take_is_named(call, checkpoint: Path, tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.5)
    atoms.symbols[0] = "Lr"
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((2, 3)))
    write(tmp_path / "heavy.extxyz", atoms)
    out = tmp_path / "out.json"
    result = call("evaluate", checkpoint, tmp_path / "heavy.extxyz", "--json", out)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: heavy.extxyz")
    assert "Lr (Z = 103)" in result.stderr
    assert not out.exists()


def test_properties_beside_the_energy_and_alone(call, tmp_path: Path) -> None:
    """Charges that are 0.5 e above the model's, in files with energies and without."""
    potential = Potential(GPTFF(GPTFFConfig(channels=16, num_layers=1, properties={"charge": "atom"})))
    model = tmp_path / "charges.safetensors"
    save(potential, model)
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    (prediction,) = potential.predict([atoms], properties=True)
    atoms.arrays["q"] = prediction.atom_properties["charge"].numpy() + 0.5
    write(tmp_path / "alone.extxyz", [atoms, atoms])
    atoms.calc = SinglePointCalculator(atoms, energy=prediction.energy.item())
    write(tmp_path / "both.extxyz", [atoms, atoms])
    for name in ("both", "alone"):
        out, page = tmp_path / f"{name}.json", tmp_path / f"{name}.html"
        data = (tmp_path / f"{name}.extxyz", "-o", "keep_per_atom=charge=q")
        result = call("evaluate", model, *data, "--json", out, "--report", page, "--by-element")
        assert result.exit_code == 0, result.output
        row = next(line.split() for line in result.stdout.splitlines() if line.startswith("charge"))
        assert row[:4] == ["charge", "4", "0.5000", "0.5000"]
        assert json.loads(out.read_text(encoding="utf-8"))["properties"]["charge"]["mae"] == pytest.approx(0.5)
        text = page.read_text(encoding="utf-8")
        assert_self_contained(text)
        assert "Properties beside the energy" in text
        assert ("Worst frames" in text) == (name == "both")
