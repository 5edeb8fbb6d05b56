"""ASE's optimisers of many minimisations at once: the same steps, in tensors of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from torch_gptff.workflows.cell_filter import CURVATURE, LONGEST

MEMORY = 100
"""Steps that LBFGS remembers."""


class BatchOptimizer(ABC):
    """Steps of minimisations that have nothing to do with each other, and that others join and leave.

    Coordinates and forces are rows of three: see :class:`~torch_gptff.workflows.batch.coordinates.BatchCoordinates`.
    """

    @abstractmethod
    def join(self, sizes: Tensor) -> None:
        """Add minimisations of so many rows behind the others.

        Args:
            sizes: rows of each, ``[B]``
        """

    @abstractmethod
    def keep(self, places: Tensor, rows: Tensor) -> None:
        """Let all minimisations go but some.

        Args:
            places: theirs, ascending
            rows: theirs, bool, ``[R]``
        """

    @abstractmethod
    def step(self, rows: Tensor, forces: Tensor, owner: Tensor, longest: Tensor) -> Tensor:
        """Next coordinates of all structures, ``[R, 3]``.

        Args:
            rows: where they are, Å, ``[R, 3]``
            forces: there, eV/Å, ``[R, 3]``
            owner: the minimisation of every row, ``[R]``
            longest: step of every row, Å, ``[R]``
        """


class BatchFIRE(BatchOptimizer):
    r"""FIRE, :cite: E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), as ASE has it.

    ========================  ==========================
    :math:`v`                 ``_velocity``
    :math:`\Delta t`          ``_dt``
    :math:`\alpha`            ``_mixing``
    :math:`N_{P>0}`           ``_downhill``
    ========================  ==========================
    """

    FIRST_STEP, LONGEST_STEP = 0.1, 1.0
    FIRST_MIXING, LESS_MIXING = 0.1, 0.99
    PATIENCE = 5
    FASTER, SLOWER = 1.1, 0.5

    def __init__(self, device: torch.device | str = "cpu") -> None:
        empty = torch.zeros(0, dtype=torch.float64, device=device)
        self._velocity = empty.view(0, 3)
        self._dt = self._mixing = empty
        self._downhill = self._age = empty.long()

    def join(self, sizes: Tensor) -> None:
        count = len(sizes)
        self._velocity = torch.cat([self._velocity, self._velocity.new_zeros(int(sizes.sum()), 3)])
        self._dt = torch.cat([self._dt, self._dt.new_full((count,), self.FIRST_STEP)])
        self._mixing = torch.cat([self._mixing, self._mixing.new_full((count,), self.FIRST_MIXING)])
        self._downhill = torch.cat([self._downhill, self._downhill.new_zeros(count)])
        self._age = torch.cat([self._age, self._age.new_zeros(count)])

    def keep(self, places: Tensor, rows: Tensor) -> None:
        self._velocity = self._velocity[rows]
        for name in ("_dt", "_mixing", "_downhill", "_age"):
            setattr(self, name, getattr(self, name)[places])

    def step(self, rows: Tensor, forces: Tensor, owner: Tensor, longest: Tensor) -> Tensor:
        velocity, count = self._velocity, len(self._dt)
        is_first = self._age == 0
        goes_down = product(velocity, forces, owner, count) > 0
        size = product(velocity, velocity, owner, count).sqrt() / product(forces, forces, owner, count).sqrt()
        mixing = self._mixing[owner].unsqueeze(-1)
        mixed = (1 - mixing) * velocity + (self._mixing * size)[owner].unsqueeze(-1) * forces
        velocity = mixed.where(goes_down[owner].unsqueeze(-1), torch.zeros_like(mixed))
        faster = goes_down & (self._downhill > self.PATIENCE)
        slower = ~goes_down & ~is_first
        self._dt = torch.where(faster, (self._dt * self.FASTER).clamp(max=self.LONGEST_STEP), self._dt)
        self._dt = torch.where(slower, self._dt * self.SLOWER, self._dt)
        self._mixing = torch.where(faster, self._mixing * self.LESS_MIXING, self._mixing)
        self._mixing = torch.where(goes_down, self._mixing, self.FIRST_MIXING)
        self._downhill = torch.where(goes_down, self._downhill + 1, 0)
        self._age = self._age + 1
        dt = self._dt[owner].unsqueeze(-1)
        self._velocity = velocity + dt * forces
        move = dt * self._velocity
        length = product(move, move, owner, count).sqrt()
        return rows + move * (LONGEST / length.clamp(min=LONGEST))[owner].unsqueeze(-1)


class BatchLBFGS(BatchOptimizer):
    """L-BFGS, D. C. Liu and J. Nocedal, Math. Program. 45, 503 (1989), as
    :class:`~torch_gptff.workflows.optimizers.LBFGS` has it.

    What a minimisation is too young to remember counts for nothing.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        empty = torch.zeros(0, dtype=torch.float64, device=device)
        self._rows = self._forces = empty.view(0, 3)
        self._has_moved = empty.bool()
        self._steps: list[Tensor] = []
        self._changes: list[Tensor] = []
        self._weights: list[Tensor] = []

    def join(self, sizes: Tensor) -> None:
        zeros = self._rows.new_zeros(int(sizes.sum()), 3)
        self._rows, self._forces = torch.cat([self._rows, zeros]), torch.cat([self._forces, zeros])
        self._has_moved = torch.cat([self._has_moved, self._has_moved.new_zeros(len(sizes))])
        self._steps = [torch.cat([step, zeros]) for step in self._steps]
        self._changes = [torch.cat([change, zeros]) for change in self._changes]
        self._weights = [torch.cat([weight, weight.new_zeros(len(sizes))]) for weight in self._weights]

    def keep(self, places: Tensor, rows: Tensor) -> None:
        self._rows, self._forces, self._has_moved = self._rows[rows], self._forces[rows], self._has_moved[places]
        weights = [weight[places] for weight in self._weights]
        first = next((number for number, weight in enumerate(weights) if bool(weight.any())), len(weights))
        self._weights = weights[first:]
        self._steps = [step[rows] for step in self._steps[first:]]
        self._changes = [change[rows] for change in self._changes[first:]]

    def step(self, rows: Tensor, forces: Tensor, owner: Tensor, longest: Tensor) -> Tensor:
        count = len(self._has_moved)
        if bool(self._has_moved.any()):
            self._remember(rows - self._rows, self._forces - forces, owner, count)
        self._rows, self._forces = rows, forces
        self._has_moved = torch.ones_like(self._has_moved)
        move, parts = forces, []
        past = list(zip(self._steps, self._changes, self._weights, strict=True))
        for step, change, weight in reversed(past):
            part = (weight * product(step, move, owner, count))[owner].unsqueeze(-1)
            move = move - part * change
            parts.append(part)
        move = move / CURVATURE
        for (step, change, weight), part in zip(past, reversed(parts), strict=True):
            move = move + step * (part - (weight * product(change, move, owner, count))[owner].unsqueeze(-1))
        return rows + shortened(move, owner, longest, count)

    def _remember(self, step: Tensor, change: Tensor, owner: Tensor, count: int) -> None:
        curvature = product(step, change, owner, count)
        weight = torch.where(self._has_moved & (curvature > 0), 1 / curvature, 0.0)
        known = self._has_moved[owner].unsqueeze(-1)
        self._steps = [*self._steps, step.where(known, torch.zeros_like(step))][-MEMORY:]
        self._changes = [*self._changes, change.where(known, torch.zeros_like(change))][-MEMORY:]
        self._weights = [*self._weights, weight][-MEMORY:]


