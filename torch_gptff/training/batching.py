"""Batches of frames, limited by their number of bonds and angles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Sampler

from torch_gptff.training.config import BatchSettings


@dataclass(frozen=True)
class Costs:
    """Costs of all frames.

    Attributes:
        bonds: number of bonds of every frame, ``[F]``
        angles: number of angles of every frame, ``[F]``
    """

    bonds: Tensor
    angles: Tensor


@dataclass(frozen=True)
class Share:
    """Frames of one source, and how many of them an epoch holds.

    Attributes:
        frames: places of the frames in the costs, ``[S]``
        number: number of frames in an epoch: each ``number // S`` times, and a random part of them once more
    """

    frames: Tensor
    number: int

    def drawn(self, generator: torch.Generator) -> Tensor:
        """The frames of one epoch, ``[number]``."""
        size = len(self.frames)
        more = torch.randperm(size, generator=generator)[: self.number % size]
        return torch.cat([*[self.frames] * (self.number // size), self.frames[more]])


class BudgetSampler(Sampler[list[int]]):
    """Batches of frames, each within a budget of bonds, angles and frames; one process of several takes its share.

    The order depends on the seed and the epoch alone. The batches of one optimisation step, of all processes together,
    are neighbours in cost, so that no process waits long for another; where the number of batches does not suffice for
    whole steps, the last is filled up with batches of the same epoch. A frame above the budget makes a batch of its
    own.

    Args:
        costs: costs of the frames
        limits: limits of a batch, and the number of batches of one process in a step
        shuffle: whether frames are drawn in a new random order each epoch; otherwise each is taken once, in order
        shares: shares of the sources in an epoch; by default every frame is taken once
        seed: random seed of the order
        rank: number of this process
        world_size: number of processes

    Attributes:
        epoch: number of the next epoch, which determines the order
        first: epoch and batch at which a resumed run goes on
    """

    def __init__(
        self,
        costs: Costs,
        limits: BatchSettings,
        *,
        shuffle: bool = True,
        shares: Sequence[Share] | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        n_frames = len(costs.bonds)
        self.costs = costs
        self.limits = limits
        self.shuffle = shuffle
        self.shares = [Share(torch.arange(n_frames), n_frames)] if shares is None else list(shares)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch. PyTorch's and Lightning's loops call this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        mine = self.batches(self.epoch)[self.rank :: self.world_size]
        epoch, batch = self.first
        yield from mine[batch if epoch == self.epoch else 0 :]

    def __len__(self) -> int:
        return self.batches_in(self.epoch)

    def batches_in(self, epoch: int) -> int:
        """Number of batches of this process in an epoch."""
        return len(self.batches(epoch)[self.rank :: self.world_size])

    def batches(self, epoch: int) -> list[list[int]]:
        """Every batch of an epoch, of all processes: batch ``n`` is that of process ``n % world_size``."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        if not self.shuffle:
            return self._pack(range(len(self.costs.bonds)))
        frames = torch.cat([share.drawn(generator) for share in self.shares])
        packed = self._pack(frames[torch.randperm(len(frames), generator=generator)].tolist())
        per_step = self.world_size * self.limits.accumulate
        if per_step == 1:
            return packed
        packed += [packed[n % len(packed)] for n in range(-len(packed) % per_step)]
        packed.sort(key=self._cost)
        steps = [packed[n : n + per_step] for n in range(0, len(packed), per_step)]
        order = torch.randperm(len(steps), generator=generator).tolist()
        return [batch for n in order for batch in steps[n]]

    def _pack(self, frames: Sequence[int]) -> list[list[int]]:
        bonds, angles = self.costs.bonds.tolist(), self.costs.angles.tolist()
        limits = self.limits
        packed: list[list[int]] = []
        used_bonds = used_angles = 0
        for frame in frames:
            used_bonds, used_angles = used_bonds + bonds[frame], used_angles + angles[frame]
            fits = used_bonds <= limits.max_bonds and used_angles <= limits.max_angles
            if packed and fits and len(packed[-1]) < limits.max_frames:
                packed[-1].append(frame)
            else:
                packed.append([frame])
                used_bonds, used_angles = bonds[frame], angles[frame]
        return packed

    def _cost(self, batch: list[int]) -> int:
        return int(self.costs.bonds[batch].sum() + self.costs.angles[batch].sum())
