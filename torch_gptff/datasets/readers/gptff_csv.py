"""The CSV that the published GPTFF is trained on.

Columns ``struct_id, energy, forces, stress, structure, fold, ref_energy``: eV of the cell, eV/Å, kbar with VASP's sign,
and the ``as_dict`` of a pymatgen ``Structure``, written as Python or as JSON writes them.
"""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.entries import require
from torch_gptff.datasets.readers.files import open_text, stem
from torch_gptff.datasets.readers.structure_dict import atoms_of
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

CONVENTION = UnitConvention(stress_unit="kbar", positive="compression", stress_order=None)

LONGEST_CELL = 1 << 30
"""Characters; a structure of a thousand atoms has some hundred thousand, more than Python's csv takes by itself."""


def read(path: Path) -> Iterator[CrystalData]:
    """The rows of the file; ``fold`` becomes the ``split`` of a frame. An empty cell is a label that is not known.

    Raises:
        UnreadableDataError: a column is missing, or a cell cannot be read.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        with open_text(path) as file:
            for number, row in enumerate(csv.DictReader(file)):
                where = f"{path}, row {number}"
                numbers, positions, cell, pbc = atoms_of(_value(row, "structure", where), where)
                yield make_frame(
                    numbers,
                    positions,
                    cell,
                    pbc,
                    energy=_value(row, "energy", where),
                    forces=_value(row, "forces", where),
                    stress=_value(row, "stress", where),
                    convention=CONVENTION,
                    where=where,
                    source=stem(path),
                    frame_id=row.get("struct_id") or f"{path.name}@{number}",
                    split=row.get("fold") or "",
                )
    except (csv.Error, UnicodeDecodeError, EOFError) as error:
        raise UnreadableDataError(f"{path}: not a CSV file, or truncated ({error})") from error
    finally:
        csv.field_size_limit(limit)


def _value(row: dict[str, Any], column: str, where: str) -> Any:
    text = require(row, column, where)
    if text is None:
        raise UnreadableDataError(f"{where}: the row ends before {column!r}; is the file truncated?")
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        if text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
            return float(text)
        raise UnreadableDataError(f"{where}: {column} is neither JSON nor Python ({text[:40]!r} …)") from error
