"""The benchmark of equations of state: a calculator made of the reference scores perfectly, another as it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.io import write

from torch_gptff import load_pretrained
from torch_gptff.errors import EquationOfStateError, UnreadableDataError, UnsupportedElementError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import EquationOfStateBenchmark, compare_equation_of_state, reference_crystals
from torch_gptff.workflows.eos.benchmark import BRACKET_RATIOS
from torch_gptff.workflows.eos.fit import FORMS
from torch_gptff.workflows.reports.eos_benchmark import eos_benchmark_report

CONSTANTS = {"Cu": (11.9, 0.88, 5.0), "Al": (16.5, 0.48, 4.6), "Ag": (17.8, 0.57, 5.8)}  # Å³, eV/Å³, by atom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as that of the ACWF data, of three metals in two structures."""
    (tmp_path / "xsf_unaries").mkdir()
    fits, sizes = {}, {}
    for element, (volume, modulus, derivative) in CONSTANTS.items():
        for prototype, factor in (("FCC", 1.0), ("BCC", 1.02)):
            n_atoms = 2 if prototype == "BCC" else 1
            a = 4.0
            cell = np.eye(3) * a if n_atoms == 2 else (1 - np.eye(3)) * a / 2
            positions = [[0, 0, 0], [a / 2] * 3][:n_atoms]
            atoms = Atoms([element] * n_atoms, positions, cell=cell, pbc=True)
            write(tmp_path / f"xsf_unaries/{element}-{prototype}.xsf", atoms)
            name = f"{element}-X/{prototype}"
            fits[name] = {
                "min_volume": volume * factor * n_atoms,
                "bulk_modulus_ev_ang3": modulus,
                "bulk_deriv": derivative,
            }
            sizes[name] = n_atoms
    document = {"BM_fit_data": fits, "num_atoms_in_sim_cell": sizes}
    (tmp_path / "results-unaries-verification-PBE-v1-AE-average.json").write_text(json.dumps(document))
    return tmp_path


class ByVolume(Calculator):
    """Energies of a Birch-Murnaghan equation for each element, with volumes and moduli off by factors."""

    implemented_properties = ("energy",)

    def __init__(self, volume_factor: float = 1.0, modulus_factor: float = 1.0) -> None:
        super().__init__()
        self.factors = (volume_factor, modulus_factor)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        volume, modulus, derivative = CONSTANTS[self.atoms.get_chemical_symbols()[0]]
        volume *= self.factors[0] * (1.02 if len(self.atoms) == 2 else 1)
        form = FORMS["birch-murnaghan"]
        per_atom = form(self.atoms.get_volume() / len(self.atoms), -3.0, modulus * self.factors[1], derivative, volume)
        self.results = {"energy": len(self.atoms) * float(per_atom)}


def benchmark(folder: Path, calculator: Any) -> EquationOfStateBenchmark:
    crystals = reference_crystals(folder)
    return EquationOfStateBenchmark(
        "unaries", tuple(compare_equation_of_state(crystal, calculator) for crystal in crystals)
    )


def test_the_references_are_read(folder: Path) -> None:
    crystals = reference_crystals(folder)
    assert [(crystal.name, crystal.prototype) for crystal in crystals[:2]] == [
        ("Cu-X/FCC", "FCC"),
        ("Cu-X/BCC", "BCC"),
    ]
    assert crystals[1].atoms.get_volume() == pytest.approx(2 * 1.02 * 11.9)
    assert crystals[0].bulk_modulus == pytest.approx(0.88 * GPA_PER_EV_PER_ANGSTROM3)


def test_the_reference_itself_scores_perfectly(folder: Path) -> None:
    result = benchmark(folder, ByVolume())
    assert (result.n_computed, result.n_failed, result.n_bracketed) == (6, 0, 6)
    assert result.median_volume_error == pytest.approx(0, abs=1e-9)
    assert result.median_bulk_modulus_error == pytest.approx(0, abs=1e-7)
    assert result.volume_r2 == pytest.approx(1)


def test_fits_with_constants_that_no_solid_has_are_doubtful(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONSTANTS, "Al", (16.5, 0.48, -0.5))  # of the calculator: the folder is written
    result = benchmark(folder, ByVolume())
    assert result.n_failed == 0
    assert {each.name for each in result.doubtful} == {"Al-X/FCC", "Al-X/BCC"}
    assert result.n_doubtful == 2
    assert benchmark(folder, ByVolume(1.03, 0.8)).n_doubtful == 2


