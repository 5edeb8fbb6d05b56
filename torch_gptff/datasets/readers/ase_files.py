"""Whatever else ASE reads: trajectories, single calculations, VASP's ``vasprun.xml`` and ``OUTCAR``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch_gptff.datasets.readers.ase_atoms import frames_of_atoms
from torch_gptff.datasets.readers.extras import kept_keys
from torch_gptff.datasets.readers.files import is_set, stem
from torch_gptff.datasets.readers.labels import LabelFinder, LabelKeys
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.io.elements import check_trajectory

if TYPE_CHECKING:
    from ase import Atoms


def read(
    path: Path,
    *,
    ase_format: str | None = None,
    source: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    naming: str | None = None,
    unconverged: bool | str = False,
    keep: str | Sequence[str] | None = None,
    keep_per_atom: str | Sequence[str] | None = None,
) -> Iterator[CrystalData]:
    """The frames of a file, which ASE converts to its own units and signs.

    Args:
        path: the file
        ase_format: ASE's name of the format; by default ASE finds out
        source: name of the source; by default the name of the file
        energy_key: where the energy is; by default ASE's ``energy``, unless there is a key ``REF_energy``
        forces_key: the same of forces
        stress_key: the same of stress
        naming: the prefix of the keys, as ``"REF_"``, or ``"plain"``; frames without such labels stay without any
        unconverged: take frames with ``converged=False``, too
        keep: other keys that become fields of the record, as ``"band_gap,magmom"``, see
            :func:`~torch_gptff.datasets.readers.extras.kept_keys`
        keep_per_atom: names of keys with a value for every atom that are kept too, as ``"magmoms=abs(magmom)"``

    Raises:
        UnreadableDataError: ASE makes nothing of it.
        LabelError, StructureError: see :func:`~torch_gptff.datasets.make_frame`.
    """
    kept = kept_keys(keep, keep_per_atom)
    keys = LabelKeys(energy_key, forces_key, stress_key, naming, is_set(unconverged, "unconverged"), kept)
    labels = LabelFinder(path, keys)
    yield from frames_of_atoms(structures(path, ase_format), labels, source=source or stem(path))
    labels.tell()


def structures(path: Path, ase_format: str | None, called: str | None = None) -> Iterator[tuple[Atoms, str, str]]:
    """The ``Atoms`` of each frame, where it is, and its name, in which the file may be ``called`` otherwise.

    Raises:
        UnreadableDataError: ASE makes nothing of it.
    """
    from ase.io import iread

    check_trajectory(path)
    number = 0
    try:
        for number, atoms in enumerate(
            iread(path.absolute(), index=":", format=ase_format, do_not_split_by_at_sign=True)
        ):
            yield atoms, f"{path}, frame {number}", f"{called or path.name}@{number}"
    except FileNotFoundError:
        raise
    except Exception as error:  # ASE raises what it happens to meet
        kind = f"{ase_format} file" if ase_format else "file that ASE knows"
        raise UnreadableDataError(f"{path}: not a {kind}, or damaged behind frame {number} ({error})") from error
