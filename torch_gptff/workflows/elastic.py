"""Elasticity: the stiffness of a crystal, from the stresses of small strains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import ElasticityError, RelaxationError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3, VOIGT_ORDER
from torch_gptff.workflows.elastic_moduli import PAIRS, ElasticTensor
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.relax import relax

STEPS = (-1.0, -0.5, 0.5, 1.0)
"""The strains of a component, in units of the largest."""


def elastic_tensor(
    atoms: Any,
    calculator: Any = None,
    *,
    max_strain: float = 0.005,
    relax_positions: bool = True,
    fmax: float = 1e-3,
    max_steps: int = 500,
    optimizer: str = "LBFGS",
    symprec: float | None = 1e-3,
    on_strain: Callable[[int, int], None] | None = None,
) -> ElasticTensor:
    """The elastic tensor of a crystal.

    Each of the six strain components is applied in four steps, −1, −½, ½ and 1 times ``max_strain``; the stresses of
    these and of the crystal itself are fitted by a parabola, whose slope is a column of the tensor. Strains that
    symmetry makes the same are computed once.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed: its stress
            is reported, not removed
        calculator: anything with stress that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        max_strain: the largest strain; shears are applied as γ = 2ε of this size
        relax_positions: relax the atoms within each strained cell; otherwise the tensor is that of clamped ions
        fmax: to which the atoms relax, eV/Å
        max_steps: that a relaxation may take
        optimizer: of the relaxation, a name in :data:`~torch_gptff.workflows.OPTIMIZERS`
        symprec: Å, to which symmetry is looked for; ``None`` to use none
        on_strain: called with the number of structures computed and their total after each of them

    Raises:
        ElasticityError: the structure is no crystal, or vacuum cuts through it, or a calculator gives no or no finite
            stress, or a strained structure did not relax.
    """
    atoms, calculator = as_inputs(atoms, calculator, ElasticityError)
    require_crystal(atoms, "an elastic tensor", ElasticityError, calculator)
    if not 0 < max_strain <= 0.1:
        raise ElasticityError(f"a largest strain of {max_strain} is not small: take some 0.005")
    strains = {(k, step): max_strain * step * np.eye(6)[k] for k in range(6) for step in STEPS}
    group = _SymmetryGroup.of(atoms, symprec) if symprec is not None else None
    rotations = np.eye(3)[None] if group is None else group.rotations
    orbits = list(_orbits(strains, rotations))

    ground = _State(atoms, calculator, relax_positions, fmax, max_steps, optimizer)
    residual = ground.stress(np.zeros(6))
    stresses: dict[tuple[int, float], NDArray[np.float64]] = {}
    for number, (first, others) in enumerate(orbits, start=1):
        stress = ground.stress(strains[first])
        for each, rotation in others:
            stresses[each] = rotation @ stress @ rotation.T
        if on_strain is not None:
            on_strain(number, len(orbits))

    raw, error = _fit(stresses, residual, max_strain)
    stiffness = (raw + raw.T) / 2
    error = np.sqrt(error**2 + error.T**2) / 2
    if group is not None:
        stiffness = _symmetrized(stiffness, rotations)
    return ElasticTensor(
        atoms=_bare(atoms),
        stiffness=stiffness * GPA_PER_EV_PER_ANGSTROM3,
        standard_error=error * GPA_PER_EV_PER_ANGSTROM3,
        asymmetry=float(np.abs(raw - raw.T).max() * GPA_PER_EV_PER_ANGSTROM3),
        residual_stress=residual * GPA_PER_EV_PER_ANGSTROM3,
        max_strain=max_strain,
        relaxed=relax_positions,
        space_group=None if group is None else group.name,
        n_strained=len(orbits),
    )


@dataclass(frozen=True)
class _State:
    """A crystal to strain, and how."""

    atoms: Atoms
    calculator: Any
    relax_positions: bool
    fmax: float
    max_steps: int
    optimizer: str

    def stress(self, voigt: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stress of the strained crystal, eV/Å³, ``[3, 3]``."""
        strained = self.atoms.copy()
        strained.set_constraint()
        strained.set_cell(strained.cell.array @ (np.eye(3) + _strain(voigt)), scale_atoms=True)
        strained.calc = self.calculator
        if self.relax_positions:
            strained = self._relaxed(strained, voigt)
        try:
            stress = np.asarray(strained.get_stress(voigt=False))
        except NotImplementedError as error:
            raise ElasticityError(f"{type(self.calculator).__name__} gives no stress") from error
        if not np.isfinite(stress).all():
            raise ElasticityError(f"the stress under {_words(voigt)} is not finite: look at the structure")
        return stress

    def _relaxed(self, strained: Atoms, voigt: NDArray[np.float64]) -> Atoms:
        try:
            relaxation = relax(
                strained, fmax=self.fmax, fix_cell=True, optimizer=self.optimizer, max_steps=self.max_steps
            )
        except RelaxationError as error:
            raise ElasticityError(f"under {_words(voigt)}, the atoms did not relax: {error}") from error
        if not relaxation.converged:
            raise ElasticityError(
                f"under {_words(voigt)}, the largest force is still {relaxation.fmax:.2g} eV/Å after "
                f"{relaxation.n_steps} steps: allow more steps or a larger force, or relax the structure first"
            )
        return relaxation.final