def test_errors_are_what_they_are(folder: Path) -> None:
    result = benchmark(folder, ByVolume(1.03, 0.8))
    assert result.n_failed == 0
    assert result.median_volume_error == pytest.approx(0.03, abs=1e-6)
    assert result.median_bulk_modulus_error == pytest.approx(0.2, abs=1e-5)
    known, predicted = result.volumes_per_atom
    expected = 1 - ((predicted - known) ** 2).sum() / ((known - known.mean()) ** 2).sum()
    assert result.volume_r2 == pytest.approx(expected)
    assert set(result.by_prototype) == {"FCC", "BCC"}
    assert result.by_prototype["FCC"]["median_volume_error"] == pytest.approx(0.03, abs=1e-6)
    assert result.comparisons[0].own_fit is not None
    assert result.comparisons[0].own_fit.volume == pytest.approx(1.03 * 11.9, rel=1e-6)


def test_a_minimum_far_away_is_a_failure(folder: Path) -> None:
    result = benchmark(folder, ByVolume(1.5))
    assert (result.n_computed, result.n_failed, result.n_bracketed) == (6, 6, 0)
    assert result.median_volume_error is None
    assert result.volume_r2 is None
    assert not result.comparisons[0].found
    # the curve is there, and falls
    assert len(result.comparisons[0].energies) == len(BRACKET_RATIOS)
    assert (np.diff(result.comparisons[0].energies) < 0).all()


def test_records_come_back(folder: Path, tmp_path: Path) -> None:
    result = benchmark(folder, ByVolume(1.03))
    result.save(tmp_path / "benchmark.json")
    document = json.loads((tmp_path / "benchmark.json").read_text())
    assert document["derived"]["median_volume_error"] == pytest.approx(0.03, abs=1e-6)
    again = EquationOfStateBenchmark.load(tmp_path / "benchmark.json")
    assert again.median_volume_error == result.median_volume_error
    assert again.comparisons[3].fit == result.comparisons[3].fit


def test_the_report_draws_each_curve_by_itself(folder: Path) -> None:
    html = eos_benchmark_report(benchmark(folder, ByVolume(1.03))).to_html()
    assert "Cu, FCC: V₀ +3.0 %." in html
    assert html.count(": V₀ +3.0 %.</figcaption>") == 6
    failed = eos_benchmark_report(benchmark(folder, ByVolume(1.5))).to_html()
    assert "Energies by volume." in failed
    assert failed.count(": no minimum.</figcaption>") == 6


class KnowsNoSilver(EMT):
    def calculate(self, atoms: Atoms | None = None, *args: Any, **kwargs: Any) -> None:
        assert atoms is not None
        if 47 in atoms.numbers:
            raise UnsupportedElementError("the model does not know Ag")
        super().calculate(atoms, *args, **kwargs)


def test_crystals_that_the_model_refuses_are_no_failures_of_its_curve(folder: Path) -> None:
    result = benchmark(folder, KnowsNoSilver())
    assert (len(result.comparisons), result.n_computed) == (6, 4)
    assert result.comparisons[-1].problem == "the model does not know Ag"
    assert result.n_failed == 0  # of effective medium theory, within 10 % of the volumes above


def test_bad_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EquationOfStateError, match="there are unaries, oxides"):
        reference_crystals(folder, "alloys")
    with pytest.raises(EquationOfStateError, match="has no file results-oxides"):
        reference_crystals(folder, "oxides")
    (folder / "xsf_unaries/Cu-FCC.xsf").unlink()
    with pytest.raises(UnreadableDataError, match="Cu-X/FCC"):
        reference_crystals(folder)
    (folder / "results-unaries-verification-PBE-v1-AE-average.json").write_text("{}")
    with pytest.raises(EquationOfStateError, match="holds no equations of state"):
        reference_crystals(folder)


def test_published_checkpoint_against_all_electron_silicon(shared_data: Path) -> None:
    crystals = {crystal.name: crystal for crystal in reference_crystals(shared_data / "data/acwf_eos")}
    assert len(crystals) == 384
    silicon = crystals["Si-X/Diamond"]
    # the reference's own volume, of its fit to the two codes
    assert silicon.atoms.get_volume() == pytest.approx(40.91, abs=0.02)
    potential = load_pretrained(shared_data / "pretrained/gptff_v1.pth")
    comparison = compare_equation_of_state(silicon, potential)
    assert comparison.found
    assert comparison.volume_error == pytest.approx(0, abs=0.03)
    assert compare_equation_of_state(crystals["Cm-X/FCC"], potential).computed is False
