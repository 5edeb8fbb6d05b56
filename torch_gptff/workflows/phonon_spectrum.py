"""Record of the phonons of a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import PhononError
from torch_gptff.record import FORMULA, Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

COULOMB_EV_ANGSTROM = 14.3996454785
"""e²/(4π ε₀) in eV Å (CODATA 2018)."""

NUMERICAL_ZERO = 0.1
"""THz. A frequency is called imaginary where it is below minus this: less may be the noise of forces and interpolation
near Γ."""


@dataclass(frozen=True)
class PhononSpectrum(Record):
    """Harmonic phonons. Frequencies are in THz (1 THz = 33.356 1/cm = 4.1357 meV); an imaginary one, of a displacement
    that lowers the energy, is negative.

    Quantities per mole are per mole of atoms.

    Attributes:
        atoms: the crystal
        primitive: its primitive cell, to whose reciprocal vectors wave vectors refer
        supercell: how often ``atoms`` was repeated along its cell vectors
        displacement: of an atom at a time, Å
        symprec: to which symmetry was looked for, Å
        n_displaced: supercells with displaced atoms that were computed
        force_constants: eV/Å², after the acoustic sum rule was imposed, in the order of phonopy's primitive and
            supercell, ``[n_primitive, n_supercell, 3, 3]``
        sum_rule_violation: the largest force on an atom, per Å, when all atoms move together, before the sum rule was
            imposed, eV/Å²
        residual_force: the largest in the undisplaced supercell, eV/Å; these forces are subtracted
        band_points: names of the special points, ``"Γ"``; ``"U|K"`` where the path jumps
        band_ticks: their places along the path, 1/Å, without 2π
        band_distances: places of all wave vectors, ``[K]``
        band_wave_vectors: ``[K, 3]``
        band_frequencies: ``[K, branches]``
        mesh: of wave vectors for all sums
        dos_frequencies: ``[W]``
        dos: states per THz of the primitive cell, whose integral is the number of branches, ``[W]``
        temperatures: K, ``[T]``
        free_energy: of vibration (Helmholtz), eV per atom, ``[T]``
        entropy: J/(mol K), ``[T]``
        heat_capacity: at constant volume, J/(mol K), ``[T]``
        lowest_frequency: on the mesh and the path
        lowest_wave_vector: where that is
        imaginary_fraction: of the modes of the mesh that are imaginary; they are left out of thermal properties
        born_charges: Born effective charges of the atoms of ``primitive``, e, ``[n_primitive, 3, 3]``; ``None`` where
            none were given, and longitudinal and transverse optical modes do not split at Γ
        dielectric: high-frequency dielectric tensor, ``[3, 3]``; ``None`` likewise
        remarks: warnings about the result
    """

    derived: ClassVar[tuple[str, ...]] = (
        "is_stable",
        "zero_point_energy",
        "heat_capacity_300K",
        "heat_capacity_300K_formula_unit",
        "atoms_per_formula_unit",
    )
    units: ClassVar[dict[str, str]] = {
        "displacement": "Å",
        "symprec": "Å",
        "force_constants": "eV/Å²",
        "sum_rule_violation": "eV/Å²",
        "residual_force": "eV/Å",
        "band_frequencies": "THz",
        "dos_frequencies": "THz",
        "dos": "1/THz",
        "temperatures": "K",
        "free_energy": "eV/atom",
        "entropy": "J/(mol K), per mole of atoms",
        "heat_capacity": "J/(mol K), per mole of atoms",
        "heat_capacity_300K": "J/(mol K), per mole of atoms",
        "heat_capacity_300K_formula_unit": "J/(mol K), per mole of formula units",
        "zero_point_energy": "eV/atom",
        "lowest_frequency": "THz",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("lowest", "THz", 2, lambda spectrum: spectrum.lowest_frequency),
        Column("highest", "THz", 2, lambda spectrum: float(spectrum.band_frequencies.max())),
        Column("imaginary", "%", 2, lambda spectrum: 100 * spectrum.imaginary_fraction, detail=True),
        Column("C 300 K", "J/mol/K", 2, lambda spectrum: spectrum.heat_capacity_300K_formula_unit),
        Column("per atom", "J/mol/K", 2, lambda spectrum: spectrum.heat_capacity_300K),
        Column("zero point", "meV/atom", 1, lambda spectrum: 1000 * spectrum.zero_point_energy),
        Column("stable", value=lambda spectrum: verdict(spectrum.is_stable)),
    )

    atoms: Atoms
    primitive: Atoms
    supercell: tuple[int, ...]
    displacement: float
    symprec: float
    n_displaced: int
    force_constants: NDArray[np.float64]
    sum_rule_violation: float
    residual_force: float
    band_points: tuple[str, ...]
    band_ticks: NDArray[np.float64]
    band_distances: NDArray[np.float64]
    band_wave_vectors: NDArray[np.float64]
    band_frequencies: NDArray[np.float64]
    mesh: tuple[int, ...]
    dos_frequencies: NDArray[np.float64]
    dos: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    free_energy: NDArray[np.float64]
    entropy: NDArray[np.float64]
    heat_capacity: NDArray[np.float64]
    lowest_frequency: float
    lowest_wave_vector: NDArray[np.float64]
    imaginary_fraction: float
    born_charges: NDArray[np.float64] | None = None
    dielectric: NDArray[np.float64] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def is_stable(self) -> bool:
        """Whether no mode is imaginary beyond :data:`NUMERICAL_ZERO`."""
        return self.lowest_frequency > -NUMERICAL_ZERO

    @property
    def atoms_per_formula_unit(self) -> int:
        """3 for TiO2."""
        return len(self.atoms) // int(self.atoms.symbols.formula.reduce()[1])

    @property
    def zero_point_energy(self) -> float:
        """eV per atom: the free energy at 0 K."""
        return self._at(self.free_energy, 0.0)

    @property
    def heat_capacity_300K(self) -> float:
        """J/(mol K), per mole of atoms."""
        return self._at(self.heat_capacity, 300.0)

    @property
    def heat_capacity_300K_formula_unit(self) -> float:
        """J/(mol K), per mole of formula units."""
        return self.heat_capacity_300K * self.atoms_per_formula_unit

    def _at(self, values: NDArray[np.float64], temperature: float) -> float:
        """Interpolated in temperature."""
        if not self.temperatures[0] <= temperature <= self.temperatures[-1]:
            raise PhononError(
                f"{temperature:g} K is outside of the temperatures computed, {self.temperatures[0]:g} to "
                f"{self.temperatures[-1]:g} K"
            )
        return float(np.interp(temperature, self.temperatures, values))

    def to_phonopy(self) -> Phonopy:
        """The force constants as a ``Phonopy`` object, for other properties."""
        phonon = phonopy_of(self.atoms, self.supercell, self.symprec)
        phonon.force_constants = np.ascontiguousarray(self.force_constants)
        if self.born_charges is not None and self.dielectric is not None:
            phonon.nac_params = nac_parameters(self.born_charges, self.dielectric)
        return phonon

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the frequencies along the path.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.phonons import draw_bands

        return drawn(draw_bands, self, axes)


def nac_parameters(born_charges: NDArray[np.float64], dielectric: NDArray[np.float64]) -> Any:
    """Charges and dielectric tensor as phonopy takes them."""
    factor = COULOMB_EV_ANGSTROM
    return {
        "born": np.ascontiguousarray(born_charges),
        "dielectric": np.ascontiguousarray(dielectric),
        "factor": factor,
    }


def phonopy_atoms(atoms: Atoms) -> PhonopyAtoms:
    """The structure as phonopy and phono3py, one of which must be installed, take it."""
    from phonopy.structure.atoms import PhonopyAtoms

    cell: Any = {
        "symbols": list(atoms.symbols),
        "cell": atoms.cell.array,
        "scaled_positions": atoms.get_scaled_positions(),
        "masses": atoms.get_masses(),
    }
    return PhonopyAtoms(**cell)


def phonopy_of(atoms: Atoms, supercell: tuple[int, ...], symprec: float) -> Phonopy:
    """An empty ``Phonopy`` object.

    Raises:
        PhononError: phonopy is not installed.
    """
    try:
        from phonopy import Phonopy
        from phonopy.structure.cells import guess_primitive_matrix
    except ImportError as error:
        raise PhononError("phonons need phonopy: pip install 'torch-gptff[phonons]'") from error

    cell: Any = phonopy_atoms(atoms)
    primitive: Any = guess_primitive_matrix(cell, symprec=symprec)
    return Phonopy(cell, supercell_matrix=np.diag(supercell), primitive_matrix=primitive, symprec=symprec)
