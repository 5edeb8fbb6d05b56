"""Exchange of features between processes that each compute a part of the atoms of a structure."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Exchange:
    """Exchange between the hops of a model, in which every process sends the features of its own atoms to the others.

    A process computes its own atoms. Their neighbours may belong to other processes: such ghost atoms follow its own
    ones in all arrays of atoms, and are no centres of bonds. A model computes features of its own atoms only, calls
    this before they are used as features of neighbours, and needs ghosts within one cutoff, however many hops it has.

    This class is for a single process that has all atoms, and exchanges nothing.
    """

    def own(self, rows: Tensor) -> Tensor:
        """The rows of the process's own atoms ``[M, ...]``, of rows of all the atoms it sees ``[N, ...]``."""
        return rows

    def __call__(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """Rows of own atoms, ``[M, ...]`` each, to those of all atoms ``[N, ...]``. Gradients by the rows of a ghost
        are added to those of the atom itself. Every process calls this equally often, also one without atoms."""
        return rows

    def address(self) -> Any:
        """Address of the exchange function for compiled kernels; ``None`` where nothing is exchanged."""
        return None


ALONE = Exchange()
"""Exchange of a process that has all atoms."""
