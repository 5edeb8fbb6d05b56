"""Folders of VASP calculations."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.datasets.readers.ase_atoms import frames_of_atoms
from torch_gptff.datasets.readers.ase_files import structures
from torch_gptff.datasets.readers.files import bare_name, is_set, open_text, stem
from torch_gptff.datasets.readers.labels import LabelFinder, LabelKeys
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData

if TYPE_CHECKING:
    from ase import Atoms

XML, OUTCAR = "vasprun.xml", "outcar"

CONVERGED = "converged"
UNCONVERGED = "whose electronic steps did not converge"
LEARNED = "which a machine-learned force field predicted"

_NUMBER = re.compile(r"\d+")
_NELM = re.compile(r"\bNELM\s*=\s*(\d+)")
_ITERATION = re.compile(r"Iteration\s+\d+\(\s*(\d+)\)")


def read(
    path: Path, *, energy_key: str | None = None, unconverged: bool | str = False, machine_learned: bool | str = False
) -> Iterator[CrystalData]:
    """The ionic steps of a ``vasprun.xml`` or ``OUTCAR``, or of all of them in a folder and the folders below.

    Where a folder has both, its ``vasprun.xml`` is read, since it has more digits. Of a calculation that was broken off
    the steps that are complete are given, with a warning. Left out, with a warning, are ionic steps whose electronic
    steps did not converge (they are as many as NELM allows), and those of VASP's machine-learned force fields.

    Args:
        path: a file or a folder
        energy_key: ``"free_energy"`` for the energy with electronic entropy, which forces derive from; by default the
            energy extrapolated to no smearing, which databases publish
        unconverged: take the steps that did not converge, too
        machine_learned: take the steps of a machine-learned force field, too, which an ``OUTCAR`` holds

    Raises:
        UnreadableDataError: a file is damaged, or not what its name says.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    wanted = {UNCONVERGED: is_set(unconverged, "unconverged"), LEARNED: is_set(machine_learned, "machine_learned")}
    labels = LabelFinder(path, LabelKeys(energy_key))
    for file in calculations(path) if path.is_dir() else [path]:
        source, called = (path.name, file.relative_to(path).as_posix()) if path.is_dir() else (stem(path), None)
        yield from frames_of_atoms(_steps(file, called, wanted), labels, source=source)
    labels.tell()


def _steps(file: Path, called: str | None, wanted: Mapping[str, bool]) -> Iterator[tuple[Atoms, str, str]]:
    """The ionic steps of a file that are wanted; see :func:`~torch_gptff.datasets.readers.ase_files.structures`."""
    calculation = scan(file)
    if not calculation.is_finished:
        warnings.warn(f"{file}: the calculation was broken off; its complete steps are taken", stacklevel=2)
    for kind, option in ((UNCONVERGED, "unconverged=yes"), (LEARNED, "machine_learned=yes")):
        number = calculation.steps.count(kind)
        if number and not wanted[kind]:
            warnings.warn(
                f"{file}: {number} of {len(calculation.steps)} ionic steps are left out, {kind} ({option} takes them)",
                stacklevel=2,
            )
    if calculation.n_unlisted:
        warnings.warn(
            f"{file}: {calculation.n_unlisted} steps are left out, which stand outside of the calculations: {LEARNED}",
            stacklevel=2,
        )
    n_read = 0
    for step in structures(file, "vasp-xml" if is_xml(file) else "vasp-out", called):
        kind = calculation.steps[n_read] if n_read < len(calculation.steps) else CONVERGED
        n_read += 1
        if wanted.get(kind, True):
            yield step
    if calculation.is_finished and n_read < len(calculation.steps):  # ASE stops without a word where the XML is broken
        raise UnreadableDataError(f"{file}: damaged behind frame {n_read - 1} of {len(calculation.steps)}")


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


@dataclass(frozen=True)
class Calculation:
    """State of the calculation in a file.

    Attributes:
        is_finished: whether the calculation ended regularly
        steps: state of each ionic step, :data:`CONVERGED`, :data:`UNCONVERGED` or :data:`LEARNED`
        n_unlisted: ionic steps of a machine-learned force field that are no calculation of the XML
    """

    is_finished: bool
    steps: tuple[str, ...]
    n_unlisted: int = 0


def scan(file: Path) -> Calculation:
    """Find the state of the calculation in a ``vasprun.xml`` or ``OUTCAR``."""
    with open_text(file, errors="replace") as stream:
        return _scan_xml(stream) if is_xml(file) else _scan_outcar(stream)


def _scan_xml(lines: Iterable[str]) -> Calculation:
    """An ionic step did not converge where it has as many electronic steps (``<scstep>``) as NELM; with ML_LMLFF, those
    of the force field stand outside of the calculations."""
    steps: list[str] = []
    most, n_electronic, n_unlisted = math.inf, 0, 0
    is_learned = is_inside = is_finished = False
    for line in lines:
        is_finished = is_finished or "</modeling>" in line
        if "<scstep>" in line:
            n_electronic += 1
        elif "<calculation>" in line:
            is_inside, n_electronic = True, 0
            steps.append(CONVERGED)
        elif "</calculation>" in line:
            is_inside = False
            if n_electronic >= most:
                steps[-1] = UNCONVERGED
        elif '"NELM"' in line and (number := _NUMBER.search(line.partition(">")[2])):
            most = int(number[0])
        elif '"ML_LMLFF"' in line:
            is_learned = line.partition(">")[2].strip().startswith("T")
        elif is_learned and not is_inside and re.search(r"<structure\s*>", line):
            n_unlisted += 1
    return Calculation(is_finished, tuple(steps), n_unlisted)


def _scan_outcar(lines: Iterable[str]) -> Calculation:
    """An ionic step did not converge where the file says so, or where it has as many electronic steps as NELM and the
    file does not say that EDIFF was reached; those of a force field are marked (ML)."""
    steps: list[str] = []
    most, n_electronic = math.inf, 0
    is_finished, is_reached, is_missed = False, False, False
    for line in lines:
        is_finished = is_finished or "General timing and accounting" in line
        if iteration := _ITERATION.search(line):
            n_electronic = int(iteration[1])
        elif most_electronic := _NELM.search(line):
            most = int(most_electronic[1])
        elif "EDIFF is reached" in line:
            is_reached = True
        elif "EDIFF was not reached" in line:
            is_missed = True
        elif " POSITION   " in line:
            not_converged = is_missed or (n_electronic >= most and not is_reached)
            steps.append(LEARNED if "(ML)" in line else UNCONVERGED if not_converged else CONVERGED)
            n_electronic, is_reached, is_missed = 0, False, False
    return Calculation(is_finished, tuple(steps))
