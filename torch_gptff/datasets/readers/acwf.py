"""Equations of state of the ACWF verification, from Bosoni et al., "How to verify the precision of density-functional-
theory implementations", Nature Reviews Physics 6, 45 (2024).

``results-<set>-verification-PBE-v1-<code>.json`` has seven volumes of every crystal with their energies, in eV of the
cell that was calculated, and for VASP their stresses, in eV/Å³ positive under compression. The atoms are in the folder
``xsf_<set>``, at the central volume; the others are scaled from it. Where the calculated cell is a reduced one
(O-XO and O-X2O5 of VASP), its energy is multiplied up to the cell of the ``xsf``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.entries import require
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

CONVENTION = UnitConvention(positive="compression")


def read(path: Path, *, structures: Path | str | None = None) -> Iterator[CrystalData]:
    """Seven frames of every crystal, from the smallest volume to the largest, labelled with energy and stress.

    Forces are left unknown: the files do not give them (in these crystals symmetry makes them zero).

    Args:
        path: a results file
        structures: the folder of ``xsf`` files; by default ``xsf_<set>`` beside the file

    Raises:
        UnreadableDataError: the file has no energies by volume (the averages have none), or an ``xsf`` is missing.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    with path.open() as file:
        results: dict[str, Any] = json.load(file)
    energies = require(results, "eos_data", str(path))
    stresses = results.get("stress_data") or {}
    n_calculated = require(results, "num_atoms_in_sim_cell", str(path))
    folder = Path(structures) if structures is not None else path.parent / f"xsf_{_set_name(path)}"
    source = path.name.removeprefix("results-").removesuffix(".json")
    for key, points in energies.items():
        atoms = central_structure(folder, key)
        n_cells, rest = divmod(len(atoms), n_calculated[key])
        if rest:
            raise UnreadableDataError(
                f"{path}, {key}: {n_calculated[key]} atoms were calculated, and its xsf has {len(atoms)}"
            )
        by_volume = dict(stresses.get(key) or [])
        for number, (volume, energy) in enumerate(points):
            scaled = atoms.copy()
            scaled.set_cell(atoms.cell * (n_cells * volume / atoms.cell.volume) ** (1 / 3), scale_atoms=True)
            yield make_frame(
                scaled.numbers,
                scaled.positions,
                scaled.cell.array,
                True,
                energy=n_cells * energy,
                stress=by_volume.get(volume),
                convention=CONVENTION,
                where=f"{path}, {key}, volume {number}",
                source=source,
                material=key,
                frame_id=f"{key}@{number}",
            )


def _set_name(path: Path) -> str:
    return "unaries" if "unaries" in path.name else "oxides"


def central_structure(folder: Path, key: str) -> Any:
    """ASE ``Atoms`` of a crystal: ``Si-X/Diamond`` is ``Si-Diamond.xsf``, ``Si-X2O`` is ``Si-X2O.xsf``."""
    from ase.io import read as read_by_ase

    file = folder / f"{key.replace('-X/', '-')}.xsf"
    if not file.is_file():
        raise UnreadableDataError(
            f"{file}: the structure of {key} is missing; name the folder of xsf files (structures)"
        )
    return read_by_ase(file, format="xsf")
