"""DeePMD-kit's npy systems: folders with ``type.raw`` and ``set.*/{coord,box,energy,force,virial}.npy``.

Å, eV of the cell, eV/Å; the virial in eV is ``-dE/dstrain``, positive under compression, so ``stress = -virial / V``.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torch_gptff.datasets.frames import make_frame
from torch_gptff.datasets.readers.structure_dict import element_number
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

CONVENTION = UnitConvention(stress_unit="eV", positive="compression")

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")


def read(path: Path, *, type_map: Sequence[str] | None = None, source: str | None = None) -> Iterator[CrystalData]:
    """The frames of every system in a folder and the folders below, or in a tar archive.

    An archive is unpacked into a temporary folder for as long as it is read.

    Args:
        path: a folder or an archive
        type_map: the element of each type; by default ``type_map.raw`` of a system
        source: name of the source; by default the name of the folder or archive

    Raises:
        UnreadableDataError: there is no system; or in a system, types without elements, or an array that is missing,
            damaged, or does not fit the others.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    source = source or path.name.split(".")[0]
    if path.is_dir():
        yield from _read_folder(path, path, type_map, source)
        return
    with tempfile.TemporaryDirectory(prefix="torch-gptff-") as folder:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, members=_wanted(archive), filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise UnreadableDataError(f"{path}: not a tar archive, or truncated ({error})") from error
        yield from _read_folder(Path(folder), path, type_map, source)


def systems(folder: Path) -> list[Path]:
    """The systems in a folder and the folders below: where there is a ``set.*`` with coordinates."""
    return sorted({coordinates.parent.parent for coordinates in folder.rglob("set.*/coord.npy")})


def _wanted(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in archive if member.name.endswith((".npy", "type.raw", "type_map.raw", "nopbc")))


def _read_folder(folder: Path, called: Path, type_map: Sequence[str] | None, source: str) -> Iterator[CrystalData]:
    found = systems(folder)
    if not found:
        raise UnreadableDataError(f"{called}: no system of DeePMD-kit, a folder with type.raw and set.*/coord.npy")
    for system in found:
        yield from _read_system(system, called, system.relative_to(folder).as_posix(), type_map, source)


def _read_system(
    system: Path, root: Path, relative: str, type_map: Sequence[str] | None, source: str
) -> Iterator[CrystalData]:
    name = str(root / relative)
    label = "" if relative == "." else f"{relative}/"
    numbers = _atomic_numbers(system, name, type_map)
    pbc = not (system / "nopbc").exists()
    for batch in sorted(system.glob("set.*")):
        where = f"{name}/{batch.name}"
        positions = _array(batch / "coord.npy", where)
        n_frames = len(positions)
        if positions.shape[1:] != (3 * len(numbers),):
            raise UnreadableDataError(
                f"{where}: coord.npy has rows of {positions.shape[1:]} numbers, and type.raw {len(numbers)} atoms; the "
                "format with real_atom_types.npy is not read"
            )
        cells = _array(batch / "box.npy", where) if pbc else np.zeros((n_frames, 9))
        labels = {key: _optional_array(batch / f"{key}.npy", where) for key in ("energy", "force", "virial")}
        for key, array in {"box": cells, **labels}.items():
            if array is not None and len(array) != n_frames:
                raise UnreadableDataError(f"{where}: {key}.npy has {len(array)} frames, and coord.npy {n_frames}")
        energies, forces, virials = labels.values()
        for frame in range(n_frames):
            yield make_frame(
                numbers,
                positions[frame].reshape(-1, 3),
                cells[frame].reshape(3, 3),
                pbc,
                energy=None if energies is None else energies[frame].reshape(()),
                forces=None if forces is None else forces[frame].reshape(-1, 3),
                stress=None if virials is None else virials[frame],
                convention=CONVENTION,
                where=f"{where}, frame {frame}",
                source=source,
                frame_id=f"{label}{batch.name}@{frame}",
            )


def _atomic_numbers(system: Path, name: str, type_map: Sequence[str] | None) -> NDArray[np.int64]:
    try:
        types = np.array((system / "type.raw").read_text().split(), dtype=np.int64)
    except (OSError, ValueError) as error:
        raise UnreadableDataError(f"{name}: type.raw cannot be read ({error})") from error
    if type_map is None:
        if not (system / "type_map.raw").is_file():
            raise UnreadableDataError(
                f"{name}: there is no type_map.raw: say which elements the types 0 to {types.max(initial=0)} are "
                "(type_map)"
            )
        type_map = (system / "type_map.raw").read_text(encoding="utf-8-sig").split()
    if len(types) and not 0 <= types.min() <= types.max() < len(type_map):
        raise UnreadableDataError(
            f"{name}: type.raw has the types {types.min()} to {types.max()}, and the type map "
            f"{len(type_map)} elements ({', '.join(type_map)})"
        )
    return np.array([element_number(symbol, name) for symbol in type_map], dtype=np.int64)[types]


def _optional_array(file: Path, where: str) -> NDArray | None:
    return _array(file, where) if file.is_file() else None


def _array(file: Path, where: str) -> NDArray:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableDataError(f"{where}: {file.name} is missing or damaged ({error})") from error
