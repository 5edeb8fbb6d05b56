"""The formats by name, and telling the format of a file or folder by its name and content."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torch_gptff.datasets.readers.distilled import dataset_in
from torch_gptff.datasets.readers.files import bare_name
from torch_gptff.errors import UnknownFormatError
from torch_gptff.graph import CrystalData


@dataclass(frozen=True)
class Format:
    """A format of frames.

    Attributes:
        module: module of its function ``read``
        holds: description in one line
    """

    module: str
    holds: str

    def reader(self) -> Callable[..., Iterator[CrystalData]]:
        """Its ``read(path, **options)``; nothing is imported before this."""
        return import_module(f"torch_gptff.datasets.readers.{self.module}").read

    def options(self) -> tuple[str, ...]:
        """The names of what :meth:`reader` takes besides the path."""
        return tuple(inspect.signature(self.reader()).parameters)[1:]


FORMATS: dict[str, Format] = {
    "extxyz": Format("extxyz", "extended XYZ, with labels under REF_* or the plain names"),
    "ase-db": Format("ase_db", "an ASE database"),
    "vasp": Format("vasp", "vasprun.xml or OUTCAR, or a folder of them"),
    "gptff-csv": Format("gptff_csv", "the CSV that the published GPTFF is trained on"),
    "mptrj": Format("mptrj", "MPtrj's JSON"),
    "matpes": Format("matpes", "MatPES' JSON"),
    "deepmd": Format("deepmd", "npy systems of DeePMD-kit, in a folder or a tar archive"),
    "mlearn": Format("mlearn", "mlearn's JSON, of one element or of all"),
    "acwf": Format("acwf", "equations of state of the ACWF verification"),
    "dataset": Format("stored", "a dataset that this package has stored"),
    "ase": Format("ase_files", "any other file that ASE reads"),
}
"""The formats by name."""


def read_frames(path: str | Path, format: str | None = None, **options: Any) -> Iterator[CrystalData]:
    """Stream the frames of a file or folder.

    Args:
        path: where the frames are
        format: a name of :data:`FORMATS`; by default :func:`detect_format`
        options: options of the reader of the format

    Raises:
        FileNotFoundError: nothing is there.
        UnknownFormatError: no such format, none that fits, or an option that the format does not have.
        UnreadableDataError: the data are damaged, or not of this format.
        LabelError, StructureError: a frame cannot be used; names it.
    """
    path = dataset_in(Path(path).expanduser())
    if not path.exists():
        raise FileNotFoundError(f"no data at {path}")
    name = format or detect_format(path)
    if name not in FORMATS:
        raise UnknownFormatError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    unknown = set(options) - set(FORMATS[name].options())
    if unknown:
        has = ", ".join(FORMATS[name].options()) or "none"
        raise UnknownFormatError(f"{path}: the format {name} has no option {', '.join(sorted(unknown))}; it has {has}")
    return FORMATS[name].reader()(path, **options)


def detect_format(path: str | Path) -> str:
    """The name of the format of a file or folder.

    Raises:
        UnknownFormatError: it is a folder without anything known in it, or a JSON of another layout.
    """
    path = dataset_in(Path(path).expanduser())
    if path.is_dir():
        return _format_of_folder(path)
    from torch_gptff.datasets.readers import deepmd, vasp

    name = bare_name(path)
    if path.name.lower().endswith(deepmd.ARCHIVES):
        return "deepmd"
    if vasp.is_output(path) or "outcar" in name or (name.startswith("vasprun") and name.endswith(".xml")):
        return "vasp"
    match Path(name).suffix:
        case ".xyz" | ".extxyz":
            return "extxyz"
        case ".db":
            return "ase-db"
        case ".csv":
            return "gptff-csv"
        case ".json":
            return _format_of_json(path)
        case _:
            return "ase-db" if _is_ase_database(path) else "ase"


def _format_of_folder(folder: Path) -> str:
    from torch_gptff.datasets.readers import deepmd, mlearn, stored, vasp

    if stored.is_stored(folder):
        return "dataset"
    if any((each / "test.json").is_file() and mlearn.is_element(each) for each in (folder, *folder.iterdir())):
        return "mlearn"
    if deepmd.systems(folder):
        return "deepmd"
    if vasp.calculations(folder):
        return "vasp"
    raise UnknownFormatError(
        f"{folder}: neither a stored dataset nor a folder of mlearn's, of DeePMD-kit's systems, or of vasprun.xml and "
        "OUTCAR files; name the files in it"
    )


def _format_of_json(path: Path) -> str:
    from torch_gptff.datasets.readers.json_stream import stream_items

    key, first = next(stream_items(path), (None, None))
    if isinstance(key, str):
        if key == "BM_fit_data" or path.name.startswith("results-"):
            return "acwf"
        frames = first.values() if isinstance(first, Mapping) else ()
        if any(isinstance(frame, Mapping) and {"structure", "force"} <= frame.keys() for frame in frames):
            return "mptrj"
        if key in ("ids", "nextid") or (key.isdecimal() and isinstance(first, Mapping) and "numbers" in first):
            return "ase-db"
    elif isinstance(first, Mapping):
        if {"structure", "outputs"} <= first.keys() or {"atoms", "total_energy", "stresses"} <= first.keys():
            return "mlearn"
        if {"structure", "energy", "forces"} <= first.keys():
            return "matpes"
    raise UnknownFormatError(
        f"{path}: JSON, but not as MPtrj, MatPES, mlearn, ACWF or an ASE database lay it out; name its format "
        f"({', '.join(FORMATS)})"
    )


def _is_ase_database(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3"):
            return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'systems'").fetchone())