@dataclass(frozen=True)
class _SymmetryGroup:
    """The point operations of a crystal, Cartesian, ``[G, 3, 3]``, and the name of its space group."""

    rotations: NDArray[np.float64]
    name: str

    @staticmethod
    def of(atoms: Atoms, symprec: float) -> _SymmetryGroup:
        import spglib

        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
        if dataset is None:
            raise ElasticityError(f"no symmetry is found to {symprec} Å: atoms may coincide; or ask for none")
        lattice = atoms.cell.array.T
        rotations = lattice @ np.unique(dataset.rotations, axis=0) @ np.linalg.inv(lattice)
        nearest, _, other = np.linalg.svd(rotations)  # exactly orthogonal, where the crystal is not exactly symmetric
        return _SymmetryGroup(nearest @ other, f"{dataset.international} ({dataset.number})")


def _orbits(
    strains: dict[tuple[int, float], NDArray[np.float64]], rotations: NDArray[np.float64]
) -> Iterator[tuple[tuple[int, float], list[tuple[tuple[int, float], NDArray[np.float64]]]]]:
    """One strain of each set that symmetry makes the same, and the set with the rotations from that one."""
    left = {name: _strain(voigt) for name, voigt in strains.items()}
    while left:
        first, strain = next(iter(left.items()))
        images = rotations @ strain @ rotations.transpose(0, 2, 1)
        members = []
        for name, other in list(left.items()):
            same = np.abs(images - other).max(axis=(1, 2)) < 1e-6 * np.abs(strain).max()
            if same.any():
                members.append((name, rotations[int(same.argmax())]))
                del left[name]
        yield first, members


def _fit(
    stresses: dict[tuple[int, float], NDArray[np.float64]], residual: NDArray[np.float64], max_strain: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The slopes of the stresses at zero strain and their standard errors, both eV/Å³, ``[6, 6]``."""
    steps = np.array([*STEPS, 0.0]) * max_strain
    terms = np.stack([np.ones_like(steps), steps, steps**2], axis=1)
    slopes, errors = np.empty((6, 6)), np.empty((6, 6))
    for k in range(6):
        values = np.array([_voigt(stresses[k, step]) for step in STEPS] + [_voigt(residual)])
        solution, *_ = np.linalg.lstsq(terms, values, rcond=None)
        variance = ((values - terms @ solution) ** 2).sum(axis=0) / (len(steps) - terms.shape[1])
        slopes[:, k] = solution[1]
        errors[:, k] = np.sqrt(variance * np.linalg.inv(terms.T @ terms)[1, 1])
    return slopes, errors


def _symmetrized(stiffness: NDArray[np.float64], rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of a tensor over the operations of a group, ``[6, 6]``."""
    full = np.empty((3, 3, 3, 3))
    for a, (i, j) in enumerate(PAIRS):
        for b, (k, m) in enumerate(PAIRS):
            full[i, j, k, m] = full[j, i, k, m] = full[i, j, m, k] = full[j, i, m, k] = stiffness[a, b]
    r = rotations
    mean = np.einsum("gai,gbj,gck,gdm,ijkm->abcd", r, r, r, r, full, optimize=True) / len(r)
    return np.array([[mean[i, j, k, m] for k, m in PAIRS] for i, j in PAIRS])


def _voigt(tensor: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([tensor[i, j] for i, j in PAIRS])


def _strain(voigt: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tensor of six components whose shears are γ = 2ε, ``[3, 3]``."""
    strain = np.empty((3, 3))
    for value, (i, j) in zip(voigt, PAIRS, strict=True):
        strain[i, j] = strain[j, i] = value if i == j else value / 2
    return strain


def _words(voigt: NDArray[np.float64]) -> str:
    if not voigt.any():
        return "no strain"
    k = int(np.abs(voigt).argmax())
    return f"a strain {VOIGT_ORDER[k]} of {voigt[k]:+.3g}"


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
