"""Whatever else ASE reads: trajectories, single calculations, VASP's ``vasprun.xml`` and ``OUTCAR``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch_gptff.datasets.readers.ase_atoms import LabelKeys, frame_of_atoms
from torch_gptff.datasets.readers.files import stem
from torch_gptff.errors import GPTFFError, UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention


def read(
    path: Path,
    *,
    ase_format: str | None = None,
    source: str | None = None,
    called: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
) -> Iterator[CrystalData]:
    """The frames of a file, which ASE converts to its own units and signs.

    Args:
        path: the file
        ase_format: ASE's name of the format; by default ASE finds out
        source: what to call the data; by default the name of the file
        called: what to call the file in the names of frames
        energy_key: where the energy is; by default ASE's ``energy``, which for VASP is that without entropy
        forces_key: the same of forces
        stress_key: the same of stress

    Raises:
        UnreadableDataError: ASE makes nothing of it.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    from ase.io import iread

    keys = LabelKeys(energy_key, forces_key, stress_key)
    number = 0
    try:
        for number, atoms in enumerate(iread(path, index=":", format=ase_format, do_not_split_by_at_sign=True)):
            where = f"{path}, frame {number}"
            yield frame_of_atoms(
                atoms,
                keys,
                UnitConvention(),
                where=where,
                source=source or stem(path),
                frame_id=f"{called or path.name}@{number}",
            )
    except (GPTFFError, FileNotFoundError):
        raise
    except Exception as error:  # ASE raises what it happens to meet
        kind = f"{ase_format} file" if ase_format else "file that ASE knows"
        raise UnreadableDataError(f"{path}: not a {kind}, or damaged behind frame {number} ({error})") from error
