"""Relaxation of many: the minima are those of one by one, and a run that was killed loses nothing that was done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.spacegroup import crystal

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import EmptyStructureError, RelaxationError, StructureError
from torch_gptff.io.journal import Journal
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import Relaxation, relax, relax_many

METALS = ("Cu", "Al", "Ni", "Au", "Pd")


def strained(element: str, seed: int, repeat: int = 1) -> Atoms:
    atoms = bulk(element) * (repeat, 1, 1)
    random = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * random.normal(size=(3, 3))), scale_atoms=True)
    atoms.rattle(0.03, seed=seed)
    return atoms


@pytest.fixture
def metals() -> list[Atoms]:
    return [strained(element, seed, 1 + seed % 3) for seed, element in enumerate(METALS)]


def assert_same(one: Relaxation, other: Relaxation, tolerance: float = 1e-8) -> None:
    assert (one.n_steps, one.converged) == (other.n_steps, other.converged)
    assert one.energy == pytest.approx(other.energy, abs=tolerance)
    np.testing.assert_allclose(one.final.positions, other.final.positions, atol=tolerance)
    np.testing.assert_allclose(one.final.cell, other.final.cell, atol=tolerance)
    np.testing.assert_allclose(one.final.get_forces(), other.final.get_forces(), atol=tolerance)
    assert one.initial.get_potential_energy() == pytest.approx(other.initial.get_potential_energy(), abs=tolerance)


@pytest.mark.parametrize(("optimizer", "max_atoms"), [("FIRE", 4), ("LBFGS", 100), ("BFGS", 1)])
def test_the_same_as_one_by_one(metals: list[Atoms], max_atoms: int, optimizer: str) -> None:
    before = [atoms.copy() for atoms in metals]
    found = dict(relax_many(metals, EMT(), optimizer=optimizer, max_atoms=max_atoms, fmax=0.01))
    assert sorted(found) == list(range(len(metals)))
    assert metals == before
    for number, atoms in enumerate(metals):
        result = found[number]
        assert isinstance(result, Relaxation)
        assert result.converged
        assert_same(result, relax(atoms, EMT(), optimizer=optimizer, fmax=0.01))


def test_a_model_takes_them_together_to_the_same_minima() -> None:
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()
    salts = []
    for seed, a in enumerate((5.4, 5.6, 5.8)):
        salt = bulk("NaCl", "rocksalt", a=a)
        salt.rattle(0.05, seed=seed)
        salts.append(salt)
    calls: list[int] = []
    forward = potential.evaluate
    potential.evaluate = lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)  # type: ignore[method-assign]
    found = dict(relax_many(salts, potential, max_steps=12, fmax=1e-6))
    del potential.evaluate
    assert len(calls) == 13  # one for all three at every step
    for number, salt in enumerate(salts):
        alone = relax(salt, GPTFFCalculator(potential, device="cpu"), max_steps=12, fmax=1e-6)
        result = found[number]
        assert isinstance(result, Relaxation)
        assert_same(result, alone, 1e-7)


def test_structures_leave_and_enter(metals: list[Atoms]) -> None:
    taken: list[int] = []

    def supply():  # type: ignore[no-untyped-def]
        for number, atoms in enumerate(metals):
            taken.append(number)
            yield atoms

    sizes: list[tuple[int, int]] = []
    run = relax_many(supply(), EMT(), max_atoms=4, on_step=lambda *place: sizes.append(place))
    next(run)
    assert len(taken) < len(metals)  # not all are taken before there is room for them
    rest = list(run)
    assert len(rest) == len(metals) - 1
    assert sizes[-1] == (0, len(metals))


def test_what_fails_fails_alone(metals: list[Atoms]) -> None:
    overlapping = Atoms("Cu2", [[0, 0, 0], [0, 0, 1e-6]], cell=[5, 5, 5], pbc=True)
    structures = [metals[0], Atoms(), overlapping, metals[1]]
    found = dict(relax_many(structures, Refusing()))
    assert isinstance(found[1], EmptyStructureError)
    assert isinstance(found[2], StructureError)
    assert "on one spot" in str(found[2])
    for number in (0, 3):
        assert isinstance(found[number], Relaxation)
    few = dict(relax_many(metals, EMT(), max_steps=2))
    assert all(isinstance(each, Relaxation) and not each.converged and each.n_steps == 2 for each in few.values())


class Refusing(EMT):
    def calculate(self, atoms: Atoms | None = None, *args: object, **kwargs: object) -> None:
        assert atoms is not None
        if len(atoms) > 1 and atoms.get_all_distances(mic=True)[0, 1] < 0.1:
            raise StructureError("two atoms on one spot")
        super().calculate(atoms, *args, **kwargs)


def test_slabs_and_molecules_go_along(metals: list[Atoms]) -> None:
    slab = fcc111("Cu", (1, 1, 3), vacuum=6)
    slab.set_constraint(FixAtoms([0]))
    dimer = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]])
    found = dict(relax_many([slab, dimer, metals[0]], EMT(), fmax=0.01))
    for number, atoms in enumerate((slab, dimer, metals[0])):
        result = found[number]
        assert isinstance(result, Relaxation)
        assert_same(result, relax(atoms, EMT(), fmax=0.01))


def test_pressure_makes_a_crystal_smaller_and_its_stress_that_pressure() -> None:
    copper = bulk("Cu", a=3.6)
    pressure = 10 / GPA_PER_EV_PER_ANGSTROM3
    squeezed = relax(copper, EMT(), pressure=pressure, fmax=1e-3, smax=1e-5)
    assert squeezed.converged
    np.testing.assert_allclose(squeezed.final.get_stress(voigt=False), -pressure * np.eye(3), atol=1e-5)
    assert squeezed.final.get_volume() < relax(copper, EMT()).final.get_volume()
    ((_, many),) = relax_many([copper], EMT(), pressure=pressure, fmax=1e-3, smax=1e-5)
    assert isinstance(many, Relaxation)
    assert_same(many, squeezed)
    for options in ({"fix_cell": True}, {}):
        atoms = copper if options else fcc111("Cu", (1, 1, 2), vacuum=5)
        with pytest.raises(RelaxationError, match="pressure acts on a crystal"):
            relax(atoms, EMT(), pressure=pressure, **options)


def test_symmetry_is_kept_if_asked() -> None:
    # a chain of atoms at equal distances is symmetric, and unstable against pairing; here a cubic cell that would
    # rather be another: bcc copper, off its ideal cell by a hair
    body = crystal("Cu", [(0, 0, 0)], spacegroup=229, cellpar=[2.9, 2.9, 2.9, 90, 90, 90])
    body.info.clear()
    body.set_cell(body.cell.array @ np.diag([1.001, 1, 1]), scale_atoms=True)
    symmetric = relax(body, EMT(), keep_symmetry=True, symprec=0.1, fmax=1e-3, smax=1e-5, optimizer="LBFGS")
    lengths = symmetric.final.cell.lengths()
    assert symmetric.converged
    assert np.ptp(lengths) < 1e-8
    assert symmetric.final.constraints == []
    free = relax(body, EMT(), fmax=1e-3, smax=1e-5, max_steps=2000, optimizer="BFGS")
    assert free.energy < symmetric.energy - 1e-4  # fcc, along Bain's path
    assert np.ptp(free.final.cell.lengths()) > 0.1
    ((_, many),) = relax_many([body], EMT(), keep_symmetry=True, symprec=0.1, fmax=1e-3, smax=1e-5, optimizer="LBFGS")
    assert isinstance(many, Relaxation)
    assert_same(many, symmetric)
    with pytest.raises(RelaxationError, match="space group"):
        relax(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]]), EMT(), keep_symmetry=True)


def test_lennard_jones_reaches_the_same_minimum(metals: list[Atoms]) -> None:
    argon = bulk("Ar", a=1.6)
    argon.set_cell(argon.cell.array @ np.diag([1.03, 1, 0.98]), scale_atoms=True)
    ((_, many),) = relax_many([argon], LennardJones(rc=3.0), fmax=1e-3, smax=1e-3)
    assert isinstance(many, Relaxation)
    alone = relax(bulk("Ar", a=1.55), LennardJones(rc=3.0), fmax=1e-3, smax=1e-3)
    assert many.energy == pytest.approx(alone.energy, abs=1e-3)


def test_results_come_back(metals: list[Atoms], tmp_path: Path) -> None:
    relaxation = relax(metals[1], EMT())
    relaxation.save(tmp_path / "relaxation.json")
    again = Relaxation.load(tmp_path / "relaxation.json")
    assert_same(again, relaxation, 1e-14)
    np.testing.assert_array_equal(again.final.get_stress(), relaxation.final.get_stress())


def test_known_results_are_not_computed_again(metals: list[Atoms], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "relaxations.part", {"model": "EMT"})
    run = relax_many(metals, EMT(), journal=journal, max_atoms=3, optimizer="LBFGS")
    first = [next(run) for _ in range(3)]
    run.close()

    class Counting(EMT):
        seen: set[str]

        def calculate(self, atoms: Atoms | None = None, *args: object, **kwargs: object) -> None:
            assert atoms is not None
            self.seen.add(atoms.symbols[0])
            super().calculate(atoms, *args, **kwargs)

    counting = Counting()
    counting.seen = set()
    journal = Journal(tmp_path / "relaxations.part", {"model": "EMT"})
    again = dict(relax_many(metals, counting, journal=journal, optimizer="LBFGS"))
    done = {number for number, _ in first}
    assert counting.seen == {element for number, element in enumerate(METALS) if number not in done}
    whole = dict(relax_many(metals, EMT(), optimizer="LBFGS"))
    for number in range(len(metals)):
        one, other = again[number], whole[number]
        assert isinstance(one, Relaxation)
        assert isinstance(other, Relaxation)
        assert_same(one, other)


RUN = """
import sys
sys.path.insert(0, sys.argv[2])
from test_relax_many import EMT, Journal, METALS, relax_many, strained
metals = [strained(element, seed) for seed, element in enumerate(METALS * 2)]
for result in relax_many(metals, EMT(), journal=Journal(sys.argv[1], {}), max_atoms=2, fmax=0.02, optimizer="LBFGS"):
    print(flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no kill -9")
def test_kill_9_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "relaxations.part"
    command = [sys.executable, "-c", RUN, path, Path(__file__).parent]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert running.stdout is not None
    for _ in range(2):
        running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    running.stdout.close()
    metals = [strained(element, seed) for seed, element in enumerate(METALS * 2)]
    journal = Journal(path, {})
    assert 2 <= len(journal) < len(metals)
    found = dict(relax_many(metals, EMT(), journal=journal, max_atoms=2, fmax=0.02, optimizer="LBFGS"))
    for number in (0, 3, 9):
        result = found[number]
        assert isinstance(result, Relaxation)
        assert_same(result, relax(metals[number], EMT(), fmax=0.02, optimizer="LBFGS"))
