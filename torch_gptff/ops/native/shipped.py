"""Kernels compiled ahead of time, which a wheel for one platform brings along.

They are those of the recommended models, of the published ones and of the package's own, for two generations of x86-64
processors: ``x86-64-v3`` with AVX2 and ``x86-64-v4`` with AVX-512. A list beside them names each, with the digest of
the sources that it was compiled from and of its own content: what does not fit is not loaded. They use the C++ library
and OpenMP and nothing of PyTorch, so that they go with every version of it. This file needs nothing but Python, since
``setup.py`` runs it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
FOLDER = SOURCES / "compiled"
LIST = "list.json"
FLAGS = "-O3 -std=c++17 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -fPIC -shared"

V3 = {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
NEEDS = {"x86-64-v4": V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}, "x86-64-v3": V3}
"""Features that each generation of processors has, the best first, by the names in ``/proc/cpuinfo``."""

GEOMETRIC = SOURCES / "geometric"
KERNELS = [
    (sources, (f"-DREAL={real}", *settings))
    for real in ("float", "double")
    for sources, settings in (
        (GEOMETRIC, ("-DDEGREE=2",)),
        (GEOMETRIC, ("-DDEGREE=3",)),
        (SOURCES, ("-DCHANNELS=64", "-DCOSINE_SCALE=0.999999")),
    )
]
"""The folder of the sources of each library, and its settings, as :mod:`torch_gptff.ops.native.build` asks for them."""

PROCESSOR = Path("/proc/cpuinfo")
"""File in which Linux lists the features of the processor."""


def find(sources: Path, defines: list[str], folder: Path = FOLDER) -> Path | None:
    """The library for this processor; ``None`` where there is none that was compiled from these sources.

    Args:
        sources: folder of its sources
        defines: settings of the library
        folder: folder of the compiled libraries
    """
    generation = _generation()
    try:
        entries = json.loads((folder / LIST).read_text())
    except (OSError, ValueError):
        return None
    if generation is None:
        return None
    entry = entries.get(_name(sources, defines, generation))
    file = folder / f"{_name(sources, defines, generation)}.so"
    if entry is None or entry["sources"] != digest_of_sources(sources):
        return None
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return file if hashlib.sha256(content).hexdigest() == entry["content"] else None


def compile_all(compiler: str, folder: Path) -> None:
    """Compile every library into a folder, for ``setup.py``.

    Args:
        compiler: the command of a C++ compiler
        folder: folder to create

    Raises:
        subprocess.CalledProcessError: the compiler fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for sources, defines in KERNELS:
        for generation in NEEDS:
            name = _name(sources, list(defines), generation)
            file = folder / f"{name}.so"
            files = map(str, sorted(sources.glob("*.cpp")))
            command = [*shlex.split(compiler), *FLAGS.split(), f"-march={generation}", *defines, *files]
            subprocess.run([*command, "-o", str(file)], check=True)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            entries[name] = {"sources": digest_of_sources(sources), "content": content}
    (folder / LIST).write_text(json.dumps(entries, indent=1) + "\n")


def digest_of_sources(sources: Path) -> str:
    """Digest of the sources and settings of a library."""
    files = [*sorted(SOURCES.glob("*.hpp")), *sorted(sources.glob("*.?pp"))]
    return hashlib.sha256(b"\0".join([FLAGS.encode(), *(file.read_bytes() for file in files)])).hexdigest()


def _name(sources: Path, defines: list[str], generation: str) -> str:
    settings = "-".join(each.removeprefix("-D").replace("=", "-") for each in defines)
    return f"{sources.name}-{settings}-{generation}".lower()


def _generation() -> str | None:
    """The best generation that the processor belongs to, on Linux."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    try:
        lines = PROCESSOR.read_text().splitlines()
    except OSError:
        return None
    has = set(next((line for line in lines if line.startswith("flags")), "").split())
    return next((generation for generation, needs in NEEDS.items() if needs <= has), None)
