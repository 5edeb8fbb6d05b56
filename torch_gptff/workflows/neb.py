"""Migration barriers: the path of least energy between two structures, by the nudged elastic band."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import FIRE
from ase.utils.forcecurve import fit_images
from numpy.typing import NDArray

from torch_gptff.errors import MigrationError
from torch_gptff.graph.formula import formula_of
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_atoms, as_inputs
from torch_gptff.workflows.migration import MigrationPath
from torch_gptff.workflows.relax import relax

SAME_CELL = 1e-3
"""Å, by which vectors of the cells of both ends may differ."""

SAME_PLACE = 0.05
"""Å: ends in which no atom moves farther are the same."""

METHOD = "improvedtangent"
"""Name in ASE of the method for the tangents of the band."""

LOOSE = 5.0
"""Forces on the band before an image climbs, relative to those at convergence."""


def migration_path(
    initial: Any,
    final: Any,
    calculator: Any = None,
    *,
    images: int = 5,
    relax_ends: bool = True,
    match_atoms: bool = True,
    fmax: float = 0.05,
    max_steps: int = 500,
    spring: float = 0.1,
    on_step: Callable[[int, float], None] | None = None,
) -> MigrationPath:
    """The path of least energy from one structure to another in the same cell, and the barriers on it, with ASE.

    The path is a climbing nudged elastic band, `Henkelman, Uberuaga and Jónsson, J. Chem. Phys. 113, 9901 (2000)
    <https://doi.org/10.1063/1.1329672>`_, with improved tangents, that starts from an interpolation by the
    image-dependent pair potential, `Smidstrup, Pedersen, Stokbro and Jónsson, J. Chem. Phys. 140, 214106 (2014)
    <https://doi.org/10.1063/1.4878664>`_. Its highest image climbs to the saddle point once the forces on the band have
    fallen to five times ``fmax``.

    Args:
        initial: the structure at one end, as :func:`~torch_gptff.workflows.relax` takes it
        final: at the other
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``initial``. A
            :class:`~torch_gptff.Potential` or its calculator is given all images together
        images: number of images between the ends
        relax_ends: whether the atoms of both ends relax, in the cell as it is
        match_atoms: whether atoms of one element may be put into another order in ``final``, so that they move the
            least; otherwise the atoms of one number are the same atom
        fmax: largest force on an atom of the band at convergence, eV/Å
        max_steps: maximum number of steps, of the band and of the relaxation of each end
        spring: constant of the springs between images, eV/Å²
        on_step: called after every step of the band with its number and the largest force

    Raises:
        MigrationError: the ends have other atoms or other cells, are the same, or do not relax; or a setting makes no
            sense.
        StructureError, RelaxationError: the calculator refuses a structure, or an end falls apart.
    """
    first, calculator = as_inputs(initial, calculator, MigrationError)
    last = as_atoms(final)
    if images < 1:
        raise MigrationError(f"a path has one image or more between its ends, not {images}")
    _check_ends(first, last)
    ends = [_bare(first), _bare(last)]
    ends[1].set_cell(first.cell)  # to the last digit
    n_reordered = _reorder(*ends) if match_atoms else 0
    if relax_ends:
        names = ("first", "last")
        ends = [_relaxed(end, calculator, fmax, max_steps, name) for end, name in zip(ends, names, strict=True)]
    _unwrap(*ends)
    if np.linalg.norm(ends[1].positions - ends[0].positions, axis=1).max() < SAME_PLACE:
        relaxed = " after they have relaxed" if relax_ends else ""
        raise MigrationError(f"the two ends are the same{relaxed}: no atom moves by {SAME_PLACE:g} Å")
    band = _Band([ends[0], *(ends[0].copy() for _ in range(images)), ends[1]], calculator, spring)
    converged, n_steps = _run(band, fmax, max_steps, on_step)
    return _path(band, converged, n_steps, n_reordered)


class _Band(NEB):
    """A band whose images are computed together, from an interpolation between its ends.

    Args:
        images: the ends, and copies of the first between them
        calculator: of all images
        spring: constant of the springs, eV/Å²
    """

    def __init__(self, images: list[Atoms], calculator: Any, spring: float) -> None:
        NEB(images, method=METHOD).interpolate(method="idpp", mic=bool(images[0].pbc.any()))
        super().__init__(images, k=spring, climb=False, method=METHOD)
        self.calculator = calculator
        self.largest = np.inf
        self._evaluate([images[0], images[-1]])

    def get_forces(self) -> NDArray[np.float64]:
        """Forces of the band on its images between the ends, eV/Å."""
        self._evaluate(self.images[1:-1])
        forces = np.asarray(super().get_forces())
        self.largest = float(np.linalg.norm(forces, axis=1).max())
        return forces

    def _evaluate(self, images: list[Atoms]) -> None:
        moved = [atoms for atoms in images if atoms.calc is None or atoms.calc.check_state(atoms)]
        for atoms, found in zip(moved, evaluate_many(moved, self.calculator, stress=False, warn=False), strict=True):
            if not found.is_finite:
                raise MigrationError("energy or forces of an image are not finite: look at the ends")
            atoms.calc = SinglePointCalculator(atoms, energy=found.energy, forces=found.forces)


def _run(band: _Band, fmax: float, max_steps: int, on_step: Callable[[int, float], None] | None) -> tuple[bool, int]:
    """Relax the band, then let its highest image climb. Returns whether it has converged, and the number of steps."""
    n_steps, converged = 0, False
    for climbs, limit in ((False, LOOSE * fmax), (True, fmax)):
        band.climb = climbs
        optimizer = FIRE(band, logfile=None)
        before, converged = n_steps, False
        for done in optimizer.irun(fmax=limit, steps=max_steps - before):
            converged = bool(done)
            n_steps = before + optimizer.nsteps
            if on_step is not None:
                on_step(n_steps, band.largest)
        if not converged:
            break
    return converged and band.climb, n_steps


def _path(band: _Band, converged: bool, n_steps: int, n_reordered: int) -> MigrationPath:
    fit = fit_images(band.images)
    zero = float(band.images[0].get_potential_energy())
    energies = zero + np.array(fit.energies)
    remarks = []
    if n_reordered:
        remarks.append(f"{n_reordered} atoms of the last structure were put into another order, to move least")
    inner = energies[1:-1]
    if inner.max() <= max(energies[0], energies[-1]):
        remarks.append("no image is higher than both ends: there is no barrier between them, or more images are needed")
    lows = [k for k in range(1, len(energies) - 1) if energies[k] < min(energies[k - 1], energies[k + 1]) - 1e-3]
    if lows:
        remarks.append(
            f"image {lows[0]} lies in a minimum of its own: relax it, and compute the paths before and behind it"
        )
    return MigrationPath(
        images=tuple(Atoms(atoms) for atoms in band.images),
        energies=energies,
        distances=np.array(fit.path),
        fit_distances=np.array(fit.fit_path),
        fit_energies=zero + np.array(fit.fit_energies),
        fmax=band.largest,
        n_steps=n_steps,
        converged=converged,
        n_reordered=n_reordered,
        remarks=tuple(remarks),
    )


def _check_ends(first: Atoms, last: Atoms) -> None:
    if sorted(first.numbers) != sorted(last.numbers):
        raise MigrationError(
            f"the ends have other atoms: {len(first)} of {formula_of(first)}, and {len(last)} of {formula_of(last)}"
        )
    if (first.pbc != last.pbc).any() or np.abs(first.cell.array - last.cell.array).max() > SAME_CELL:
        raise MigrationError(
            "the ends have other cells: a band is computed in one cell; give both that of the perfect crystal"
        )


def _bare(atoms: Atoms) -> Atoms:
    bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if atoms.has("masses"):
        bare.set_masses(atoms.get_masses())
    return bare


def _reorder(first: Atoms, last: Atoms) -> int:
    """Put the atoms of the last structure into the order in which they move least. Returns how many change places."""
    from scipy.optimize import linear_sum_assignment

    order = np.empty(len(first), dtype=int)
    for number in np.unique(first.numbers):
        here, there = np.flatnonzero(first.numbers == number), np.flatnonzero(last.numbers == number)
        moves = last.positions[there][None, :, :] - first.positions[here][:, None, :]
        lengths = find_mic(moves.reshape(-1, 3), first.cell, first.pbc)[1].reshape(len(here), len(there))
        rows, columns = linear_sum_assignment(lengths**2)
        order[here[rows]] = there[columns]
    last.numbers = last.numbers[order]
    last.positions = last.positions[order]
    return int((order != np.arange(len(order))).sum())


def _unwrap(first: Atoms, last: Atoms) -> None:
    """Move the atoms of the last structure into the periods in which they are nearest to those of the first."""
    if (first.numbers != last.numbers).any():
        raise MigrationError("the atoms of the ends are in another order: let them be matched")
    last.positions = first.positions + find_mic(last.positions - first.positions, first.cell, first.pbc)[0]


def _relaxed(atoms: Atoms, calculator: Any, fmax: float, max_steps: int, name: str) -> Atoms:
    relaxation = relax(atoms, calculator, fmax=fmax, fix_cell=True, max_steps=max_steps)
    if not relaxation.converged:
        raise MigrationError(
            f"the {name} structure has not relaxed in {relaxation.n_steps} steps ({relaxation.fmax:.2g} eV/Å left): "
            "allow more, or give it relaxed"
        )
    return _bare(relaxation.final)