class BatchBFGS(BatchOptimizer):
    """BFGS as ASE has it, with a Hessian for each minimisation."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._rows = self._forces = torch.zeros(0, 3, dtype=torch.float64, device=device)
        self._hessians: list[Tensor | None] = []

    def join(self, sizes: Tensor) -> None:
        zeros = self._rows.new_zeros(int(sizes.sum()), 3)
        self._rows, self._forces = torch.cat([self._rows, zeros]), torch.cat([self._forces, zeros])
        self._hessians += [None] * len(sizes)

    def keep(self, places: Tensor, rows: Tensor) -> None:
        self._rows, self._forces = self._rows[rows], self._forces[rows]
        self._hessians = [self._hessians[place] for place in places.tolist()]

    def step(self, rows: Tensor, forces: Tensor, owner: Tensor, longest: Tensor) -> Tensor:
        count = len(self._hessians)
        sizes = torch.bincount(owner, minlength=count).tolist()
        steps = (rows - self._rows).split(sizes)
        changes = (self._forces - forces).split(sizes)
        moves = []
        for number, force in enumerate(forces.split(sizes)):
            hessian = self._hessian(self._hessians[number], steps[number].flatten(), changes[number].flatten())
            self._hessians[number] = hessian
            values, vectors = torch.linalg.eigh(hessian)
            moves.append((vectors @ (vectors.T @ force.flatten() / values.abs())).view(-1, 3))
        self._rows, self._forces = rows, forces
        return rows + shortened(torch.cat(moves), owner, longest, count)

    @staticmethod
    def _hessian(before: Tensor | None, step: Tensor, change: Tensor) -> Tensor:
        if before is None:
            return CURVATURE * torch.eye(len(step), dtype=step.dtype, device=step.device)
        if step.abs().max() < 1e-7:
            return before
        expected = before @ step
        return (
            before + torch.outer(change, change) / (step @ change) - torch.outer(expected, expected) / (step @ expected)
        )


BATCH_OPTIMIZERS: dict[str, type[BatchFIRE | BatchLBFGS | BatchBFGS]] = {
    "FIRE": BatchFIRE,
    "LBFGS": BatchLBFGS,
    "BFGS": BatchBFGS,
}
"""By the names of :data:`~torch_gptff.workflows.OPTIMIZERS`."""


def product(one: Tensor, other: Tensor, owner: Tensor, count: int) -> Tensor:
    """The inner product of each minimisation's rows, ``[B]``."""
    return one.new_zeros(count).index_add(0, owner, (one * other).sum(-1))


def shortened(move: Tensor, owner: Tensor, longest: Tensor, count: int) -> Tensor:
    """Moves along the same way in which no row is longer than it may be."""
    excess = move.norm(dim=-1) / longest
    most = excess.new_ones(count).scatter_reduce(0, owner, excess, "amax")
    return move / most[owner].unsqueeze(-1)
