"""Compile the native kernels on first use, and keep the result."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

from torch_gptff.cache import cache_folder
from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.ops.native import kept, shipped
from torch_gptff.ops.native.told import tell_of_no_kernels

SOURCES = Path(__file__).parent
FLAGS = "-O3 -march=native -std=c++17 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -fPIC -shared"
REALS = {torch.float32: "float", torch.float64: "double"}
MAX_CHANNELS = 256
"""Largest width of features; wider blocks exceed the cache and the stack of a thread."""


def can_compile(dtype: torch.dtype, channels: int) -> bool:
    """Whether kernels exist for this dtype and width: whole vectors of the widest kind, two at a time."""
    return dtype in REALS and channels % 32 == 0 and 0 < channels <= MAX_CHANNELS


@cache
def library(dtype: torch.dtype, channels: int) -> ctypes.CDLL | None:
    """The kernels of bonds and angles for one dtype and width, or ``None`` where there is no compiler or it fails.

    Where a wheel has brought them along (:mod:`torch_gptff.ops.native.shipped`), those are taken. Otherwise the shared
    library is kept in the cache folder under a name that tells its source, its settings, the compiler and the
    processor, so that a change of any of them compiles anew; and its content, so that no other is loaded (see
    :mod:`torch_gptff.ops.native.kept`). The compiler is ``$CXX``, or ``c++``; set ``TORCH_GPTFF_NATIVE=0`` to do
    without.
    """
    if not can_compile(dtype, channels):
        return None
    return _library(SOURCES, [f"-DREAL={REALS[dtype]}", f"-DCHANNELS={channels}", f"-DCOSINE_SCALE={COSINE_SCALE!r}"])


@cache
def turning_library(dtype: torch.dtype, degree: int) -> ctypes.CDLL | None:
    """As :func:`library`, of features that turn, for one dtype and highest degree, of any width."""
    if dtype not in REALS or not 1 <= degree <= 3:
        return None
    return _library(SOURCES / "geometric", [f"-DREAL={REALS[dtype]}", f"-DDEGREE={degree}"])


def _library(sources: Path, defines: list[str]) -> ctypes.CDLL | None:
    if os.environ.get("TORCH_GPTFF_NATIVE") == "0":
        return None
    if (brought := _brought_along(sources, defines)) is not None:
        return brought
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    if shutil.which(compiler[0]) is None:
        tell_of_no_kernels()
        return None
    try:
        folder, name = cache_folder() / "native", f"kernels-{_key(compiler, defines)}"
        if file := kept.find(folder, name):
            return ctypes.CDLL(str(file))
        files = map(str, sorted(sources.glob("*.cpp")))
        return _compiled([*compiler, *FLAGS.split(), *defines, *files], folder, name)
    except (OSError, subprocess.SubprocessError) as error:
        tell_of_no_kernels(error)
        return None


def _brought_along(sources: Path, defines: list[str]) -> ctypes.CDLL | None:
    """Kernels that the wheel contains: see :mod:`torch_gptff.ops.native.shipped`."""
    file = shipped.find(sources, defines)
    if file is None:
        return None
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # for example of another C library; one compiled here fits
        return None


def _compiled(command: list[str], folder: Path, name: str) -> ctypes.CDLL:
    with kept.workshop(folder) as (place, can_be_kept):
        made = place / f"{name}.so"
        subprocess.run([*command, "-o", str(made)], check=True, capture_output=True, timeout=120)
        library = ctypes.CDLL(str(made))  # a library that cannot be loaded is not kept
        if can_be_kept:
            kept.keep(made, folder, name)
        return library


def _key(compiler: list[str], defines: list[str]) -> str:
    version = subprocess.run([*compiler, "--version"], check=True, capture_output=True, timeout=10).stdout
    content = [source.read_bytes() for source in sorted(SOURCES.rglob("*.?pp"))]
    settings = " ".join([*compiler[1:], FLAGS, *defines, platform.machine(), _processor()]).encode()
    return hashlib.sha256(b"\0".join([*content, version, settings])).hexdigest()[:16]


def _processor() -> str:
    """Features of the processor, on which ``-march=native`` depends: machines may share a cache folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return platform.processor()
