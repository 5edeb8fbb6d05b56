"""``torch-gptff predict``: the numbers of ASE, on the screen, in JSON and in extxyz."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import UncertainPredictionWarning
from torch_gptff.io.structures import write_structures
from torch_gptff.report import written
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3


@pytest.fixture
def by_hand(checkpoint: Path, salt: Atoms) -> Atoms:
    atoms = salt.copy()
    atoms.calc = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    return atoms


@pytest.fixture
def files(tmp_path: Path, salt: Atoms) -> list[Path]:
    """A crystal and a molecule."""
    write_structures(tmp_path / "salt.extxyz", [salt])
    write_structures(tmp_path / "water.xyz", [molecule("H2O")])
    return [tmp_path / "salt.extxyz", tmp_path / "water.xyz"]


def test_the_table_has_the_numbers_of_ase(call, files: list[Path], by_hand: Atoms) -> None:
    result = call("predict", *files, "--dtype", "float64")
    assert result.exit_code == 0
    assert result.stderr == ""
    head, salt, water = result.stdout.splitlines()
    assert head.split("  ")[0] == "file"
    assert "energy (eV/atom)" in head
    energy = by_hand.get_potential_energy()
    pressure = -np.trace(by_hand.get_stress(voigt=False)) / 3 * GPA_PER_EV_PER_ANGSTROM3
    force = np.linalg.norm(by_hand.get_forces(), axis=1).max()
    numbers = [f"{energy:.4f}", f"{energy / 2:.4f}", f"{force:.4f}", f"{pressure:.3f}"]
    assert salt.split() == [str(files[0]), "NaCl", "2", *numbers]
    assert water.split()[:3] == [str(files[1]), "H2O", "3"]
    assert water.split()[-1] == "–"


def test_json_has_every_value_in_full(call, files: list[Path], by_hand: Atoms, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.json"
    result = call("predict", *files, files[0], "--dtype", "float64", "--json", out)
    assert result.exit_code == 0
    document = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert document["units"]["stress"].startswith("eV/angstrom^3")
    assert document["failures"] == []
    salt, water, again = document["predictions"]
    assert again == salt
    assert salt["file"] == str(files[0])
    assert salt["symbols"] == ["Na", "Cl"]
    assert salt["energy"] == pytest.approx(by_hand.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(salt["forces"], by_hand.get_forces(), atol=1e-7)
    np.testing.assert_allclose(salt["stress"], by_hand.get_stress(voigt=False), atol=1e-9)
    assert sum(salt["energies"]) == pytest.approx(salt["energy"])
    assert water["stress"] is None


def test_json_to_standard_output_stands_alone(call, files: list[Path]) -> None:
    result = call("predict", *files, "nowhere.cif", "--json", "-")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert len(document["predictions"]) == 2
    assert document["failures"] == [{"file": "nowhere.cif", "error": "no structure file nowhere.cif"}]


def test_extxyz_reads_back_as_results(call, files: list[Path], by_hand: Atoms, tmp_path: Path) -> None:
    out = tmp_path / "out.extxyz"
    assert call("predict", *files, "--dtype", "float64", "--extxyz", out).exit_code == 0
    salt, water = ase.io.read(out, index=":")
    assert salt.get_potential_energy() == pytest.approx(by_hand.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(salt.get_forces(), by_hand.get_forces(), atol=1e-7)
    np.testing.assert_allclose(salt.get_stress(), by_hand.get_stress(), atol=1e-9)
    np.testing.assert_allclose(salt.positions, by_hand.positions, atol=1e-7)
    assert not water.pbc.any()
    assert "stress" not in water.calc.results


def test_float32_is_near_float64(call, files: list[Path], tmp_path: Path) -> None:
    energies = {}
    for dtype in ("float32", "float64"):
        call("predict", files[0], "--dtype", dtype, "--json", tmp_path / dtype)
        energies[dtype] = json.loads((tmp_path / dtype).read_text())["predictions"][0]["energy"]
    assert energies["float32"] != energies["float64"]
    assert energies["float32"] == pytest.approx(energies["float64"], abs=1e-4)


def test_every_frame_of_a_file(call, tmp_path: Path) -> None:
    path = tmp_path / "md.extxyz"
    write_structures(path, [bulk("NaCl", "rocksalt", a=length) for length in (5.4, 5.5, 5.6)])
    rows = call("predict", path).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [f"{path}@0", f"{path}@1", f"{path}@2"]
    assert len({row.split()[3] for row in rows}) == 3
    assert call("predict", f"{path}@1").stdout.splitlines()[1].split() == rows[1].split()


def test_a_bad_file_fails_alone(call, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.cif").write_text("nothing")
    write_structures(tmp_path / "curium.xyz", [Atoms("Cm")])
    result = call("predict", files[0], tmp_path / "bad.cif", tmp_path / "curium.xyz", "nowhere", files[1])
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 3
    bad, curium, nowhere = result.stderr.splitlines()
    assert bad.startswith(f"error: cannot read a structure from {tmp_path}/bad.cif")
    assert curium.startswith(f"error: {tmp_path}/curium.xyz: ")
    assert "Cm" in curium
    assert nowhere == "error: no structure file nowhere"


def test_nothing_is_written_of_nothing(call, tmp_path: Path) -> None:
    result = call("predict", "nowhere", "--extxyz", tmp_path / "out.extxyz")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert not (tmp_path / "out.extxyz").exists()


def test_a_pipe_gets_plain_lines_of_any_length(call, salt: Atoms, tmp_path: Path) -> None:
    path = tmp_path / ("long name " * 12) / "salt:smile:[red].extxyz"
    write_structures(path, [salt])
    result = call("predict", path)
    assert "\x1b" not in result.output
    head, row = result.stdout.splitlines()
    assert row.startswith(f"{path}  NaCl")
    assert len(head) == len(row)


def test_numbers_that_round_to_zero_have_no_sign() -> None:
    assert written(-0.00001, 3) == "0.000"
    assert written(-0.0006, 3) == "-0.001"
    assert written(None, 3) == "–"


def test_published_checkpoint_gives_its_golden_energies(call, shared_data: Path, tmp_path: Path) -> None:
    golden = json.loads((shared_data / "golden/published_checkpoints.json").read_text())["systems"]
    paths = []
    for system in golden[:6]:
        atoms = Atoms(system["numbers"], system["positions"], cell=system["cell"], pbc=system["pbc"])
        paths.append(tmp_path / f"{system['name']}.traj")
        write_structures(paths[-1], [atoms])
    model = shared_data / "pretrained/gptff_v1.pth"
    assert call("predict", *paths, "-m", model, "--dtype", "float64", "--json", tmp_path / "o.json").exit_code == 0
    found = json.loads((tmp_path / "o.json").read_text())["predictions"]
    assert len(found) == 6
    for system, prediction in zip(golden, found, strict=False):
        assert prediction["energy"] == pytest.approx(system["v1"]["energy"], abs=1e-8)
        np.testing.assert_allclose(prediction["forces"], system["v1"]["forces"], atol=1e-8)


def test_energies_in_the_reference_of_a_source(call, tmp_path: Path, salt: Atoms) -> None:
    potential = Potential(GPTFF(GPTFFConfig(channels=4, num_layers=1)))
    potential.references = {"pbe": {11: -1.0, 17: -2.0}, "acwf": {11: -1.5, 17: -4.0}, "oxides": {11: -1.0}}
    save(potential.use_reference("pbe"), tmp_path / "model.safetensors")
    write_structures(tmp_path / "salt.extxyz", [salt])

    def energy(*options: str) -> float:
        result = call(
            "predict", tmp_path / "salt.extxyz", "-m", tmp_path / "model.safetensors", "--json", "-", *options
        )
        return json.loads(result.stdout)["predictions"][0]["energy"]

    assert energy("--reference", "acwf") - energy() == pytest.approx(-2.5, abs=1e-9)
    result = call("predict", tmp_path / "salt.extxyz", "-m", tmp_path / "model.safetensors", "--reference", "lda")
    assert result.exit_code == 1
    assert "no reference 'lda'; there are: acwf, oxides, pbe" in result.stderr
    result = call("predict", tmp_path / "salt.extxyz", "-m", tmp_path / "model.safetensors", "--reference", "oxides")
    assert result.exit_code == 1
    assert "the reference 'oxides' has no energy of Cl" in result.stderr


def test_a_committee_says_how_sure_it_is(call, checkpoint: Path, tmp_path: Path, salt: Atoms) -> None:
    model = tmp_path / "committee.safetensors"
    save(Potential(GPTFF(GPTFFConfig(channels=4, num_layers=1, num_readouts=3))), model)
    write_structures(tmp_path / "salt.extxyz", [salt])
    for path, is_sure in ((model, True), (checkpoint, False)):
        document = json.loads(call("predict", tmp_path / "salt.extxyz", "-m", path, "--json", "-").stdout)
        found = document["predictions"][0]["energy_std"]
        assert (found is not None and found > 0) == is_sure


def test_a_refused_frame_fails_alone(call, tmp_path: Path, salt: Atoms) -> None:
    """An element that the model does not know, and atoms on top of each other, between two good frames."""
    close = salt.copy()
    close.positions[1] = close.positions[0] + [0, 0, 0.3]
    write_structures(tmp_path / "md.extxyz", [salt, Atoms("Cm"), close, salt])
    result = call("predict", tmp_path / "md.extxyz", "--json", tmp_path / "all.json")
    assert result.exit_code == 1
    assert [row.split()[0][-1] for row in result.stdout.splitlines()[1:]] == ["0", "3"]
    close_error, curium = result.stderr.splitlines()
    assert "md.extxyz@1" in curium
    assert "Cm" in curium
    assert "md.extxyz@2: atoms 0 (Na) and 1 (Cl) are 0.3 Å apart" in close_error
    document = json.loads((tmp_path / "all.json").read_text())
    assert len(document["predictions"]) == 2
    assert len(document["failures"]) == 2


def test_structures_of_many_files_are_computed_together(call, tmp_path: Path, salt: Atoms, monkeypatch) -> None:
    """Batches are what makes small structures fast; what is done already is no part of them."""
    sizes = []
    predict = Potential.predict

    def counted(self: Potential, structures: Sequence[Atoms], **options: Any) -> Any:
        sizes.append(len(structures))
        return predict(self, structures, **options)

    monkeypatch.setattr(Potential, "predict", counted)
    files = []
    for number in range(6):
        salt.rattle(0.02, seed=number)
        files.append(tmp_path / f"{number}.extxyz")
        write_structures(files[-1], [salt])
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    assert call("predict", *files[:2], "--json", out).exit_code == 0
    first = json.loads(out.read_text())["predictions"]
    extxyz = tmp_path / "all.extxyz"
    result = call("predict", *files, "--json", out, "--resume", "--extxyz", extxyz, "--report", page)
    assert result.exit_code == 0, result.output
    assert sizes == [2, 4]
    found = json.loads(out.read_text())["predictions"]
    assert [each["file"] for each in found] == [str(file) for file in files]
    assert found[:2] == first
    assert len(ase.io.read(extxyz, index=":")) == 6
    assert len(result.stdout.splitlines()) == 7
    assert "Energies, forces and stresses" in page.read_text()


@pytest.mark.filterwarnings("default:.*rather unlike anything")
def test_warnings_of_a_batch_name_their_structures(call, tmp_path: Path, salt: Atoms, monkeypatch) -> None:
    monkeypatch.setattr("torch_gptff.cli.each.BATCH_ATOMS", 4)
    predict = Potential.predict

    def doubtful(self: Potential, structures: Sequence[Atoms], **options: Any) -> Any:
        warnings.warn("structure 1 of the list: rather unlike anything", UncertainPredictionWarning, stacklevel=1)
        return predict(self, structures, **options)

    monkeypatch.setattr(Potential, "predict", doubtful)
    write_structures(tmp_path / "md.extxyz", [salt] * 4)
    result = call("predict", tmp_path / "md.extxyz")
    told = "rather unlike anything"
    assert result.stderr.splitlines() == [f"warning: {tmp_path}/md.extxyz@{number}: {told}" for number in (1, 3)]


def test_what_was_computed_is_kept_when_a_batch_is_interrupted(call, tmp_path: Path, salt: Atoms, monkeypatch) -> None:
    monkeypatch.setattr("torch_gptff.cli.each.BATCH_ATOMS", 4)
    monkeypatch.setattr("torch_gptff.cli.results.LEAST_PAUSE", 1e9)
    predict, sizes = Potential.predict, []

    def interrupted(self: Potential, structures: Sequence[Atoms], **options: Any) -> Any:
        sizes.append(len(structures))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return predict(self, structures, **options)

    monkeypatch.setattr(Potential, "predict", interrupted)
    write_structures(tmp_path / "md.extxyz", [salt] * 8)
    result = call("predict", tmp_path / "md.extxyz", "--json", tmp_path / "out.json")
    assert result.exit_code == 130
    assert "--resume goes on with it" in result.stderr
    assert len(json.loads((tmp_path / "out.json").read_text())["predictions"]) == 4
    result = call("predict", tmp_path / "md.extxyz", "--json", tmp_path / "out.json", "--resume")
    assert result.exit_code == 0
    assert sizes == [2, 2, 2, 2, 2]


def test_close_atoms_can_be_forced(call, tmp_path: Path, salt: Atoms) -> None:
    salt.positions[1] = salt.positions[0] + [0, 0, 0.3]
    write_structures(tmp_path / "close.extxyz", [salt])
    more = {
        **dict.fromkeys(
            ("predict", "eos", "elastic", "hull", "phonons", "qha", "vacancy", "surface", "diffraction"), ()
        ),
        **{command: ("--out", tmp_path / f"{command}.traj") for command in ("relax", "md")},
        "distill": ("--out", tmp_path / "distill", "--teacher", "emt"),
    }
    for command, options in more.items():
        result = call(command, tmp_path / "close.extxyz", *options)
        assert result.exit_code == 1, command
        assert "are 0.3 Å apart" in result.stderr, command
        assert "--allow-close" in result.stderr, command
    pattern = call("diffraction", tmp_path / "close.extxyz", "--allow-close", "--no-structures")
    assert pattern.exit_code == 0, pattern.output
    forced = call("predict", tmp_path / "close.extxyz", "--allow-close")
    assert forced.exit_code == 0
    assert len(forced.stdout.splitlines()) == 2


def test_names_cannot_turn_the_line_around(call, tmp_path: Path, salt: Atoms) -> None:
    path = tmp_path / "gpj.\u202eztyx\u202c.extxyz"
    write_structures(path, [salt])
    result = call("predict", path, tmp_path / "\u202ecif")
    assert "\u202e" not in result.stdout + result.stderr
    assert "\\u202e" in result.stdout
    assert "\\u202e" in result.stderr
