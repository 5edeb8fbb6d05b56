"""Lattice thermal conductivity: heat that phonons carry, scattered by one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from torch_gptff.errors import PhononError
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO, phonopy_atoms
from torch_gptff.workflows.supercell import repetitions
from torch_gptff.workflows.thermal_transport import LIFETIME_KELVIN, ThermalConductivity

if TYPE_CHECKING:
    from phono3py import Phono3py


def thermal_conductivity(
    atoms: Any,
    calculator: Any = None,
    *,
    supercell: Sequence[int] | None = None,
    min_length: float = 10.0,
    pair_cutoff: float | None = None,
    displacement: float = 0.03,
    temperatures: ArrayLike | None = None,
    mesh_density: float = 60.0,
    isotopes: bool = False,
    symprec: float = 1e-5,
    on_force: Callable[[int, int], None] | None = None,
) -> ThermalConductivity:
    """The lattice thermal conductivity in the relaxation-time approximation, with phono3py.

    Third derivatives of the energy, by finite displacements of pairs of atoms, give the rates at which three phonons
    scatter one another: `Togo, Chaput and Tanaka, Phys. Rev. B 91, 094306 (2015)
    <https://doi.org/10.1103/PhysRevB.91.094306>`_.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``. A
            :class:`~torch_gptff.Potential` or its calculator is given supercells in batches
        supercell: repetitions of the cell along its vectors; by default as many as ``min_length`` asks for
        min_length: smallest distance between opposite faces of the supercell, Å
        pair_cutoff: largest distance of two atoms that are displaced together, Å; by default all pairs are
        displacement: of an atom, Å
        temperatures: K; by default 100, 150, …, 1000
        mesh_density: Å; the wave vectors of the mesh are about 2π/``mesh_density`` apart
        isotopes: whether phonons are scattered by the natural isotopes, too
        symprec: to which symmetry is looked for, Å
        on_force: called with the number of supercells that are computed, and of all

    Raises:
        PhononError: the structure is no crystal, a setting makes no sense, forces are not finite, a mode is imaginary,
            or phono3py is not installed.
        StructureError: the calculator refuses the structure.
    """
    atoms, calculator = as_inputs(atoms, calculator, PhononError)
    require_crystal(atoms, "thermal conductivity", PhononError, calculator)
    if not 0 < displacement <= 0.5:
        raise PhononError(f"a displacement of {displacement} Å is not small: take some 0.03 Å")
    if pair_cutoff is not None and pair_cutoff <= 0:
        raise PhononError(f"pairs of atoms are displaced up to a positive distance, not {pair_cutoff:g} Å")
    kelvins = np.sort(np.asarray(np.arange(100, 1001, 50) if temperatures is None else temperatures, dtype=float))
    if kelvins.ndim != 1 or len(kelvins) == 0 or kelvins[0] <= 0:
        raise PhononError("temperatures are one or more numbers above 0 K")
    repeats = repetitions(atoms, supercell, min_length, PhononError)
    phonon = _phono3py_of(atoms, repeats, symprec)
    phonon.generate_displacements(distance=displacement, cutoff_pair_distance=pair_cutoff)
    n_displaced, residual = _compute_forces(phonon, calculator, on_force)
    phonon.produce_fc3()
    phonon.symmetrize_fc3()
    phonon.symmetrize_fc2()
    phonon.mesh_numbers = mesh_density
    phonon.init_phph_interaction()
    phonon.run_thermal_conductivity(temperatures=kelvins, is_isotope=isotopes)
    found: Any = phonon.thermal_conductivity
    frequencies = np.array(found.frequencies)
    if frequencies.min() < -NUMERICAL_ZERO:
        raise PhononError(
            f"a mode is imaginary ({frequencies.min():.2f} THz): the crystal is not stable, and its conductivity has "
            "no meaning; look at its phonons"
        )
    nearest = int(np.argmin(np.abs(kelvins - LIFETIME_KELVIN)))
    carries = frequencies > NUMERICAL_ZERO
    rates = np.array(found.gamma[0][nearest])
    if isotopes:
        rates = rates + np.array(found.gamma_isotope[0])
    carries &= rates > 0
    weights = np.broadcast_to(np.array(found.grid_weights, dtype=float)[:, None], frequencies.shape)
    # mode_kappa is that of all modes of a star, which are as many as the weight says
    shares = np.array(found.mode_kappa[0][nearest])[..., :3].mean(axis=-1) / np.prod(found.mesh_numbers)
    return ThermalConductivity(
        atoms=atoms.copy(),
        supercell=repeats,
        displacement=displacement,
        n_displaced=n_displaced,
        residual_force=residual,
        mesh=tuple(int(n) for n in found.mesh_numbers),
        isotopes=isotopes,
        temperatures=kelvins,
        conductivity=_tensors(np.array(found.kappa[0])),
        lowest_frequency=float(frequencies.min()),
        mode_temperature=float(kelvins[nearest]),
        mode_frequencies=frequencies[carries],
        mode_lifetimes=1 / (4 * np.pi * rates[carries]),
        mode_weights=weights[carries],
        mode_conductivity=shares[carries],
    )


def _phono3py_of(atoms: Atoms, repeats: tuple[int, int, int], symprec: float) -> Phono3py:
    try:
        from phono3py import Phono3py
    except ImportError as error:
        raise PhononError("thermal conductivity needs phono3py: pip install 'torch-gptff[kappa]'") from error
    cell: Any = phonopy_atoms(atoms)
    return Phono3py(cell, supercell_matrix=list(repeats), primitive_matrix="auto", symprec=symprec)


def _compute_forces(
    phonon: Phono3py, calculator: Any, on_force: Callable[[int, int], None] | None
) -> tuple[int, float]:
    """Give the forces on all displaced supercells to phono3py. Returns their number, and the largest force on the
    supercell without displacements, eV/Å, which is taken off."""
    displaced: list[Any] = list(phonon.supercells_with_displacements)
    places = [number for number, cell in enumerate(displaced) if cell is not None]  # others are beyond the cutoff
    structures = [_atoms_of(cell) for cell in (phonon.supercell, *(displaced[number] for number in places))]
    evaluated = evaluate_many(structures, calculator, stress=False, on_done=on_force)
    forces = np.array([each.forces for each in evaluated])
    if not np.isfinite(forces).all():
        raise PhononError("forces are not finite: look at the structure")
    every = np.zeros((len(displaced), *forces.shape[1:]))
    every[places] = forces[1:] - forces[0]
    phonon.forces = every
    return len(places), float(np.linalg.norm(forces[0], axis=1).max())


def _tensors(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tensors of components xx, yy, zz, yz, xz, xy, ``[T, 3, 3]``."""
    order = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    return np.asarray(components[:, order])


def _atoms_of(cell: Any) -> Atoms:
    return Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
