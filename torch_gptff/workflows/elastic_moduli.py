"""The elastic tensor of a crystal, and the moduli that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import ElasticityError
from torch_gptff.record import FORMULA, Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.workflows.elastic_standard import crystal_system, named_constants, standard_stiffness

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The Cartesian indices of each Voigt component."""

_KELVIN = np.array([1, 1, 1, np.sqrt(2), np.sqrt(2), np.sqrt(2)])

MOST_NAMED = 7
"""Largest number of independent constants that are written in one cell of a table."""


def _named(constants: dict[str, float]) -> str | None:
    """``"C11 168.1, C12 121.4, C44 75.4"``."""
    few = len(constants) <= MOST_NAMED
    return ", ".join(f"{name} {value:.1f}" for name, value in constants.items()) if few else None


@dataclass(frozen=True)
class ElasticTensor(Record):
    """The elastic tensor of a crystal, in Voigt notation (xx, yy, zz, yz, xz, xy), with shear strains γ = 2ε.

    Averages over the grains of a polycrystal are those of Voigt (equal strain, an upper bound), Reuss (equal stress, a
    lower bound) and Hill (their mean): `R. Hill, Proc. Phys. Soc. A 65, 349 (1952)
    <https://doi.org/10.1088/0370-1298/65/5/307>`_.

    Attributes:
        atoms: the unstrained structure
        stiffness: GPa, ``[6, 6]``, symmetric
        standard_error: of ``stiffness``, from how far the stresses lie off the fit, GPa, ``[6, 6]``: it holds the noise
            of the forces and the anharmonicity beyond second order
        asymmetry: the largest difference between the measured C_ij and C_ji, GPa: zero for an unstressed crystal and an
            exact fit
        residual_stress: of ``atoms``, GPa, positive = tensile, ``[3, 3]``. Under stress, ``stiffness`` holds the
            stress-strain coefficients at that stress, not the second derivatives of the energy
        max_strain: the largest strain
        relaxed: whether atoms were relaxed within the strained cells
        space_group: by which strains were reduced and the tensor symmetrised, ``"Fm-3m (225)"``; ``None`` if by none
        n_strained: structures that were strained and computed
    """

    derived: ClassVar[tuple[str, ...]] = (
        *("bulk_modulus_voigt", "bulk_modulus_reuss", "bulk_modulus"),
        *("shear_modulus_voigt", "shear_modulus_reuss", "shear_modulus"),
        *("young_modulus", "poisson_ratio", "universal_anisotropy", "stability_eigenvalues", "is_stable"),
        *("crystal_system", "standard_stiffness", "constants"),
    )
    units: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            *("stiffness", "standard_error", "asymmetry", "residual_stress", "stability_eigenvalues"),
            *("standard_stiffness", "constants"),
            *(name for name in derived if "modulus" in name),
        ),
        "GPa",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("bulk", "GPa", 1, lambda tensor: tensor.bulk_modulus),
        Column("shear", "GPa", 1, lambda tensor: tensor.shear_modulus),
        Column("Young", "GPa", 1, lambda tensor: tensor.young_modulus),
        Column("Poisson", "", 3, lambda tensor: tensor.poisson_ratio),
        Column("anisotropy", "", 2, lambda tensor: tensor.universal_anisotropy),
        Column("constants", "GPa", value=lambda tensor: _named(tensor.constants), optional=True, detail=True),
        Column("least eigenvalue", "GPa", 1, lambda tensor: float(tensor.stability_eigenvalues[0]), detail=True),
        Column("stress", "GPa", 3, lambda tensor: float(np.abs(tensor.residual_stress).max())),
        Column("stable", value=lambda tensor: verdict(tensor.is_stable)),
    )

    atoms: Atoms
    stiffness: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    asymmetry: float
    residual_stress: NDArray[np.float64]
    max_strain: float
    relaxed: bool
    space_group: str | None
    n_strained: int

    @cached_property
    def compliance(self) -> NDArray[np.float64]:
        """The inverse of ``stiffness``, 1/GPa, ``[6, 6]``.

        Raises:
            ElasticityError: the crystal resists some strain with no stress at all.
        """
        if np.abs(self.stability_eigenvalues).min() < self._rounding:
            raise ElasticityError("the stiffness is singular: a strain costs nothing, and there is no compliance")
        return np.asarray(np.linalg.inv(self.stiffness), dtype=np.float64)

    @property
    def crystal_system(self) -> str:
        """``"cubic"``; ``"tetragonal, low"`` and ``"trigonal, low"`` of Laue classes with one constant more.

        Raises:
            ElasticityError: no symmetry was used.
        """
        if self.space_group is None:
            raise ElasticityError("no symmetry was looked for, and the crystal system is not known")
        return crystal_system(int(self.space_group.rpartition("(")[2].rstrip(")")))

    @cached_property
    def standard_stiffness(self) -> NDArray[np.float64]:
        """``stiffness`` in the orientation of the IEEE standard for the crystal system (176-1987), in which ``c`` is
        the main axis, GPa, ``[6, 6]``.

        Raises:
            ElasticityError: no symmetry was used, or none is found.
        """
        _ = self.crystal_system
        return standard_stiffness(self.stiffness, self.atoms)

    @property
    def constants(self) -> dict[str, float]:
        """The independent constants in the standard orientation by their names, ``"C11"``, GPa: three of a cubic
        crystal.

        Raises:
            ElasticityError: no symmetry was used, or none is found.
        """
        return named_constants(self.standard_stiffness, self.crystal_system)

    @property
    def stability_eigenvalues(self) -> NDArray[np.floating]:
        """Eigenvalues of the stiffness as a map of strains to stresses (Kelvin notation), ascending, GPa, ``[6]``."""
        return np.linalg.eigvalsh(self.stiffness * np.outer(_KELVIN, _KELVIN))

    @property
    def is_stable(self) -> bool:
        """Whether every strain costs energy: Born's criterion, for any symmetry that all eigenvalues are positive
        (`Mouhat and Coudert, Phys. Rev. B 90, 224104 (2014) <https://doi.org/10.1103/PhysRevB.90.224104>`_)."""
        return bool(self.stability_eigenvalues[0] > self._rounding)

    @property
    def _rounding(self) -> float:
        """Threshold below which an eigenvalue counts as zero, GPa."""
        return 1e-9 * float(np.abs(self.stability_eigenvalues).max())

    @property
    def bulk_modulus_voigt(self) -> float:
        """GPa."""
        return float(self.stiffness[:3, :3].sum() / 9)

    @property
    def bulk_modulus_reuss(self) -> float:
        """GPa: of the single crystal under hydrostatic pressure, too."""
        return float(1 / self.compliance[:3, :3].sum())

    @property
    def bulk_modulus(self) -> float:
        """Hill's mean, GPa."""
        return (self.bulk_modulus_voigt + self.bulk_modulus_reuss) / 2

    @property
    def shear_modulus_voigt(self) -> float:
        """GPa."""
        c = self.stiffness
        return float((np.trace(c[:3, :3]) - c[0, 1] - c[0, 2] - c[1, 2] + 3 * np.trace(c[3:, 3:])) / 15)

    @property
    def shear_modulus_reuss(self) -> float:
        """GPa."""
        s = self.compliance
        return float(15 / (4 * (np.trace(s[:3, :3]) - s[0, 1] - s[0, 2] - s[1, 2]) + 3 * np.trace(s[3:, 3:])))

    @property
    def shear_modulus(self) -> float:
        """Hill's mean, GPa."""
        return (self.shear_modulus_voigt + self.shear_modulus_reuss) / 2

    @property
    def young_modulus(self) -> float:
        """Young's modulus of the isotropic polycrystal of Hill's moduli, GPa."""
        bulk, shear = self.bulk_modulus, self.shear_modulus
        return 9 * bulk * shear / (3 * bulk + shear)

    @property
    def poisson_ratio(self) -> float:
        """Poisson's ratio of the isotropic polycrystal of Hill's moduli."""
        bulk, shear = self.bulk_modulus, self.shear_modulus
        return (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear)

    @property
    def universal_anisotropy(self) -> float:
        """Zero for an isotropic crystal: 5 G_V/G_R + K_V/K_R − 6 (`Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett.
        101, 055504 (2008) <https://doi.org/10.1103/PhysRevLett.101.055504>`_)."""
        shears = self.shear_modulus_voigt / self.shear_modulus_reuss
        return 5 * shears + self.bulk_modulus_voigt / self.bulk_modulus_reuss - 6

    def directional_young_modulus(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Young's modulus of the single crystal along each direction, GPa, ``[D]``.

        Args:
            directions: Cartesian, of any length, ``[D, 3]``
        """
        n = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        stress = np.stack([n[:, i] * n[:, j] for i, j in PAIRS], axis=1)  # of unit tension
        return 1 / np.einsum("di,ij,dj->d", stress, self.compliance, stress)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw Young's modulus along directions in three planes.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.elastic import draw_young_modulus

        return drawn(draw_young_modulus, self, axes)
