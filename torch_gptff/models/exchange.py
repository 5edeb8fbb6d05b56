"""How a model that runs on several processes, each with a part of the atoms, hears of the atoms of the others."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Exchange:
    """The seam between the hops of a model, at which every process gives the features of its own atoms to the others.

    A process computes its own atoms. Their neighbours may belong to other processes: such ghost atoms follow its own
    ones in all arrays of atoms, and are no centres of bonds. A model computes features of its own atoms only, calls
    this before they are used as features of neighbours, and needs ghosts within one cutoff, however many hops it has.

    This one is of a process that has all atoms: nothing is exchanged.
    """

    def own(self, rows: Tensor) -> Tensor:
        """The rows of the process's own atoms ``[M, ...]``, of rows of all the atoms it sees ``[N, ...]``."""
        return rows

    def __call__(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """Rows of own atoms, ``[M, ...]`` each, to those of all atoms ``[N, ...]``. Gradients by the rows of a ghost
        are added to those of the atom itself. Every process calls this equally often, also one without atoms."""
        return rows

    def address(self) -> Any:
        """For compiled kernels: where they call for an exchange themselves; ``None`` where there is nothing to do."""
        return None


ALONE = Exchange()
"""Exchange of a process that has all atoms."""
