"""Relaxations of many structures that take their steps together, in tensors of all of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.errors import GPTFFError
from torch_gptff.workflows.batch.calculators import BatchResults, OneByOne, RefusedError, TogetherByPotential
from torch_gptff.workflows.batch.coordinates import BatchCoordinates
from torch_gptff.workflows.batch.optimizers import BATCH_OPTIMIZERS
from torch_gptff.workflows.relax import RelaxationRun, no_stress
from torch_gptff.workflows.relaxation import Relaxation


@dataclass
class Member:
    """A structure of a batch.

    Attributes:
        number: its place in the list of structures
        key: its name in the journal
        run: its relaxation: how far it is, and what comes of it. ``run.atoms`` follow where constraints ask for it,
            at the start and at the end
    """

    number: int
    key: str
    run: RelaxationRun


class RelaxationBatch:
    """Structures side by side: one call of the model, one update of neighbours, and one step, for all.

    Args:
        calculator: of the batch
        optimizer: a name in :data:`~torch_gptff.workflows.OPTIMIZERS`
        pressure: that acts from outside, eV/Å³
    """

    def __init__(self, calculator: TogetherByPotential | OneByOne, optimizer: str, pressure: float) -> None:
        self.members: list[Member] = []
        self._calculator = calculator
        self._coordinates = BatchCoordinates(calculator.device)
        self._optimizer = BATCH_OPTIMIZERS[optimizer](calculator.device)
        self._pressure = pressure * torch.eye(3, dtype=torch.float64, device=calculator.device)
        self._new: list[Member] = []
        self._bonded = self._pressure.new_zeros(0, 3, 3)

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return sum(len(member.run.atoms) for member in [*self.members, *self._new])

    def join(self, member: Member) -> None:
        """Add a structure before the next step.

        Raises:
            StructureError: the model does not know its elements.
        """
        self._calculator.check(member.run.atoms, member.number)
        self._new.append(member)

    def step(self) -> list[tuple[Member, Relaxation | GPTFFError]]:
        """Compute the forces of all, and move those that have not ended; return the others."""
        self._enter()
        ended: list[tuple[Member, Relaxation | GPTFFError]] = []
        results = self._compute(ended)
        if results is None:
            return ended
        forces, stress = self._obeying(results)
        over = self._look(results, forces, stress)
        ended += [(self.members[place], found) for place, found in over.items()]
        forces, stress = self._keep_all_but(over, forces, stress)
        if self.members:
            ended += self._move(forces, stress)
        return ended

    def _enter(self) -> None:
        runs = [member.run for member in self._new]
        if not runs:
            return
        fixed = np.zeros((3, 3))
        free = [_bonded(run) if run.free_cell else fixed for run in runs]
        scales, longest = [run.strain_scale for run in runs], [run.longest_strain for run in runs]
        self._coordinates.join([run.atoms for run in runs], free, scales, longest)
        self._optimizer.join(torch.tensor([len(run.atoms) + 3 for run in runs], device=self._calculator.device))
        bonded = [_bonded(run) / (1 if run.network is None else run.network.filling**0.5) for run in runs]
        self._bonded = torch.cat([self._bonded, torch.as_tensor(np.stack(bonded)).to(self._bonded)])
        self.members += self._new
        self._new = []

    def _compute(self, ended: list[tuple[Member, Relaxation | GPTFFError]]) -> BatchResults | None:
        """Results of the calculator for the structures that it does not refuse; ``None`` where none is left."""
        while self.members:
            try:
                return self._calculator.compute(self._coordinates.data(), self._coordinates.sizes)
            except RefusedError as refused:
                for place, error in refused.errors.items():
                    ended.append((self.members[place], self.members[place].run.refused(error)))
                self._keep_all_but(refused.errors)
        return None

    def _obeying(self, results: BatchResults) -> tuple[Tensor, Tensor]:
        """Forces and stress as constraints let them act."""
        forces, stress = results.forces, results.stress
        if self._coordinates.constrained:
            forces, stress = forces.clone(), stress.clone()
        for place, atoms in self._coordinates.constrained.items():
            of_it = self._coordinates.atoms_of(place)
            atoms.calc.results = results.of(place, of_it)
            forces[of_it] = torch.as_tensor(atoms.get_forces()).to(forces)
            if "stress" in atoms.calc.results:
                stress[place] = torch.as_tensor(atoms.get_stress(voigt=False)).to(stress)
        return forces, stress

    def _look(self, results: BatchResults, forces: Tensor, stress: Tensor) -> dict[int, Relaxation | GPTFFError]:
        """Tell every relaxation how far it is; what came of those that are over, by their places."""
        sizes = self._coordinates.sizes
        fmax = forces.new_zeros(len(sizes)).scatter_reduce(
            0, self._coordinates.batch, forces.norm(dim=-1), "amax", include_self=False
        )
        beyond = (self._bonded @ (stress + self._pressure) @ self._bonded).abs().flatten(1).amax(1)
        has_stress = ~stress.isnan().flatten(1).all(1)
        over: dict[int, Relaxation | GPTFFError] = {}
        steps = zip(*(each.tolist() for each in (results.energy, fmax, beyond, has_stress)), strict=True)
        for place, (energy, largest, largest_stress, is_known) in enumerate(steps):
            member = self.members[place]
            run = member.run
            counts = is_known and run.network is not None and run.network.dimension > 0
            is_first = run.is_at_start
            try:
                if not is_known and run.free_cell:
                    raise no_stress(self._calculator.source)
                if is_first:
                    self._show(place, results)
                run.note(energy, largest, largest_stress if counts else None)
                if is_first:
                    self._calculator.warn_of_doubt(results, place, run.atoms.numbers, member.number)
                if run.is_over:
                    self._show(place, results)
                    over[place] = run.result()
            except GPTFFError as error:
                over[place] = error
        return over

    def _show(self, place: int, results: BatchResults) -> None:
        """Put a structure where it has come to, with the results there."""
        atoms, of_it = self.members[place].run.atoms, self._coordinates.atoms_of(place)
        atoms.positions[:] = self._coordinates.pos[of_it].cpu().numpy()
        atoms.cell[:] = self._coordinates.cell[place].cpu().numpy()
        atoms.calc.results = results.of(place, of_it)

    def _move(self, forces: Tensor, stress: Tensor) -> list[tuple[Member, Relaxation | GPTFFError]]:
        """Take a step; return those that could not."""
        coordinates = self._coordinates
        downhill = coordinates.forces(forces, stress + self._pressure)
        rows = self._optimizer.step(coordinates.rows(), downhill, coordinates.owner, coordinates.longest())
        failures = coordinates.move(rows)
        ended: list[tuple[Member, Relaxation | GPTFFError]] = []
        for place, member in enumerate(self.members):
            if place in failures:
                ended.append((member, member.run.fell_apart(failures[place])))
            else:
                member.run.count()
        self._keep_all_but(failures)
        return ended

    def _keep_all_but(self, gone: Collection[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Let some structures go, also from tensors of all atoms, ``[N, 3]``, or structures, ``[B, 3, 3]``."""
        if not gone:
            return tensors
        which = [place for place in range(len(self.members)) if place not in gone]
        places = torch.tensor(which, dtype=torch.long, device=self._calculator.device)
        kept = torch.zeros(len(self.members), dtype=torch.bool, device=self._calculator.device)
        kept[places] = True
        of_atoms = kept[self._coordinates.batch]
        left = tuple(each[of_atoms if each.dim() == 2 else places] for each in tensors)
        self._optimizer.keep(places, kept[self._coordinates.owner])
        self._coordinates.keep(which)
        self._calculator.keep(which)
        self._bonded = self._bonded[places]
        self.members = [self.members[place] for place in which]
        return left


def _bonded(run: RelaxationRun) -> NDArray[np.float64]:
    """The projector on the directions of a structure's bonds, ``[3, 3]``; zero without periods."""
    return np.zeros((3, 3)) if run.network is None else run.network.projector
