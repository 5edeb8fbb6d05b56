"""The examples of relaxation, equations of state and molecular dynamics run, scaled down."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.calculators.lj import LennardJones
from example_scripts import load_example

pytestmark = pytest.mark.usefixtures("undrawn")


def test_equation_of_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = load_example("equation_of_state").main(["--report", str(tmp_path / "eos.html")])
    assert curves["Cu"].fit.bulk_modulus == pytest.approx(134, abs=3)
    assert "Cu: V0 11.5" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "eos.html").read_text()


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

    size = {"axis": "a", "strain": 0.02, "steps": 40, "n_frames": 4}
    series = module.pull(atoms, calculator, tmp_path, **size)
    assert series.strain(0)[-1] == pytest.approx(0.02, abs=1e-3)
    assert series.fractions[:, series.structures.index("hcp")] == pytest.approx(1.0)
    module.tell(series, "a")
    assert "most fcc: 0 % of the atoms" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "titanium-a.html").read_text()
    before = (tmp_path / "titanium-a.traj").read_bytes()
    module.pull(atoms, calculator, tmp_path, **size)
    assert (tmp_path / "titanium-a.traj").read_bytes() == before, "nothing is computed anew"


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
