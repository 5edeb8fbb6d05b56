"""Loader of batches that can start in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from torch_gptff.training.batching import BudgetSampler
from torch_gptff.training.graphs import GraphFrames


class BudgetLoader:
    """Batches of a :class:`~torch_gptff.training.batching.BudgetSampler`, which can begin in the middle of an epoch.

    It has no length for Lightning, since epochs differ in the number of their batches.

    Args:
        frames: frames to load
        sampler: sampler of the batches
        workers: number of processes that load; 0 for the training process

    Attributes:
        batches: the sampler
    """

    def __init__(self, frames: GraphFrames, sampler: BudgetSampler, workers: int = 0) -> None:
        self.batches = sampler
        self._length = (-1, 0)
        self._loader = DataLoader(
            frames, batch_size=None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
        )

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)

    def batches_in(self, epoch: int) -> int:
        """Number of batches of this process in an epoch."""
        if self._length[0] != epoch:
            self._length = epoch, self.batches.batches_in(epoch)
        return self._length[1]

    def resume_at(self, epoch: int, batch: int) -> None:
        """Go on with this batch of this epoch."""
        self.batches.first = (epoch, batch)
        self.batches.set_epoch(epoch)
