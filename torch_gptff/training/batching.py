"""Batches by what they cost rather than by how many frames they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Sampler

from torch_gptff.training.config import BatchSettings


@dataclass(frozen=True)
class Costs:
    """What every frame costs.

    Attributes:
        bonds: of every frame, ``[F]``
        angles: of every frame, ``[F]``
    """

    bonds: Tensor
    angles: Tensor


class BudgetSampler(Sampler[list[int]]):
    """Batches of frames, each within a budget of bonds, angles and frames; one process of several takes its share.

    The order depends on the seed and the epoch alone. Batches are dealt out to the processes in rounds of neighbours
    in cost, so that none waits long for another; where the number of batches is not a multiple of the processes, the
    last round is filled up with batches of the same epoch. A frame above the budget makes a batch of its own.

    Args:
        costs: of the frames
        limits: of a batch
        shuffle: frames in random order, other ones each epoch; otherwise in order
        frames_per_epoch: drawn without replacement, each epoch anew; ``None`` for all
        weights: relative frequency of the frames when they are drawn, ``[F]``; ``None`` for equal ones
        seed: of the order
        rank: this process
        world_size: processes

    Attributes:
        epoch: which order comes next
        start: batches of this epoch that have been taken already, after a resume
    """

    def __init__(
        self,
        costs: Costs,
        limits: BatchSettings,
        *,
        shuffle: bool = True,
        frames_per_epoch: int | None = None,
        weights: Tensor | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.costs = costs
        self.limits = limits
        self.shuffle = shuffle
        self.frames_per_epoch = frames_per_epoch
        self.weights = weights
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch. PyTorch's and Lightning's loops call this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        mine = self.batches(self.epoch)[self.rank :: self.world_size]
        start, self.start = self.start, 0
        yield from mine[start:]

    def __len__(self) -> int:
        return len(self.batches(self.epoch)) // self.world_size

    def batches(self, epoch: int) -> list[list[int]]:
        """Every batch of an epoch, of all processes: batch ``n`` is that of process ``n % world_size``."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        packed = self._pack(self._frames(generator).tolist())
        if self.world_size == 1:
            return packed
        packed += [packed[n % len(packed)] for n in range(-len(packed) % self.world_size)]
        packed.sort(key=self._cost)
        rounds = [packed[n : n + self.world_size] for n in range(0, len(packed), self.world_size)]
        order = torch.randperm(len(rounds), generator=generator).tolist() if self.shuffle else range(len(rounds))
        return [batch for n in order for batch in rounds[n]]

    def _frames(self, generator: torch.Generator) -> Tensor:
        n_frames = len(self.costs.bonds)
        if not self.shuffle:
            return torch.arange(n_frames)
        wanted = min(self.frames_per_epoch or n_frames, n_frames)
        if self.weights is None:
            return torch.randperm(n_frames, generator=generator)[:wanted]
        # The largest u^(1/w) are a weighted draw without replacement: Efraimidis and Spirakis (2006).
        keys = torch.rand(n_frames, generator=generator, dtype=torch.float64).log() / self.weights.double()
        return keys.topk(wanted).indices[torch.randperm(wanted, generator=generator)]

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
