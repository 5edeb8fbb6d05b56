"""mlearn: six elements, from Zuo et al., "Performance and cost assessment of machine learning interatomic potentials",
J. Phys. Chem. A 124, 731 (2020).

``training.json`` and ``test.json`` of an element are lists of ``{structure, group, tag, outputs: {energy, forces,
virial_stress}}``: eV of the cell, eV/Å, kbar positive under compression. **The order of the six components differs by
element**; :data:`STRESS_ORDER` is what the strained cells of the Elastic group, and of the metals an independent
potential, show.

For copper and nickel the training set is also at hand as ALIGNN keeps it (``alignn_id_prop.json`` or ``id_prop.json``):
the same frames first, with the energy per atom. The rows behind them are the test set, twice, with stresses that belong
to other frames; they are never read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.entries import require
from torch_gptff.datasets.readers.json_stream import stream_items
from torch_gptff.datasets.readers.structure_dict import atoms_of, element_number
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import VASP_ORDER, UnitConvention

STRESS_ORDER = {
    **dict.fromkeys(("Cu", "Ni", "Mo"), ("xx", "yy", "zz", "xy", "xz", "yz")),
    **dict.fromkeys(("Li", "Si", "Ge"), VASP_ORDER),
}

N_TRAINING = {"Cu": 262, "Ni": 263}
"""Rows of ALIGNN's file that are the training set."""

ALIGNN_NAMES = ("alignn_id_prop.json", "id_prop.json")


def read(path: Path) -> Iterator[CrystalData]:
    """The frames of a file, of an element's folder, or of a folder of elements; ``split`` is ``train`` or ``test``.

    Raises:
        UnreadableDataError: a file is truncated or of another layout, or a folder has no such files.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    for file in data_files(path):
        yield from (_from_alignn if file.name in ALIGNN_NAMES else _from_mlearn)(file)


def data_files(path: Path) -> list[Path]:
    """The training and test set of every element in a folder, or the file itself.

    Raises:
        UnreadableDataError: there are none.
    """
    if path.is_file():
        return [path]
    files: list[Path] = []
    for folder in (path, *sorted(path.iterdir())):
        training = [folder / name for name in ("training.json", *ALIGNN_NAMES) if (folder / name).is_file()]
        if training and (folder / "test.json").is_file():
            files += [training[0], folder / "test.json"]
    if not files:
        raise UnreadableDataError(f"{path}: no folder with training.json and test.json, as mlearn has for each element")
    return files


def _from_mlearn(file: Path) -> Iterator[CrystalData]:
    for number, entry in stream_items(file):
        where = f"{file}, entry {number}"
        numbers, positions, cell, pbc = atoms_of(require(entry, "structure", where), where)
        outputs = require(entry, "outputs", where)
        element, split = require(entry, "element", where), require(entry, "tag", where)
        yield make_frame(
            numbers,
            positions,
            cell,
            pbc,
            energy=require(outputs, "energy", where),
            forces=require(outputs, "forces", where),
            stress=require(outputs, "virial_stress", where),
            convention=_convention(element, where),
            where=where,
            source="mlearn",
            frame_id=f"{element}/{split}/{number}/{require(entry, 'group', where)}",
            split=split,
        )


def _from_alignn(file: Path) -> Iterator[CrystalData]:
    with file.open() as stream:
        entries: list[dict[str, Any]] = json.load(stream)
    element = entries[0]["atoms"]["elements"][0].strip()
    if element not in N_TRAINING:
        raise UnreadableDataError(
            f"{file}: which rows are the training set of {element} is not known; use mlearn's own"
        )
    n_training = N_TRAINING[element]
    for number, entry in enumerate(entries[:n_training]):
        where = f"{file}, entry {number}"
        atoms = require(entry, "atoms", where)
        cell = np.array(atoms["lattice_mat"], dtype=np.float64)
        coordinates = np.array(atoms["coords"], dtype=np.float64)
        yield make_frame(
            [element_number(symbol.strip(), where) for symbol in atoms["elements"]],
            coordinates if atoms["cartesian"] else coordinates @ cell,
            cell,
            True,
            energy=require(entry, "total_energy", where),
            forces=require(entry, "forces", where),
            stress=require(entry, "stresses", where),
            convention=_convention(element, where, per_atom=True),
            where=where,
            source="mlearn",
            frame_id=f"{element}/train/{number}",
            split="train",
        )


def _convention(element: str, where: str, per_atom: bool = False) -> UnitConvention:
    if element not in STRESS_ORDER:
        raise UnreadableDataError(f"{where}: the order of stress components is known of {', '.join(STRESS_ORDER)} only")
    return UnitConvention(
        energy="per atom" if per_atom else "per cell",
        stress_unit="kbar",
        positive="compression",
        stress_order=STRESS_ORDER[element],
    )


def is_element(folder: Path) -> bool:
    """Whether a folder holds an element's training set."""
    return any((folder / name).is_file() for name in ("training.json", *ALIGNN_NAMES))
