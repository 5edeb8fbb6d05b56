"""The examples of relaxation, equations of state and molecular dynamics run, scaled down."""

from __future__ import annotations

import gzip
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from example_scripts import EXAMPLES, load_example
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

pytestmark = pytest.mark.usefixtures("undrawn")


def test_equation_of_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = load_example("equation_of_state").main(["--report", str(tmp_path / "eos.html")])
    assert curves["Cu"].fit.bulk_modulus == pytest.approx(134, abs=3)
    assert "Cu: V0 11.5" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "eos.html").read_text()


def test_volumes_of_compounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("compound_volumes")
    records, kinds = [], {"ionic": ["CuPd3"], "metallic": ["Cu3Au", "CuAu"]}
    for number, (formula, symbols) in enumerate({"CuPd3": "Pd3Cu", "Cu3Au": "Cu3Au", "CuAu": "Cu2Au2"}.items()):
        atoms = bulk("Cu", cubic=True, a=3.7 + 0.1 * number)
        atoms.symbols[:] = symbols
        structure: Structure = AseAtomsAdaptor.get_structure(atoms)
        record = {"mp_id": f"mp-{number}", "formula": formula, "structure": structure.as_dict()}
        records.append({**record, "bulk_modulus_vrh": 150.0 + number})
    (tmp_path / module.FILE).write_bytes(gzip.compress(json.dumps(records).encode()))

    found = module.compute(tmp_path, EMT(), "emt", tmp_path / "out", kinds, points=7)
    assert [each.formula for each in found.compounds] == ["CuPd3", "Cu3Au", "CuAu"]
    assert [each.reference_volume for each in found.compounds] == pytest.approx([a**3 / 4 for a in (3.7, 3.8, 3.9)])
    assert found.compounds[1].volume == pytest.approx(13.2, abs=0.5)
    before = (tmp_path / "out" / "volumes.json").read_bytes()
    assert module.compute(tmp_path, None, "emt", tmp_path / "out", kinds).to_dict() == found.to_dict(), "computed anew"
    assert (tmp_path / "out" / "volumes.json").read_bytes() == before
    module.save(found, tmp_path / "out")
    assert "| CuAu | metallic | mp-2 | 14.830 |" in (tmp_path / "out" / "volumes.md").read_text()
    left, right = module.picture(found).axes
    assert "V₀" in left.get_xlabel()
    assert "B₀" in right.get_ylabel()
    with pytest.raises(SystemExit, match="is of emt, and this is other"):
        module.compute(tmp_path, None, "other", tmp_path / "out", kinds)
    with pytest.raises(SystemExit, match="has no XeF"):
        module.references(tmp_path, ["CuAu", "XeF"])
    pairs = np.array([(1.0, 1.1), (2.0, 2.0), (3.0, 2.7)])
    assert module.determination(pairs) == pytest.approx(1 - (0.01 + 0.09) / 2)
    assert module.percents(pairs) == pytest.approx(20 / 3)


def test_compounds_are_of_one_kind_and_as_many_as_in_the_paper() -> None:
    source = (EXAMPLES / "universal" / "unseen.txt").read_text().split()
    module = importlib.import_module("compound_volumes")
    assert len(set(module.IONIC) | set(module.METALLIC)) == 39 == len(module.IONIC) + len(module.METALLIC)
    assert set(module.IONIC) | set(module.METALLIC) <= set(source), "training has seen one"


def test_relax_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--number", "2", "--journal", str(tmp_path / "journal.jsonl")]
    done = load_example("relax_many").main(arguments)
    assert all(relaxation.converged for relaxation in done.values())
    assert "2 crystals, 0 of them done before" in capsys.readouterr().out
    again = load_example("relax_many").main(arguments)
    assert "2 crystals, 2 of them done before" in capsys.readouterr().out
    assert again[0].energy == done[0].energy


def test_thermal_expansion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--steps", "100", "--repeat", "2", "--temperatures", "200", "500", "--folder", str(tmp_path)]
    coefficient = load_example("thermal_expansion").main(arguments)
    assert abs(coefficient) < 1e-3  # so short a run has no better
    assert load_example("thermal_expansion").main(arguments) == coefficient
    assert capsys.readouterr().out.count("500 K: ") == 2


def test_titanium_hcp_to_fcc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyscal3", reason="pyscal3 is not installed: it classifies atoms")
    module = load_example("titanium_hcp_to_fcc")
    calculator = LennardJones(sigma=2.62, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)
    atoms = module.titanium((3, 2, 2), calculator)
    assert len(atoms) == 48
    a, b, c = atoms.cell.lengths() / (3, 2, 2)
    assert b / a == pytest.approx(3**0.5, abs=1e-3), "relaxed as a hexagonal crystal"
    assert c / a == pytest.approx((8 / 3) ** 0.5, abs=0.02), "nearly ideal, as Lennard-Jones has it"

    size = {"axis": "a", "strain": 0.02, "steps": 40, "n_frames": 4, "seed": 2}
    series = module.pull(atoms, calculator, tmp_path, **size)
    assert series.strain(0)[-1] == pytest.approx(0.02, abs=1e-3)
    assert series.fractions[:, series.structures.index("hcp")] == pytest.approx(1.0)
    module.tell(series, "a")
    assert "most fcc: 0 % of the atoms" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "titanium-a-40-2.html").read_text()
    before = (tmp_path / "titanium-a-40-2.traj").read_bytes()
    module.pull(atoms, calculator, tmp_path, **size)
    assert (tmp_path / "titanium-a-40-2.traj").read_bytes() == before, "nothing is computed anew"
    left, right = module.picture({"seed 2": series, "again": series}, "a").axes
    assert left.get_ylabel() == "strain along a (%)"
    assert len(right.lines) == 6  # three structures, twice
    energies = {"hcp": 0.0, "fcc": 30.0, "bcc": 80.0}
    told = module.table({"seed 2": series}, "a", energies, "48 atoms.")
    assert "| fcc | 30 | 40 |" in told
    assert "| seed 2 | 2 % | 100 % | 0 % | 0 % | 0 % |" in told


@pytest.mark.filterwarnings("ignore:alloys")  # of another reference than the checkpoint's, as it is meant
def test_fine_tune_and_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load_example("fine_tune_and_compare")
    data = module.alloys(tmp_path / "alloys.extxyz", number=20)
    evaluations = module.compare(data, "gptff-universal", tmp_path, epochs=1)
    assert list(evaluations) == ["as it is", "fine-tuned", "from random weights"]
    assert {evaluation.counts["frames"] for evaluation in evaluations.values()} == {4}
    before, tuned, random = (evaluation.mae.forces for evaluation in evaluations.values())
    assert tuned < min(before, random)
    module.tell(evaluations)
    assert f"{1000 * tuned:.4g}" in capsys.readouterr().out
