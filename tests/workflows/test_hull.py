"""Convex hulls: of energies made up so that the hull is known, and of copper and gold in effective medium theory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff.errors import HullError
from torch_gptff.workflows import ConvexHull, Phase, convex_hull, relax


def phase(formula: str, energy_per_atom: float, label: str = "") -> Phase:
    atoms = Atoms(formula, cell=[5, 5, 5], pbc=True)
    return Phase(label or formula, atoms, energy_per_atom * len(atoms))


@pytest.fixture
def hull() -> ConvexHull:
    """Pure A at −1, pure B at −3, AB at 1 below their line, A3B at 0.4 below and so 0.1 above the hull."""
    phases = [
        *(phase("Li", -1.0), phase("Cl2", -3.0, "chlorine"), phase("Cl4", -2.9, "strange chlorine")),
        *(phase("Li2Cl2", -3.0), phase("Li6Cl2", -1.9), phase("LiCl3", -2.4)),
    ]
    return convex_hull(phases)


def test_energies_of_a_known_hull(hull: ConvexHull) -> None:
    assert hull.elements == ("Cl", "Li")
    found = {entry.label: entry for entry in hull.entries}
    assert found["Li2Cl2"].formation_energy == pytest.approx(-1)
    assert found["Li6Cl2"].formation_energy == pytest.approx(-0.4)
    assert found["LiCl3"].formation_energy == pytest.approx(0.1)
    assert [entry.label for entry in hull.stable] == ["Li", "chlorine", "Li2Cl2"]
    assert found["Li6Cl2"].energy_above_hull == pytest.approx(0.1)
    assert found["LiCl3"].energy_above_hull == pytest.approx(0.6)
    assert found["strange chlorine"].energy_above_hull == pytest.approx(0.1)
    assert found["Li2Cl2"].formula == "LiCl"


def test_decompositions(hull: ConvexHull) -> None:
    found = {entry.label: entry for entry in hull.entries}
    assert found["Li6Cl2"].decomposition == pytest.approx({"Li": 0.5, "Li2Cl2": 0.5})
    assert found["LiCl3"].decomposition == pytest.approx({"chlorine": 0.5, "Li2Cl2": 0.5})
    assert found["strange chlorine"].decomposition == pytest.approx({"chlorine": 1.0})


def test_how_stable_a_stable_compound_is(hull: ConvexHull) -> None:
    found = {entry.label: entry for entry in hull.entries}
    # without it, Li6Cl2 and chlorine are the best mixture: two thirds of the atoms from Li6Cl2
    assert found["Li2Cl2"].separation_energy == pytest.approx(-1 + 2 / 3 * 0.4)
    assert found["Li6Cl2"].separation_energy is None
    assert found["Li"].separation_energy is None


def test_another_structure_of_a_stable_compound(hull: ConvexHull) -> None:
    """It is above the hull, and changes nothing of how stable the other is."""
    entries = {entry.label: entry for entry in hull.entries}
    phases = [phase("Li", -1.0), phase("Cl2", -3.0), phase("Li2Cl2", -3.0), phase("Li6Cl2", -1.9), phase("LiCl", -2.8)]
    found = {entry.label: entry for entry in convex_hull(phases).entries}
    assert found["LiCl"].energy_above_hull == pytest.approx(0.2)
    assert found["LiCl"].decomposition == pytest.approx({"Li2Cl2": 1})
    assert found["LiCl"].separation_energy is None
    assert found["Li2Cl2"].separation_energy == pytest.approx(entries["Li2Cl2"].separation_energy)


def test_three_elements() -> None:
    phases = [phase("Li", 0.0), phase("Y", 0.0), phase("Cl", 0.0), phase("LiCl", -2.0), phase("YCl3", -3.0)]
    found = {entry.label: entry for entry in convex_hull([*phases, phase("Li3YCl6", -2.5)]).entries}
    # of ten atoms, six come from LiCl and four from YCl3: −2.4 eV/atom
    assert found["Li3YCl6"].is_stable
    assert found["Li3YCl6"].separation_energy == pytest.approx(-0.1)
    worse = {entry.label: entry for entry in convex_hull([*phases, phase("Li3YCl6", -2.3)]).entries}
    assert worse["Li3YCl6"].energy_above_hull == pytest.approx(0.1)
    assert worse["Li3YCl6"].decomposition == pytest.approx({"LiCl": 0.6, "YCl3": 0.4})


def test_copper_and_gold() -> None:
    """Formation energies by hand; in effective medium theory, as in nature, the ordered alloys are stable."""
    ordered = bulk("Cu", cubic=True, a=3.8)
    ordered.symbols = ["Au", "Cu", "Cu", "Cu"]
    layered = bulk("Cu", cubic=True, a=3.9)
    layered.symbols = ["Au", "Cu", "Cu", "Au"]
    phases = []
    for label, atoms in {"Cu": bulk("Cu"), "Au": bulk("Au"), "Cu3Au": ordered, "CuAu": layered}.items():
        final = relax(atoms, EMT(), fmax=0.01, smax=1e-3, optimizer="BFGS")
        phases.append(Phase(label, final.final, final.energy))
    copper, gold = (each.energy for each in phases[:2])
    found = {entry.label: entry for entry in convex_hull(phases).entries}
    assert found["Cu3Au"].formation_energy == pytest.approx((phases[2].energy - 3 * copper - gold) / 4)
    assert found["CuAu"].formation_energy == pytest.approx((phases[3].energy - 2 * copper - 2 * gold) / 4)
    assert found["Cu3Au"].formation_energy < 0
    assert found["Cu3Au"].is_stable


def test_a_record_comes_back(hull: ConvexHull, tmp_path: Path) -> None:
    hull.save(tmp_path / "hull.json")
    assert ConvexHull.load(tmp_path / "hull.json") == hull


def test_bad_input() -> None:
    with pytest.raises(HullError, match="needs phases"):
        convex_hull([])
    with pytest.raises(HullError, match="there is no phase of Cl, Y alone"):
        convex_hull([phase("Li", 0.0), phase("Li3YCl6", -2.5)])
    with pytest.raises(HullError, match="two phases are called Li"):
        convex_hull([phase("Li", 0.0), phase("Li2", 0.0, "Li")])
    with pytest.raises(HullError, match="the energy of Li is nan"):
        convex_hull([phase("Li", float("nan"))])
    with pytest.raises(HullError, match="Li has no atoms"):
        convex_hull([Phase("Li", Atoms(), 0.0)])
