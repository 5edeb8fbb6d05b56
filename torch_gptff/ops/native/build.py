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
from tempfile import TemporaryDirectory

import torch

from torch_gptff.cache import cache_folder
from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.ops.native.told import tell_of_no_kernels

SOURCES = Path(__file__).parent
FLAGS = "-O3 -march=native -std=c++17 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -fPIC -shared"
REALS = {torch.float32: "float", torch.float64: "double"}
MAX_CHANNELS = 256
"""Blocks of wider rows would leave the cache, and the stack of a thread."""


def can_compile(dtype: torch.dtype, channels: int) -> bool:
    """Whether kernels exist for this dtype and width: whole vectors of the widest kind, two at a time."""
    return dtype in REALS and channels % 32 == 0 and 0 < channels <= MAX_CHANNELS


@cache
def library(dtype: torch.dtype, channels: int) -> ctypes.CDLL | None:
    """The kernels for one dtype and width, or ``None`` where there is no compiler or it fails.

    The shared library is kept in the cache folder under a name that tells its source, its settings, the compiler and
    the processor, so that a change of any of them compiles anew. The compiler is ``$CXX``, or ``c++``; set
    ``TORCH_GPTFF_NATIVE=0`` to do without.
    """
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    if os.environ.get("TORCH_GPTFF_NATIVE") == "0" or not can_compile(dtype, channels):
        return None
    if shutil.which(compiler[0]) is None:
        tell_of_no_kernels()
        return None
    defines = [f"-DREAL={REALS[dtype]}", f"-DCHANNELS={channels}", f"-DCOSINE_SCALE={COSINE_SCALE!r}"]
    try:
        path = cache_folder() / "native" / f"kernels-{_key(compiler, defines)}.so"
        if not path.is_file():
            _compile([*compiler, *FLAGS.split(), *defines, *map(str, sorted(SOURCES.glob("*.cpp")))], path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        tell_of_no_kernels(error)
        return None


def _compile(command: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: other processes, threads and machines may be compiling the same.
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run([*command, "-o", str(made)], check=True, capture_output=True, timeout=120)
        ctypes.CDLL(str(made))  # what cannot be loaded is not kept
        made.replace(path)


def _key(compiler: list[str], defines: list[str]) -> str:
    version = subprocess.run([*compiler, "--version"], check=True, capture_output=True, timeout=10).stdout
    content = [source.read_bytes() for source in sorted(SOURCES.glob("*.?pp"))]
    settings = " ".join([*compiler[1:], FLAGS, *defines, platform.machine(), _processor()]).encode()
    return hashlib.sha256(b"\0".join([*content, version, settings])).hexdigest()[:16]


def _processor() -> str:
    """What ``-march=native`` depends on: a cache folder may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return platform.processor()
