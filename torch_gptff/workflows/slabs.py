"""Slabs of a crystal between planes of low Miller indices."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from torch_gptff.errors import SurfaceError

MOST_GUESSED = 40
"""Largest number of atoms of a formula whose oxidation numbers are guessed, which takes long for more."""

SAME_PLANE = 0.1
"""Å: atoms whose distances from a plane differ by less count as one layer of a termination."""

SAME_PLACE = 0.05
"""Å, and fractions of cell vectors, to which slabs count as the same and have smaller cells."""


@dataclass(frozen=True)
class Cut:
    """A slab of a crystal with vacuum, whose surfaces are normal to the third vector of its cell.

    Attributes:
        miller: h, k, l of its surfaces
        termination: number of the termination of these planes, from 0
        slab: the atoms
        area: of a surface, Å²
        thickness: between the outermost atoms, Å
        is_symmetric: whether a symmetry exchanges its two surfaces
        is_polar: whether it has a dipole across; ``None`` where no oxidation numbers can be guessed
    """

    miller: tuple[int, int, int]
    termination: int
    slab: Atoms
    area: float
    thickness: float
    is_symmetric: bool
    is_polar: bool | None


def conventional_cell(atoms: Atoms, symprec: float) -> Atoms:
    """The conventional cell of a crystal, to which Miller indices refer.

    Args:
        atoms: the crystal
        symprec: tolerance of the search for symmetry, Å

    Raises:
        SurfaceError: no symmetry is found.
    """
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of noble gases, which have no electronegativity to sort by
            analyzer = SpacegroupAnalyzer(AseAtomsAdaptor.get_structure(plain), symprec=symprec)
            cell = analyzer.get_conventional_standard_structure()
    except (SymmetryUndeterminedError, TypeError, ValueError) as error:
        raise SurfaceError(
            f"the symmetry of the structure is not found to {symprec:g} Å: are two atoms in one place?"
        ) from error
    return _atoms_of(cell)


def cuts(crystal: Atoms, max_index: int, thickness: float, vacuum: float) -> list[Cut]:
    """Slabs of all terminations of all planes that symmetry tells apart.

    Args:
        crystal: its conventional cell
        max_index: largest Miller index
        thickness: smallest thickness, Å
        vacuum: smallest distance between a slab and its images, Å

    Raises:
        SurfaceError: a slab has another composition than the crystal.
    """
    from pymatgen.core.surface import SlabGenerator, get_symmetrically_distinct_miller_indices
    from pymatgen.io.ase import AseAtomsAdaptor

    structure = AseAtomsAdaptor.get_structure(crystal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of noble gases, and of oxidation numbers that are not integers
        has_charges = _guess_charges(structure)
        found = []
        for miller in sorted(get_symmetrically_distinct_miller_indices(structure, max_index), key=_order):
            size = thickness
            while True:  # pymatgen counts the distance to the next layer as part of a slab
                generator = SlabGenerator(structure, miller, size, vacuum, center_slab=True, primitive=True)
                slabs = generator.get_slabs(ftol=SAME_PLANE, tol=SAME_PLACE)
                made = [_cut(slab, structure, number, has_charges) for number, slab in enumerate(slabs)]
                lacking = thickness - min(cut.thickness for cut in made)
                if lacking <= 1e-6:
                    break
                size += lacking
            found += made
    return found


def _cut(slab: Any, crystal: Any, number: int, has_charges: bool) -> Cut:
    if slab.composition.reduced_formula != crystal.composition.reduced_formula:
        raise SurfaceError(
            f"a slab of the planes {slab.miller_index} is {slab.composition.reduced_formula}, and the crystal "
            f"{crystal.composition.reduced_formula}: its energy would depend on chemical potentials"
        )
    upright = slab.get_orthogonal_c_slab()
    atoms = _atoms_of(upright)
    heights = atoms.positions @ (atoms.cell.array[2] / np.linalg.norm(atoms.cell.array[2]))
    h, k, l = (int(index) for index in slab.miller_index)
    return Cut(
        miller=(h, k, l),
        termination=number,
        slab=atoms,
        area=float(slab.surface_area),
        thickness=float(np.ptp(heights)),
        is_symmetric=bool(slab.is_symmetric(symprec=SAME_PLANE)),
        is_polar=bool(slab.is_polar()) if has_charges else None,
    )


def _guess_charges(structure: Any) -> bool:
    """Give atoms their oxidation numbers; ``False`` where none are found, or all are zero, as in a metal."""
    try:
        structure.add_oxidation_state_by_guess(max_sites=-MOST_GUESSED)
    except ValueError:
        return False
    if not any(getattr(site.specie, "oxi_state", None) for site in structure):
        structure.remove_oxidation_states()
        return False
    return True


def _order(miller: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    return max(map(abs, miller)), sum(map(abs, miller)), tuple(-k for k in miller)


def _atoms_of(structure: Any) -> Atoms:
    symbols = [site.specie.symbol for site in structure]
    return Atoms(symbols, scaled_positions=structure.frac_coords, cell=structure.lattice.matrix, pbc=True)
