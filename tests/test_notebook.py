"""What notebooks show of objects: small tables, plots and tables of pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from html_page import Page

from torch_gptff import GPTFF, CrystalData, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.notebook import facts_html, table_html
from torch_gptff.prediction import Prediction
from torch_gptff.record import to_dataframe
from torch_gptff.workflows import Relaxation, relax
from torch_gptff.workflows.hull import HullEntry

HOSTILE = '<script>alert(1)</script>&"'


@pytest.fixture(scope="module")
def relaxation() -> Relaxation:
    return relax(bulk("Cu", a=3.7), EMT())


def cells(html: str) -> dict[str, str]:
    return {row[0]: row[1] for row in Page(html).rows}


def test_text_is_escaped() -> None:
    for html in (facts_html(HOSTILE, {HOSTILE: HOSTILE}), table_html(HOSTILE, [HOSTILE], [[HOSTILE]])):
        assert "<script" not in html
        assert HOSTILE in [*Page(html).text["caption"], *Page(html).text.get("th", [])]
    entry = HullEntry(HOSTILE, HOSTILE, {"Cu": 1.0}, -1.0, 0.0, 0.0, None, {})
    assert "<script" not in entry._repr_html_()


def test_a_prediction_says_energy_force_and_stress() -> None:
    prediction = Prediction(
        torch.tensor([-1.25]),
        torch.tensor([[0.0, 3.0, 4.0]]),
        0.01 * torch.eye(3)[None],
        energy_std=torch.tensor([0.5]),
    )
    shown = cells(prediction._repr_html_())
    assert shown == {
        "energy": "-1.250000 ± 0.5000 eV",
        "atoms": "1",
        "largest force": "5.0000 eV/Å",
        "largest stress": "1.602 GPa",
    }


def test_a_crystal_says_its_formula_and_cell() -> None:
    shown = cells(CrystalData.from_ase(bulk("NaCl", "rocksalt", a=5.6, cubic=True))._repr_html_())
    assert (shown["formula"], shown["atoms"], shown["a, b, c"]) == ("NaCl", "8", "5.6000, 5.6000, 5.6000 Å")


def test_a_calculator_says_its_model() -> None:
    shown = cells(GPTFFCalculator(Potential(GPTFF()))._repr_html_())
    assert shown["model"] == "GPTFF"
    assert shown["precision"] == "float32"


def test_a_record_shows_its_columns(relaxation: Relaxation) -> None:
    shown = cells(relaxation._repr_html_())
    assert shown["formula"] == "Cu"
    assert shown["energy (eV/atom)"] == f"{relaxation.energy:.4f}"


def test_records_become_a_table_of_pandas(relaxation: Relaxation) -> None:
    table = to_dataframe({"a.cif": relaxation, "b.cif": relaxation})
    assert list(table.index) == ["a.cif", "b.cif"]
    assert table.loc["a.cif", "energy (eV/atom)"] == relaxation.energy
    assert table.loc["a.cif", "steps"] == relaxation.n_steps
    assert len(relaxation.to_dataframe()) == 1


def test_a_relaxation_keeps_and_draws_its_path(relaxation: Relaxation, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    assert relaxation.energies is not None
    assert len(relaxation.energies) == relaxation.n_steps + 1
    assert relaxation.energies[-1] == relaxation.energy
    assert relaxation.energies[0] == relaxation.initial.get_potential_energy()
    axes = Figure().add_subplot()
    assert relaxation.plot(axes) is axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 1000 * (relaxation.energies - relaxation.energy))
    relaxation.save(tmp_path / "relaxation.json")
    again = Relaxation.load(tmp_path / "relaxation.json")
    np.testing.assert_array_equal(again.energies, relaxation.energies)
