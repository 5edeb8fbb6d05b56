"""The optimisers that relax one structure: ASE's, one of which is made aware of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.optimize import BFGS, FIRE
from ase.optimize import LBFGS as ASELBFGS
from numpy.typing import NDArray

from torch_gptff.workflows.cell_filter import LONGEST_STRAIN, CellFilter


class LBFGS(ASELBFGS):
    """ASE's L-BFGS, of a cell whose strain is scaled by
    :func:`~torch_gptff.workflows.cell_filter.strain_scale`.

    With ASE's scale, the number of atoms, a cell is some ten to a hundred times softer than the method expects, and
    takes that many more steps. Scaled like this it must be kept from steps of half its length, as atoms are. A step
    along which the energy curves down says nothing of a minimum, and is not remembered.
    """

    def update(self, pos: Any, forces: Any, r0: Any, f0: Any) -> None:
        super().update(pos, forces, r0, f0)
        if self.state.rho and not self.state.rho[-1] > 0:
            self.state.rho[-1] = 0.0

    def determine_step(self, dr: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.linalg.norm(dr.reshape(-1, 3), axis=1)
        longest = np.full(len(rows), self.maxstep)
        if isinstance(self.atoms, CellFilter):
            longest[-3:] = LONGEST_STRAIN * self.atoms.scale
        return dr / max(1.0, float((rows / longest).max()))


OPTIMIZERS: dict[str, Any] = {"LBFGS": LBFGS, "FIRE": FIRE, "BFGS": BFGS}
"""ASE optimisers by name. LBFGS needs the fewest steps by far; FIRE bears a rough energy surface."""

IS_CELL_AWARE = frozenset({"LBFGS"})
"""Optimisers for which the strain of the cell is scaled to its stiffness."""
