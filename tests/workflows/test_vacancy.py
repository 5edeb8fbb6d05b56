"""Vacancies: energies by hand, sites by symmetry, references given and computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from ase.spacegroup import crystal
from html_page import assert_self_contained

from torch_gptff.errors import EmptyStructureError, VacancyError
from torch_gptff.workflows import VacancyFormation, vacancy_formation
from torch_gptff.workflows.reports.vacancy import vacancy_report
from torch_gptff.workflows.vacancy import distinct_sites


def rutile() -> Atoms:
    return crystal(
        ("Ti", "O"), [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


def test_of_pair_forces_it_costs_the_cohesive_energy() -> None:
    """An atom has twice the energy of its share of bonds: taken from the crystal and put back onto it, e is left."""
    argon = bulk("Ar", "fcc", a=5.3, cubic=True)
    calculator = LennardJones(epsilon=0.0104, sigma=3.4, rc=7.0)
    found = vacancy_formation(argon, calculator, supercell=(3, 3, 3), relax_positions=False)
    argon.calc = calculator
    cohesive = argon.get_potential_energy() / 4
    (vacancy,) = found.vacancies
    assert found.energy == pytest.approx(cohesive, abs=1e-10)
    assert vacancy.unrelaxed_energy == pytest.approx(-cohesive, abs=1e-9)
    assert (vacancy.site, vacancy.element, vacancy.multiplicity) == (0, "Ar", 4)
    assert vacancy.relaxed_energy is None
    assert vacancy.energy == vacancy.unrelaxed_energy
    assert argon.positions == pytest.approx(bulk("Ar", "fcc", a=5.3, cubic=True).positions)


def test_the_relaxed_energy_is_that_of_ase_by_hand() -> None:
    copper = bulk("Cu", "fcc", a=3.59, cubic=True)
    (vacancy,) = vacancy_formation(copper, EMT(), supercell=(2, 2, 2), fmax=1e-3).vacancies
    perfect = copper.repeat(2)
    perfect.calc = EMT()
    hole = perfect.copy()
    del hole[17]  # all sites are alike
    hole.calc = EMT()
    zero = perfect.get_potential_energy() * 31 / 32
    assert vacancy.unrelaxed_energy == pytest.approx(hole.get_potential_energy() - zero, abs=1e-9)
    BFGS(hole, logfile=None).run(fmax=1e-3)
    assert vacancy.relaxed_energy == pytest.approx(hole.get_potential_energy() - zero, abs=1e-5)
    assert vacancy.energy == vacancy.relaxed_energy < vacancy.unrelaxed_energy
    assert vacancy.converged


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (bulk("Mg", "hcp", a=3.2, c=5.2), {"Mg": [2]}),
        (rutile(), {"Ti": [2], "O": [4]}),
        (Atoms("SrTiO3", scaled_positions=[[0.5] * 3, [0] * 3, [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
               cell=[3.9] * 3, pbc=True), {"Sr": [1], "Ti": [1], "O": [3]}),
        (Atoms("SrTiO3", scaled_positions=[[0.5] * 3, [0] * 3, [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
               cell=[3.9, 3.9, 4.1], pbc=True), {"Sr": [1], "Ti": [1], "O": [2, 1]}),
    ],
    ids=["hcp", "rutile", "perovskite", "tetragonal perovskite"],
)  # fmt: skip
def test_sites_that_symmetry_tells_apart(atoms: Atoms, expected: dict[str, list[int]]) -> None:
    found: dict[str, list[int]] = {}
    for site, number in distinct_sites(atoms, 0.01).items():
        found.setdefault(atoms.symbols[site], []).append(number)
    assert found == expected


def test_references_of_the_elements() -> None:
    """Those that are given are taken; the others are of the element's own crystal, relaxed."""
    alloy = bulk("CuAu", "cesiumchloride", a=3.2)
    found = vacancy_formation(
        alloy, EMT(), chemical_potentials={"Au": -1.25}, supercell=(2, 2, 2), relax_positions=False, fmax=1e-3
    )
    copper, gold = found.vacancies
    assert (copper.element, gold.element) == ("Cu", "Au")
    assert gold.chemical_potential == -1.25
    metal = bulk("Cu", "fcc", a=3.59)  # where EMT has its minimum
    metal.calc = EMT()
    assert copper.chemical_potential == pytest.approx(metal.get_potential_energy(), abs=1e-4)
    perfect = alloy.repeat(2)
    hole = perfect.copy()
    del hole[[k for k, symbol in enumerate(perfect.symbols) if symbol == "Au"][3]]
    for each in (perfect, hole):
        each.calc = EMT()
    by_hand = hole.get_potential_energy() - perfect.get_potential_energy() - 1.25
    assert gold.unrelaxed_energy == pytest.approx(by_hand, abs=1e-9)


def test_by_default_the_supercell_is_wide_enough() -> None:
    found = vacancy_formation(bulk("Al", a=4.0), EMT(), relax_positions=False, min_length=6)
    heights = 1 / np.linalg.norm(bulk("Al", a=4.0).repeat(found.supercell).cell.reciprocal().array, axis=1)
    assert (heights >= 6).all()
    assert found.supercell == (3, 3, 3)


def test_what_it_refuses() -> None:
    with pytest.raises(VacancyError, match="periodic in three directions"):
        vacancy_formation(Atoms("Cu"), EMT())
    with pytest.raises(EmptyStructureError):
        vacancy_formation(Atoms(pbc=True, cell=[4] * 3), EMT())
    slab = bulk("Cu", cubic=True)
    slab.cell[2, 2] = 30
    with pytest.raises(VacancyError, match="this is a sheet or slab in vacuum"):
        vacancy_formation(slab, EMT())
    with pytest.raises(VacancyError, match="the supercell has one atom"):
        vacancy_formation(bulk("Cu"), EMT(), supercell=(1, 1, 1))
    with pytest.raises(VacancyError, match="three numbers of 1 or more"):
        vacancy_formation(bulk("Cu"), EMT(), supercell=(2, 0, 2))
    oxide = bulk("CuO", "rocksalt", a=4.2)
    with pytest.raises(VacancyError, match=r"the crystal of O is not known .*give its energy per atom"):
        vacancy_formation(oxide, EMT(), supercell=(2, 2, 2), chemical_potentials={"Cu": 0.0}, relax_positions=False)


def test_record_and_report(tmp_path: Path) -> None:
    copper = bulk("Cu", "fcc", a=3.59, cubic=True)
    done = vacancy_formation(copper, EMT(), supercell=(2, 2, 2), max_steps=1, fmax=1e-4)
    assert not done.vacancies[0].converged
    done.save(tmp_path / "vacancy.json")
    again = VacancyFormation.load(tmp_path / "vacancy.json")
    assert again.to_dict() == done.to_dict()
    page = assert_self_contained(vacancy_report([("copper", again)], "by hand").to_html())
    assert page.text["h1"] == ["Vacancies"]
    row = next(row for row in page.rows if row[0] == "Cu")
    assert row[1:3] == ["Cu 0", "4"]
    assert row[4:] == [f"{done.vacancies[0].unrelaxed_energy:.3f}", f"{done.vacancies[0].energy:.3f}", "NO"]
