"""Phonons: the harmonic vibrations of a crystal, from the forces on it when one atom is displaced at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from torch_gptff.errors import PhononError
from torch_gptff.units import EV_PER_KJ_PER_MOL
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO, PhononSpectrum, nac_parameters, phonopy_of
from torch_gptff.workflows.supercell import repetitions

if TYPE_CHECKING:
    from phonopy import Phonopy

MOST_GUESSED = 40
"""Largest number of atoms of a formula whose oxidation numbers are guessed, which takes long for more."""

NO_STIFFNESS = 1e-8
"""Force constants below this are rounding, eV/Å²; those of the softest crystals are a million times it."""


def phonon_spectrum(
    atoms: Any,
    calculator: Any = None,
    *,
    supercell: Sequence[int] | None = None,
    min_length: float = 12.0,
    displacement: float = 0.01,
    temperatures: ArrayLike | None = None,
    mesh_density: float = 100.0,
    band_density: float = 80.0,
    symprec: float = 1e-4,
    born: str | Path | None = None,
    on_force: Callable[[int, int], None] | None = None,
) -> PhononSpectrum:
    """The phonons of a crystal by finite displacements, with phonopy.

    Bands follow the path of `Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010)
    <https://doi.org/10.1016/j.commatsci.2010.05.010>`_ through the Brillouin zone of the primitive cell.

    Where ``born`` is given, longitudinal and transverse optical modes of a polar crystal split at Γ by long-range
    electric fields, as in `Gonze and Lee, Phys. Rev. B 55, 10355 (1997) <https://doi.org/10.1103/PhysRevB.55.10355>`_.
    A force field has no charges of its own; without ``born``, ``remarks`` says so of a crystal of ions.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed; forces
            that it is under are reported and subtracted
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``. A
            :class:`~torch_gptff.Potential` or its calculator is given supercells in batches
        supercell: how often to repeat the cell along its vectors; by default as often as ``min_length`` asks for
        min_length: between opposite faces of the supercell, Å
        displacement: Å
        temperatures: K, for thermal properties; by default 0, 10, …, 1000
        mesh_density: Å; the wave vectors of the mesh are about 2π/``mesh_density`` apart
        band_density: wave vectors per 1/Å along the path, without 2π
        symprec: Å, to which symmetry is looked for
        born: file with the dielectric tensor and the Born effective charges of the primitive cell, in the format
            ``BORN`` of phonopy
        on_force: called with the number of supercells computed and their total

    Raises:
        PhononError: the structure is no crystal, a setting makes no sense, forces are not finite, phonopy is not
            installed, or ``born`` does not fit the crystal.
        StructureError: the calculator refuses the structure.
    """
    atoms, calculator = as_inputs(atoms, calculator, PhononError)
    require_crystal(atoms, "a phonon spectrum", PhononError)
    if not 0 < displacement <= 0.5:
        raise PhononError(f"a displacement of {displacement} Å is not small: take some 0.01 Å")
    repeats = repetitions(atoms, supercell, min_length, PhononError)
    kelvins = np.sort(np.asarray(np.arange(0, 1001, 10) if temperatures is None else temperatures, dtype=np.float64))
    if kelvins.ndim != 1 or len(kelvins) == 0 or kelvins[0] < 0:
        raise PhononError("temperatures are one or more numbers of at least 0 K")

    phonon = phonopy_of(atoms, repeats, symprec)
    charges = None if born is None else _charges(phonon, Path(born))
    phonon.generate_displacements(distance=displacement)
    supercells = [_atoms_of(cell) for cell in (phonon.supercell, *_computed(phonon.supercells_with_displacements))]
    forces = _forces(supercells, calculator, on_force)
    residual = forces[0]
    phonon.forces = forces[1:] - residual
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    violation = float(np.abs(_computed(phonon.force_constants).sum(axis=1)).max())
    phonon.symmetrize_force_constants(show_drift=False)
    if len(forces[0]) == 1 or np.abs(_computed(phonon.force_constants)).max() < NO_STIFFNESS:
        raise PhononError(
            f"no force answers the displacement of an atom in the supercell {'x'.join(map(str, repeats))} of "
            f"{len(forces[0])} atoms: if its atoms feel each other, a larger supercell shows it"
        )

    if charges is not None:
        phonon.nac_params = nac_parameters(*charges)
    primitive = _atoms_of(phonon.primitive)
    bands = _bands(phonon, primitive, band_density)
    mesh = _mesh(phonon, mesh_density, kelvins, len(primitive))
    lowest, where = min(bands.pop("lowest"), mesh.pop("lowest"), key=lambda pair: pair[0])
    return PhononSpectrum(
        atoms=atoms.copy(),
        primitive=primitive,
        supercell=repeats,
        displacement=displacement,
        symprec=symprec,
        n_displaced=len(supercells) - 1,
        force_constants=np.array(_computed(phonon.force_constants)),
        sum_rule_violation=violation,
        residual_force=float(np.linalg.norm(residual, axis=1).max()),
        lowest_frequency=float(lowest),
        lowest_wave_vector=where,
        born_charges=None if charges is None else charges[0],
        dielectric=None if charges is None else charges[1],
        remarks=_remarks(primitive) if charges is None else (),
        **bands,
        **mesh,
    )


def _forces(
    supercells: Sequence[Atoms], calculator: Any, on_force: Callable[[int, int], None] | None
) -> NDArray[np.float64]:
    """eV/Å, ``[S, N, 3]``."""
    evaluated = evaluate_many(supercells, calculator, stress=False, on_done=on_force)
    forces = np.array([each.forces for each in evaluated])
    if not np.isfinite(forces).all():
        raise PhononError("forces are not finite: look at the structure")
    return forces


def _bands(phonon: Phonopy, primitive: Atoms, density: float) -> dict[str, Any]:
    path = primitive.cell.bandpath(density=density)
    distances, ticks, names = path.get_linear_kpoint_axis()
    points, directions = np.array(path.kpts), np.zeros_like(path.kpts)
    if phonon.nac_params is not None:
        points, distances, directions = _sides_of_gamma(points, np.array(distances))
    frequencies = _frequencies(phonon, points, directions)
    places: dict[float, str] = {}
    for tick, name in zip(ticks, names, strict=True):
        name = name.replace("G", "Γ")
        places[float(tick)] = f"{places[float(tick)]}|{name}" if float(tick) in places else name
    row = frequencies.min(axis=1).argmin()
    return {
        "band_points": tuple(places.values()),
        "band_ticks": np.array(list(places)),
        "band_distances": np.array(distances),
        "band_wave_vectors": points,
        "band_frequencies": frequencies,
        "lowest": (frequencies[row].min(), points[row]),
    }


def _sides_of_gamma(
    points: NDArray[np.float64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A path on which Γ stands once for each side from which it is reached, the places along it, and the directions
    from Γ, zero elsewhere. The frequencies at Γ of a polar crystal depend on the direction."""
    rows: list[int] = []
    directions: list[NDArray[np.float64]] = []
    for k, point in enumerate(points):
        sides = []
        if np.abs(point).max() < 1e-9:
            sides = [j for j in (k - 1, k + 1) if 0 <= j < len(points) and distances[j] != distances[k]]
        for side in sides:
            rows.append(k)
            directions.append(points[side] - point)
        if not sides:
            rows.append(k)
            directions.append(np.zeros(3))
    return points[rows], distances[rows], np.array(directions)


