"""Corrections that make energies of PBE and PBE+U those of the Materials Project."""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms

from torch_gptff.errors import HullError

HUBBARD = {"Co": 3.32, "Cr": 3.7, "Fe": 5.3, "Mn": 3.9, "Mo": 4.38, "Ni": 6.2, "V": 3.25, "W": 6.2}
"""U of the Materials Project, eV, in oxides and fluorides."""


def mp2020_correction(atoms: Atoms) -> float:
    """Correction of the energy of a crystal, eV per cell.

    It is what pymatgen's ``MaterialsProject2020Compatibility`` adds. The energy is taken for one as the Materials
    Project calculates it: by PBE+U for oxides and fluorides of V, Cr, Mn, Fe, Co, Ni, Mo and W, and by PBE for all
    else. Anions are told by oxidation states that pymatgen guesses from the composition, peroxides and superoxides by
    the distances of their oxygens.
    From `Wang et al., Sci. Rep. 11, 15496 (2021) <https://doi.org/10.1038/s41598-021-94550-5>`_.

    Raises:
        HullError: pymatgen has no correction for the crystal.
    """
    from pymatgen.entries.compatibility import CompatibilityError, MaterialsProject2020Compatibility
    from pymatgen.entries.computed_entries import ComputedStructureEntry
    from pymatgen.io.ase import AseAtomsAdaptor

    bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    symbols = set(bare.symbols)
    hubbard = {symbol: HUBBARD.get(symbol, 0.0) for symbol in symbols} if symbols & {"O", "F"} else {}
    has_u = any(hubbard.values())
    entry = ComputedStructureEntry(
        AseAtomsAdaptor.get_structure(bare),
        0.0,
        parameters={"run_type": "GGA+U" if has_u else "GGA", "hubbards": hubbard if has_u else {}},
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells whenever it guesses oxidation states
            found = MaterialsProject2020Compatibility(check_potcar=False).process_entry(entry, inplace=False)
    except CompatibilityError as error:
        raise HullError(f"{bare.symbols}: no correction of the Materials Project: {error}") from error
    if found is None or not np.isfinite(found.correction):
        raise HullError(f"{bare.symbols}: pymatgen has no correction of the Materials Project for it")
    return float(found.correction)
