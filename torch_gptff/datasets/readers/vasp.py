"""Folders of VASP calculations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from torch_gptff.datasets.readers import ase_files
from torch_gptff.datasets.readers.files import bare_name, open_text
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData

XML, OUTCAR = "vasprun.xml", "outcar"


def read(path: Path, *, energy_key: str | None = None) -> Iterator[CrystalData]:
    """The ionic steps of a ``vasprun.xml`` or ``OUTCAR``, or of all of them in a folder and the folders below.

    Where a folder has both, its ``vasprun.xml`` is read, since it has more digits. Of a calculation that was broken off
    the steps that are complete are given, with a warning.

    Args:
        path: a file or a folder
        energy_key: ``"free_energy"`` for the energy with electronic entropy, which forces derive from; by default the
            energy extrapolated to no smearing, which databases publish

    Raises:
        UnreadableDataError: a file is damaged, or not what its name says.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    for file in calculations(path) if path.is_dir() else [path]:
        is_finished, n_steps = _scan(file)
        if not is_finished:
            warnings.warn(f"{file}: the calculation was broken off; its complete steps are taken", stacklevel=2)
        ase_format = "vasp-xml" if is_xml(file) else "vasp-out"
        source, called = (path.name, file.relative_to(path).as_posix()) if path.is_dir() else (None, None)
        options = {"ase_format": ase_format, "source": source, "called": called, "energy_key": energy_key}
        n_read = 0
        for frame in ase_files.read(file, **options):
            n_read += 1
            yield frame
        if is_finished and n_read < n_steps:  # ASE stops without a word where the XML is broken
            raise UnreadableDataError(f"{file}: damaged behind frame {n_read - 1} of {n_steps}")


def calculations(folder: Path) -> list[Path]:
    """The files to read in a folder and the folders below."""
    files = sorted(file for file in folder.rglob("*") if is_output(file) and file.is_file())
    with_xml = {file.parent for file in files if is_xml(file)}
    return [file for file in files if is_xml(file) or file.parent not in with_xml]


def is_output(file: Path) -> bool:
    """Whether it is called as VASP calls its output."""
    return bare_name(file) in (XML, OUTCAR)


def is_xml(file: Path) -> bool:
    """Whether it is a ``vasprun.xml``, by its name."""
    return bare_name(file).endswith(".xml")


def _scan(file: Path) -> tuple[bool, int]:
    """Whether the calculation came to its end, and how many ionic steps it has."""
    step, end = ("<calculation>", "</modeling>") if is_xml(file) else (" POSITION   ", "General timing and accounting")
    n_steps, is_finished = 0, False
    with open_text(file, errors="replace") as stream:
        for line in stream:
            n_steps += step in line
            is_finished = is_finished or end in line
    return is_finished, n_steps
