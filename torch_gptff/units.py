"""Units: energy eV, length Å, force eV/Å, stress eV/Å³ (positive = tensile), everywhere inside.

Other units and signs are converted where data enter or leave, with the factors of this file.
"""

from __future__ import annotations

GPA_PER_EV_PER_ANGSTROM3 = 160.21766208
"""1 eV/Å³ in GPa (CODATA 2014, as ASE's ``ase.units.GPa``)."""
