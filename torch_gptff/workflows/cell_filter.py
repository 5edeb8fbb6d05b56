"""Positions and cell as the coordinates of one minimisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.filters import FrechetCellFilter
from numpy.typing import NDArray
from scipy.linalg import logm
from torch import Tensor
from torch.linalg import matrix_exp

STIFFNESS = 0.9
"""eV/Å³, 145 GPa: the elastic modulus that ASE's CellAwareBFGS expects of a crystal of which nothing is known."""

CURVATURE = 70.0
"""eV/Å²: what quasi-Newton methods of ASE expect of every coordinate before they know better."""

LONGEST = 0.2
"""Largest displacement of an atom in a step, Å, as in ASE."""

LONGEST_STRAIN = 0.05
"""Largest strain in a step where the strain of the cell is as stiff a coordinate as the others."""


def strain_scale(volume: float) -> float:
    r"""Å: the scale at which the strain of a crystal is as stiff a coordinate as :data:`CURVATURE` has them all.

    The curvature of the energy by a strain is some :math:`C V`, and by a coordinate that is :math:`s` times the strain
    :math:`C V / s^2`.

    Args:
        volume: that atoms fill, Å³
    """
    return float(np.sqrt(STIFFNESS * volume / CURVATURE))


def by_logarithm(log: Tensor, by_deformation: Tensor) -> Tensor:
    r"""The gradient by :math:`U` of what has a gradient by :math:`e^U`, ``[..., 3, 3]``.

    That is the derivative of the exponential at :math:`U^T` along the gradient, the upper right block of
    :math:`\exp \begin{pmatrix} U^T & G \\ 0 & U^T \end{pmatrix}` (N. J. Higham, Functions of Matrices, eq. 3.16).

    Args:
        log: :math:`U`
        by_deformation: the gradient by :math:`e^U`
    """
    size = by_deformation.abs().amax((-2, -1), keepdim=True).clamp(min=torch.finfo(log.dtype).tiny)
    above = torch.cat([log.mT, by_deformation / size], dim=-1)
    below = torch.cat([torch.zeros_like(log), log.mT], dim=-1)
    return size * matrix_exp(torch.cat([above, below], dim=-2))[..., :3, 3:]


def logarithm(deformation: Tensor) -> Tensor:
    """The matrix whose exponential is a deformation, ``[3, 3]``."""
    return torch.from_numpy(np.real(logm(deformation.cpu().numpy()))).to(deformation)


class CellFilter(FrechetCellFilter):
    r"""ASE's filter, ten times faster: the derivatives of matrix exponentials in it take longer than a small model.

    With the deformation :math:`F = e^U`, ASE takes the derivative of the energy by each of the nine components of
    :math:`U` by itself. They are the adjoint of the exponential's derivative, applied to the gradient by :math:`F`.
    :math:`U` is remembered rather than found again by a logarithm, and forces are remembered for as long as nothing
    moves: an optimiser asks for them three times a step. The exponential is torch's, since the threads that SciPy's
    wakes keep the model's from a core for a while.

    Args:
        atoms: that move
        projector: on the directions between which strain is free, ``[3, 3]``
        pressure: that acts from outside, eV/Å³
        scale: Å, of the strain as a coordinate; the number of atoms by default

    Attributes:
        scale: likewise
    """

    _state: NDArray[np.float64] | None = None
    _forces: NDArray[np.float64]

    def __init__(
        self, atoms: Atoms, projector: NDArray[np.float64], pressure: float = 0.0, scale: float | None = None
    ) -> None:
        super().__init__(atoms, scalar_pressure=pressure)
        self._free = projector
        self._pressure = pressure
        self.scale = float(len(atoms)) if scale is None else scale
        self._start = atoms.cell.array.copy()
        self._log = np.zeros((3, 3))
        self._deformation = np.eye(3)

    def get_positions(self) -> NDArray[np.float64]:
        """Positions in the initial cell, Å, and the strain U times the number of atoms, ``[N + 3, 3]``."""
        self._follow()
        positions = np.linalg.solve(self._deformation, self.atoms.positions.T).T
        return np.vstack([positions, self._log * self.scale])

    def set_positions(self, new: NDArray[np.float64], **kwargs: Any) -> None:
        n_atoms = len(self.atoms)
        self._log = new[n_atoms:] / self.scale
        self._deformation = matrix_exp(torch.from_numpy(self._log)).numpy()
        self.atoms.set_cell(self._start @ self._deformation.T, scale_atoms=True)
        self.atoms.set_positions(new[:n_atoms] @ self._deformation.T, **kwargs)

    def get_forces(self, **kwargs: Any) -> NDArray[np.float64]:
        """eV/Å of the atoms, and the negative gradient by the last three rows of :meth:`get_positions`."""
        state = np.vstack([self.atoms.positions, self.atoms.cell])
        if self._state is None or not np.array_equal(state, self._state):
            self._state, self._forces = state, self._by_gradient(**kwargs)
        return self._forces.copy()

    def _by_gradient(self, **kwargs: Any) -> NDArray[np.float64]:
        self._follow()
        stress = self.atoms.get_stress(voigt=False, **kwargs) + self._pressure * np.eye(3)
        virial = -self.atoms.get_volume() * self._free @ stress @ self._free
        by_deformation = np.linalg.solve(self._deformation, virial.T).T
        by_log = by_logarithm(torch.from_numpy(self._log), torch.from_numpy(by_deformation))
        forces = self.atoms.get_forces(**kwargs) @ self._deformation
        return np.vstack([forces, by_log.numpy() / self.scale])

    def _follow(self) -> None:
        """Take note of a cell that is not what was set: constraints may have changed it."""
        deformation = np.linalg.solve(self._start, self.atoms.cell.array).T
        if not np.allclose(deformation, self._deformation, rtol=0, atol=1e-12):
            self._deformation = deformation
            self._log = logarithm(torch.from_numpy(deformation)).numpy()
