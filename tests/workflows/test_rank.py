"""Polymorphs: lattice sums of Lennard-Jones crystals, duplicates, and other compositions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from html_page import assert_self_contained

from torch_gptff.errors import RankingError
from torch_gptff.workflows import PolymorphRanking, rank_polymorphs
from torch_gptff.workflows.reports.rank import rank_report

SUMS = {"fcc": (12.13188, 14.45392), "bcc": (9.11418, 12.25330), "sc": (6.20215, 8.40192)}
"""Sums of r⁻¹² and r⁻⁶ over a lattice, in units of the distance of neighbours (Kittel, and Jones and Ingham)."""

SIGMA, EPSILON, REACH = 3.4, 0.1, 15.0
PER_ATOM = {"fcc": 1 / np.sqrt(2), "bcc": 4 / (3 * np.sqrt(3)), "sc": 1.0}


@pytest.fixture(scope="module")
def ranking() -> PolymorphRanking:
    fcc = bulk("Ar", "fcc", a=5.2)
    moved = bulk("Ar", "fcc", a=5.25, cubic=True)
    moved.rattle(0.02, seed=1)
    structures = {
        "simple": bulk("Ar", "sc", a=3.6),
        "fcc": fcc,
        "bcc": bulk("Ar", "bcc", a=4.2),
        "conventional": moved,
    }
    calculator = LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=REACH)
    return rank_polymorphs(structures, calculator, fmax=1e-3)


def test_energies_and_volumes_of_lattice_sums(ranking: PolymorphRanking) -> None:
    """``E = −ε s₆² / 2 s₁₂``, at ``r⁶ = 2 σ⁶ s₁₂ / s₆``."""
    found = {entry.label: entry for entry in ranking.entries}
    expected = {name: -EPSILON * six**2 / twelve / 2 for name, (twelve, six) in SUMS.items()}
    names = {"fcc": "fcc", "bcc": "bcc", "sc": "simple"}
    for name, (twelve, six) in SUMS.items():
        entry = found[names[name]]
        length = SIGMA * (2 * twelve / six) ** (1 / 6)
        assert entry.volume == pytest.approx(PER_ATOM[name] * length**3, rel=0.02)
        above = expected[name] - expected["fcc"]
        assert entry.energy_above_lowest == pytest.approx(above, rel=0.03, abs=1e-4)  # bonds end at REACH
        assert entry.converged
    assert [entry.energy for entry in ranking.entries] == sorted(entry.energy for entry in ranking.entries)
    assert [entry.label for entry in ranking.entries][-2:] == ["bcc", "simple"]
    assert found["bcc"].energy_above_lowest > 0.03


def test_groups_and_duplicates(ranking: PolymorphRanking) -> None:
    found = {entry.label: entry for entry in ranking.entries}
    first, second = ranking.entries[:2]
    assert {first.label, second.label} == {"fcc", "conventional"}
    assert (first.duplicate_of, second.duplicate_of) == ("", first.label)
    assert len(ranking.distinct) == 3
    assert found["conventional"].space_group_before == "P1 (1)"
    assert found["fcc"].space_group == "Fm-3m (225)"
    assert found["bcc"].space_group == "Im-3m (229)"


def test_one_composition_of_crystals() -> None:
    with pytest.raises(RankingError, match="first is Cu, second is Au: rank those of one composition"):
        rank_polymorphs({"first": bulk("Cu"), "second": bulk("Au")}, EMT())
    with pytest.raises(RankingError, match="there is no structure to rank"):
        rank_polymorphs({}, EMT())
    with pytest.raises(RankingError, match="periodic in three directions"):
        rank_polymorphs({"atom": Atoms("Cu")}, EMT())


def test_as_given_nothing_moves() -> None:
    copper = bulk("Cu", a=3.7)
    found = rank_polymorphs({"fcc": copper, "hcp": bulk("Cu", "hcp", a=2.6, c=4.25)}, EMT(), relax_first=False)
    copper.calc = EMT()
    (fcc,) = [entry for entry in found.entries if entry.label == "fcc"]
    assert fcc.energy == pytest.approx(copper.get_potential_energy(), abs=1e-9)
    assert fcc.volume == pytest.approx(3.7**3 / 4)
    assert not any(entry.duplicate_of for entry in found.entries)


def test_record_and_report(ranking: PolymorphRanking, tmp_path: Path) -> None:
    ranking.save(tmp_path / "rank.json")
    again = PolymorphRanking.load(tmp_path / "rank.json")
    assert again.to_dict() == ranking.to_dict()
    page = assert_self_contained(rank_report(again, "by hand").to_html())
    assert page.text["h1"] == ["Polymorphs of Ar"]
    lowest = page.rows[1]
    assert lowest[1] == "0.0"
    assert "Fm-3m (225)" in lowest
