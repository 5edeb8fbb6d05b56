"""A warning, shown once, where there are no compiled kernels."""

from __future__ import annotations

import subprocess
import warnings
from functools import cache

from torch_gptff.errors import SlowKernelsWarning


def tell_of_no_kernels(error: Exception | None = None) -> None:
    """Warn, as :class:`~torch_gptff.errors.SlowKernelsWarning`, once for each reason in a process.

    Args:
        error: error of the compiler; ``None`` where there is no compiler
    """
    _tell(_reason(error))


@cache
def _tell(reason: str) -> None:
    warnings.warn(
        f"the compiled kernels cannot be had ({reason}): evaluations on the CPU take some 3 to 4 times as long; "
        "set CXX to a C++ compiler and TORCH_GPTFF_CACHE to a folder that can be written, or TORCH_GPTFF_NATIVE=0 to "
        "do without them",
        SlowKernelsWarning,
        stacklevel=4,
    )


def _reason(error: Exception | None) -> str:
    if error is None:
        return "there is no C++ compiler"
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line.strip() for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
        said = next((line for line in lines if "error" in line), lines[0] if lines else "without a word")
        return f"{error.cmd[0]} ended with exit code {error.returncode}: {said[:200]}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{error.cmd[0]} did not end within {error.timeout:g} s"
    return str(error)[:200]
