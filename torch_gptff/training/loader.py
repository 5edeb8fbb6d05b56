"""A loader that goes on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from torch_gptff.training.batching import BudgetSampler
from torch_gptff.training.graphs import GraphFrames


class BudgetLoader:
    """Batches of a :class:`~torch_gptff.training.batching.BudgetSampler`, and where in them a run stands.

    It has no length for Lightning, since epochs differ in the number of their batches.

    Args:
        frames: what is loaded
        sampler: in which batches
        workers: processes that load; 0 for none

    Attributes:
        position: the epoch and the batch in it that come next, for a run that is resumed
    """

    def __init__(self, frames: GraphFrames, sampler: BudgetSampler, workers: int = 0) -> None:
        self.batch_sampler = sampler
        self.position = (0, 0)
        self._length = (-1, 0)
        self._loader = DataLoader(frames, batch_sampler=sampler, num_workers=workers, persistent_workers=workers > 0)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)

    def batches_in(self, epoch: int) -> int:
        """How many batches this process takes in an epoch."""
        if self._length[0] != epoch:
            self._length = epoch, self.batch_sampler.batches_in(epoch)
        return self._length[1]

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint of a run."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where that checkpoint was written."""
        self.position = epoch, start = tuple(state["position"])
        self.batch_sampler.set_epoch(epoch)
        self.batch_sampler.start = start
