"""Relaxation: known minima are found, and what is not a minimum is not called one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from torch_gptff.errors import EmptyStructureError, MissingCellError, NonFiniteError, RelaxationError
from torch_gptff.workflows import OPTIMIZERS, Relaxation, RelaxationStep, relax
from torch_gptff.workflows.reports.relax import relax_report

A_CU = 3.5898  # of copper in effective medium theory, Å


@pytest.fixture
def strained() -> Atoms:
    """Two atoms of copper, in a sheared and stretched cell, off their sites."""
    atoms = bulk("Cu", a=3.6) * (2, 1, 1)
    atoms.set_cell(atoms.cell @ np.array([[1.02, 0.01, 0], [0, 0.97, 0.02], [0, 0, 1.04]]), scale_atoms=True)
    atoms.rattle(0.05, seed=3)
    return atoms


def lattice_constant(atoms: Atoms) -> float:
    return float((4 * atoms.get_volume() / len(atoms)) ** (1 / 3))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_strained_copper_goes_back_to_fcc(strained: Atoms, optimizer: str) -> None:
    relaxation = relax(strained, EMT(), fmax=1e-3, smax=1e-5, optimizer=optimizer)
    assert relaxation.converged
    assert relaxation.fmax <= 1e-3
    assert relaxation.max_stress is not None
    assert relaxation.max_stress <= 1e-5
    assert lattice_constant(relaxation.final) == pytest.approx(A_CU, abs=1e-3)
    distances = relaxation.final.get_all_distances(mic=True)
    assert distances[0, 1] == pytest.approx(A_CU / np.sqrt(2), abs=2e-3)
    ideal = bulk("Cu", a=A_CU) * (2, 1, 1)
    ideal.calc = EMT()
    assert relaxation.energy == pytest.approx(ideal.get_potential_energy(), abs=1e-5)


def test_lennard_jones_crystal_has_the_lattice_sums_constant() -> None:
    # r = (2 A12 / A6)^(1/6) σ, with the lattice sums of fcc
    nearest = (2 * 12.13188 / 14.45392) ** (1 / 6)
    relaxation = relax(bulk("Ar", a=1.5), LennardJones(rc=7.0), fmax=1e-4, smax=1e-5, optimizer="BFGS")
    assert relaxation.converged
    assert lattice_constant(relaxation.final) == pytest.approx(np.sqrt(2) * nearest, rel=3e-4)


def test_a_molecule_relaxes_its_positions_alone() -> None:
    dimer = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 1.3]])
    relaxation = relax(dimer, LennardJones(rc=20.0), fmax=1e-4)
    assert relaxation.converged
    assert relaxation.max_stress is None
    assert relaxation.final.get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=1e-4)
    boxed = dimer.copy()
    boxed.cell = [5, 5, 5]
    assert relax(boxed, LennardJones(rc=20.0), fmax=1e-4).final.cell.lengths() == pytest.approx([5, 5, 5])


def test_a_fixed_cell_keeps_its_cell_and_tells_its_stress(strained: Atoms) -> None:
    relaxation = relax(strained, EMT(), fmax=1e-3, fix_cell=True)
    assert relaxation.converged
    np.testing.assert_array_equal(relaxation.final.cell, strained.cell)
    assert relaxation.max_stress == pytest.approx(np.abs(relaxation.final.get_stress()).max())
    assert relaxation.max_stress > 0.01


def test_forces_below_the_bound_are_not_enough_while_the_cell_is_strained() -> None:
    # on ideal sites every force is zero, whatever the lattice constant
    assert relax(bulk("Cu", a=3.7), EMT(), fix_cell=True).n_steps == 0
    relaxation = relax(bulk("Cu", a=3.7), EMT())
    assert relaxation.n_steps > 0
    assert lattice_constant(relaxation.final) == pytest.approx(A_CU, abs=0.003)


def test_a_slab_relaxes_within_its_plane() -> None:
    slab = fcc111("Cu", (1, 1, 4), a=3.75, vacuum=6)
    relaxation = relax(slab, EMT(), fmax=1e-3, smax=1e-5)
    assert relaxation.converged
    assert relaxation.final.cell.lengths()[2] == pytest.approx(slab.cell.lengths()[2], abs=1e-12)
    a, b, _ = relaxation.final.cell.lengths()
    assert a == pytest.approx(b, abs=1e-4)
    # a surface has fewer neighbours, so its bonds are shorter than those of the crystal
    assert A_CU / np.sqrt(2) - 0.1 < a < A_CU / np.sqrt(2)
    np.testing.assert_allclose(relaxation.final.get_stress()[[0, 1, 5]], 0, atol=1e-5)


def test_a_slab_that_lies_askew_relaxes_like_one_that_does_not() -> None:
    slab = fcc111("Cu", (1, 1, 3), vacuum=6)
    slab.rattle(0.05, seed=0)
    turned = slab.copy()
    turned.rotate(30, (1, 2, 3), rotate_cell=True)
    straight, askew = (relax(atoms, EMT(), fmax=1e-3, smax=1e-5) for atoms in (slab, turned))
    assert straight.converged
    assert askew.converged
    assert askew.energy == pytest.approx(straight.energy, abs=1e-5)
    np.testing.assert_allclose(askew.final.cell.cellpar(), straight.final.cell.cellpar(), atol=2e-3)


def test_a_slab_without_a_length_of_vacuum_is_refused_or_keeps_its_cell() -> None:
    flat = fcc111("Cu", (1, 1, 3), vacuum=6)
    flat.rattle(0.05, seed=0)
    flat.cell[2] = 0
    with pytest.raises(MissingCellError, match="vacuum"):
        relax(flat, EMT())
    assert relax(flat, EMT(), fix_cell=True).converged


@pytest.mark.parametrize("periodic", [True, False])
def test_how_much_vacuum_there_is_does_not_matter(periodic: bool) -> None:
    found = []
    for vacuum in (6, 60, 3000):
        slab = fcc111("Cu", (1, 1, 3), a=3.7, vacuum=vacuum)
        slab.pbc[2] = periodic
        relaxation = relax(slab, EMT())
        assert relaxation.converged
        assert relaxation.dimension == 2
        assert relaxation.final.cell.lengths()[2] == pytest.approx(slab.cell.lengths()[2], rel=1e-12)
        assert (len(relaxation.remarks) == 1) == periodic
        if periodic:
            assert relaxation.remarks[0].startswith("a sheet or slab in vacuum, which no bond of up to 6 Å crosses")
        found.append((relaxation.n_steps, relaxation.max_stress, relaxation.final.cell.lengths()[0]))
    assert found[0][0] > 0
    for each in found:
        assert each == pytest.approx(found[0], rel=1e-6)
    # near where the stress is nothing: an exact relaxation
    exact = relax(fcc111("Cu", (1, 1, 3), a=3.7, vacuum=6), EMT(), fmax=1e-3, smax=1e-6)
    assert found[0][2] == pytest.approx(exact.final.cell.lengths()[0], rel=2e-3)


def test_a_chain_relaxes_along_its_line_wherever_it_points() -> None:
    lengths = []
    for axis in ((0, 0, 1), (1, 1, 1), (1, 2, 0)):
        chain = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.6]], cell=[20, 20, 5.2], pbc=True)
        chain.rotate((0, 0, 1), axis, rotate_cell=True)
        relaxation = relax(chain, EMT(), fmax=1e-4, smax=1e-5)
        assert relaxation.converged
        assert relaxation.dimension == 1
        assert "a wire or chain in vacuum" in relaxation.remarks[0]
        np.testing.assert_allclose(relaxation.final.cell.lengths()[:2], 20, rtol=1e-9)
        lengths.append(relaxation.final.cell.lengths()[2])
    assert np.ptp(lengths) < 1e-3
    assert 4 < lengths[0] < 5.1


def test_molecules_in_a_box_keep_their_box() -> None:
    molecules = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.6]], cell=[20, 20, 20], pbc=True)
    relaxation = relax(molecules, EMT(), fmax=1e-3)
    assert relaxation.converged
    assert relaxation.dimension == 0
    assert relaxation.max_stress is None
    assert "single atoms or molecules in vacuum" in relaxation.remarks[0]
    np.testing.assert_array_equal(relaxation.final.cell.array, molecules.cell.array)
    with pytest.raises(RelaxationError, match="pressure acts on a crystal, and this is single atoms or molecules"):
        relax(molecules, EMT(), pressure=0.01)


class Gas(LennardJones):
    """No forces, and a pressure that falls off as the volume of the cell grows."""

    def __init__(self) -> None:
        super().__init__(rc=1e-3)

    def calculate(self, atoms: Atoms, *args: Any, **kwargs: Any) -> None:
        super().calculate(atoms, *args, **kwargs)
        pressure = 0.01 * np.exp(-(atoms.get_volume() / 5.9**3 - 1) / 0.05)
        self.results["stress"] = np.array([-pressure] * 3 + [0.0] * 3)


def test_a_crystal_that_comes_apart_has_not_converged() -> None:
    relaxation = relax(bulk("Ar", "sc", a=5.9), Gas(), max_steps=200, smax=1e-3)
    assert relaxation.dimension == 3
    assert relaxation.max_stress is not None
    assert relaxation.max_stress <= 1e-3
    assert relaxation.n_steps < 200
    assert relaxation.final.cell.lengths()[0] > 6  # Å, beyond which atoms count as not bonded
    assert not relaxation.converged
    assert relaxation.remarks == ("the structure came apart: it was a crystal, and is single atoms or molecules now",)


def test_records_of_the_version_before_can_be_read(strained: Atoms) -> None:
    document = relax(strained, EMT(), max_steps=0).to_dict()
    del document["dimension"], document["remarks"]
    assert Relaxation.from_dict(document).dimension is None


def test_the_same_as_by_hand(strained: Atoms) -> None:
    relaxation = relax(strained, EMT(), max_steps=7, fmax=1e-6, optimizer="FIRE")
    by_hand = strained.copy()
    by_hand.calc = EMT()
    with FIRE(FrechetCellFilter(by_hand), logfile=None) as dynamics:
        dynamics.run(fmax=1e-6, steps=7)
    np.testing.assert_allclose(relaxation.final.positions, by_hand.positions, atol=1e-11)
    np.testing.assert_allclose(relaxation.final.cell, by_hand.cell, atol=1e-11)
    assert relaxation.energy == pytest.approx(by_hand.get_potential_energy(), abs=1e-11)


def test_the_input_is_left_untouched(strained: Atoms) -> None:
    strained.info["name"] = "copper"
    strained.calc = EMT()
    before = strained.copy()
    relaxation = relax(strained)
    assert strained == before
    assert isinstance(strained.calc, EMT)
    assert relaxation.initial == before
    assert relaxation.initial.get_potential_energy() == pytest.approx(strained.get_potential_energy(), abs=1e-12)
    assert relaxation.final.info == {"name": "copper"}
    # results that stay, whatever the calculator does next
    assert relaxation.final.get_potential_energy() == relaxation.energy
    assert np.linalg.norm(relaxation.final.get_forces(), axis=1).max() == pytest.approx(relaxation.fmax)


def test_constraints_are_obeyed(strained: Atoms) -> None:
    strained.set_constraint(FixAtoms([0]))
    relaxation = relax(strained, EMT(), fix_cell=True, fmax=1e-3)
    assert relaxation.converged
    np.testing.assert_array_equal(relaxation.final.positions[0], strained.positions[0])


def test_steps_that_do_not_suffice_are_no_convergence(strained: Atoms) -> None:
    relaxation = relax(strained, EMT(), max_steps=3)
    assert not relaxation.converged
    assert relaxation.n_steps == 3
    none = relax(strained, EMT(), max_steps=0)
    assert (none.converged, none.n_steps) == (False, 0)
    assert none.final == strained


def test_every_step_is_told_and_recorded(strained: Atoms, tmp_path: Path) -> None:
    steps: list[RelaxationStep] = []
    path = tmp_path / "new folder" / "way.traj"
    relaxation = relax(strained, EMT(), trajectory=path, on_step=steps.append)
    assert [step.number for step in steps] == list(range(relaxation.n_steps + 1))
    assert steps[-1].energy == relaxation.energy
    frames = ase.io.read(path, index=":")
    assert [frame.get_potential_energy() for frame in frames] == pytest.approx([step.energy for step in steps])
    assert [np.linalg.norm(frame.get_forces(), axis=1).max() for frame in frames] == pytest.approx(
        [step.fmax for step in steps]
    )
    assert frames[0] == strained
    np.testing.assert_array_equal(frames[-1].positions, relaxation.final.positions)
    assert all(before.get_volume() != after.get_volume() for before, after in pairwise(frames))


class Spoilt(EMT):
    """EMT whose result turns bad at a certain call."""

    def __init__(self, spoil: str, call: int) -> None:
        super().__init__()
        self.spoil, self.calls, self.call = spoil, 0, call

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.calls += 1
        if self.calls == self.call:
            if self.spoil == "refusal":
                raise NonFiniteError("atom 1 is at nan")
            self.results[self.spoil] = self.results[self.spoil] * np.nan


@pytest.mark.parametrize("spoil", ["energy", "forces", "stress"])
def test_a_run_that_explodes_stops_and_leaves_its_way(strained: Atoms, tmp_path: Path, spoil: str) -> None:
    with pytest.raises(RelaxationError, match=r"is nan after step 3: the run exploded"):
        relax(strained, Spoilt(spoil, call=4), trajectory=tmp_path / "way.traj")
    assert len(ase.io.read(tmp_path / "way.traj", index=":")) == 4
    with pytest.raises(RelaxationError, match=r"is nan at the start"):
        relax(strained, Spoilt(spoil, call=1))


def test_a_structure_that_falls_apart_says_when(strained: Atoms) -> None:
    with pytest.raises(RelaxationError, match=r"fell apart after step 2: atom 1 is at nan"):
        relax(strained, Spoilt("refusal", call=4))
    with pytest.raises(NonFiniteError):
        relax(strained, Spoilt("refusal", call=1))


def test_overlapping_atoms_explode() -> None:
    with np.errstate(all="ignore"), pytest.raises(RelaxationError, match=r"is (inf|nan) at the start"):
        relax(Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 1e-40]]), LennardJones())


class WithoutStress(EMT):
    def get_stress(self, atoms: Atoms | None = None) -> Any:
        raise NotImplementedError


def test_what_cannot_be_relaxed_is_refused(strained: Atoms) -> None:
    with pytest.raises(RelaxationError, match=r"set atoms\.calc"):
        relax(strained)
    with pytest.raises(RelaxationError, match="there are LBFGS, FIRE, BFGS"):
        relax(strained, EMT(), optimizer="Newton")
    with pytest.raises(EmptyStructureError):
        relax(Atoms(), EMT())
    with pytest.raises(RelaxationError, match="WithoutStress gives no stress"):
        relax(strained, WithoutStress())
    assert relax(strained, WithoutStress(), fix_cell=True).max_stress is None


def test_a_report_does_not_draw_rounding_as_forces() -> None:
    by_symmetry = relax(bulk("Cu", a=3.7), EMT())
    rattled = bulk("Cu", cubic=True, a=3.7)
    rattled.rattle(0.05, seed=1)
    drawn = "Largest force on an atom"
    assert by_symmetry.n_steps > 0
    html = relax_report([("Cu", by_symmetry)]).to_html()
    assert "No atom feels a force at any step." in html
    assert drawn not in html
    assert drawn in relax_report([("Cu", relax(rattled, EMT()))]).to_html()