def _frequencies(phonon: Phonopy, points: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """THz, ``[K, branches]``."""
    phonon.run_qpoints(points)
    frequencies = np.array(_computed(phonon.qpoints).frequencies)
    for row in np.flatnonzero(directions.any(axis=1)):
        phonon.run_qpoints(points[row : row + 1], nac_q_direction=directions[row])
        frequencies[row] = _computed(phonon.qpoints).frequencies[0]
    return frequencies


def _charges(phonon: Phonopy, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Born effective charges and dielectric tensor of the primitive cell from a file.

    Raises:
        PhononError: there is no such file, or it does not fit the crystal.
    """
    from phonopy.file_IO import parse_BORN

    try:
        found: Any = parse_BORN(phonon.primitive, filename=str(path))
    except OSError as error:
        raise PhononError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # phonopy's own, which depend on its version
        raise PhononError(f"{path} is no file of Born charges of this crystal, in phonopy's format: {error}") from error
    if found is None:
        raise PhononError(f"{path} is no file of Born charges of this crystal, in phonopy's format")
    return np.array(found["born"]), np.array(found["dielectric"])


def _remarks(primitive: Atoms) -> tuple[str, ...]:
    """A remark that optical modes are not split, for crystals whose oxidation numbers can be guessed."""
    from pymatgen.core import Composition

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of noble gases
            guesses = Composition(primitive.get_chemical_formula()).oxi_state_guesses(max_sites=-MOST_GUESSED)
    except ValueError:
        return ()
    if not guesses or not any(guesses[0].values()):
        return ()
    return (
        "longitudinal and transverse optical modes do not split at Γ, since no Born charges were given: the highest "
        "frequencies there are too low",
    )


def _mesh(phonon: Phonopy, density: float, kelvins: NDArray[np.float64], n_atoms: int) -> dict[str, Any]:
    phonon.run_mesh(density)
    points = _computed(phonon.mesh)
    frequencies, weights = np.array(points.frequencies), np.array(points.weights)
    phonon.run_total_dos()
    dos = _computed(phonon.total_dos)
    # acoustic modes at Γ are zeros with noise, and imaginary ones have no thermal properties
    phonon.run_thermal_properties(temperatures=kelvins, cutoff_frequency=1e-3)
    thermal = _computed(phonon.thermal_properties)
    row = frequencies.min(axis=1).argmin()
    imaginary = (frequencies < -NUMERICAL_ZERO).mean(axis=1)
    return {
        "mesh": tuple(int(n) for n in _computed(phonon.mesh_numbers)),
        "dos_frequencies": np.array(dos.frequency_points),
        "dos": np.array(dos.dos),
        "temperatures": np.array(thermal.temperatures),
        "free_energy": np.array(thermal.free_energy) * EV_PER_KJ_PER_MOL / n_atoms,
        "entropy": np.array(thermal.entropy) / n_atoms,
        "heat_capacity": np.array(thermal.heat_capacity) / n_atoms,
        "imaginary_fraction": float(np.average(imaginary, weights=weights)),
        "lowest": (frequencies[row].min(), np.array(points.qpoints[row])),
    }


def _computed(result: Any) -> Any:
    """A result of phonopy, which its types allow to be ``None``."""
    assert result is not None
    return result


def _atoms_of(cell: Any) -> Atoms:
    atoms = Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
    atoms.set_masses(cell.masses)
    return atoms
