"""A virtual environment of its own for every opponent that needs one, made on first use."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import torch


def python_of(name: str, requirements: Sequence[str], folder: Path) -> Path:
    """The interpreter of an environment with these packages from PyPI and, where they allow it, this PyTorch.

    Raises:
        RuntimeError: pip failed; nothing half-made is kept.
    """
    environment = folder / name
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (environment / "complete").is_file():
        return python
    print(f"making the environment of {name} in {environment} …", file=sys.stderr)
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment, with_pip=True)
    same_torch = f"torch=={torch.__version__.partition('+')[0]}"
    for packages in ([*requirements, same_torch], list(requirements)):
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if done.returncode == 0:
            (environment / "complete").touch()
            return python
    shutil.rmtree(environment)
    raise RuntimeError(f"pip could not install {' '.join(requirements)}:\n{done.stderr.strip()}")
