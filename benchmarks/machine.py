"""What the machine can do: how fast it multiplies matrices and copies memory, measured in the same run."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measure import measure

SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices"""

FLOATS = {"cpu": 1 << 26, "cuda": 1 << 30}
"""Numbers that are copied: more than any cache holds"""


@dataclass(frozen=True)
class Rates:
    """The best of several tries.

    Attributes:
        flops: float32 operations per second in a product of matrices
        bytes: bytes per second read and written in a copy
    """

    flops: float
    bytes: float


def rates(device: str, threads: int) -> Rates:
    """Measure both."""
    product = measure("machine:product", {"device": device}, repeats=7, threads=threads)
    copied = measure("machine:copy", {"device": device}, repeats=7, threads=threads)
    return Rates(2 * SIZE[device] ** 3 / min(product.seconds), 2 * 4 * FLOATS[device] / min(copied.seconds))


def product(device: str) -> Callable[[], None]:
    """A product of square float32 matrices, without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = torch.rand(2, SIZE[device], SIZE[device], device=device)
    out = torch.empty_like(a)

    def work() -> None:
        torch.mm(a, b, out=out)

    return work


def copy(device: str) -> Callable[[], None]:
    """A copy from memory to memory."""
    source, target = torch.rand(2, FLOATS[device], device=device)

    def work() -> None:
        target.copy_(source)

    return work


def description(device: str, threads: int) -> dict[str, Any]:
    """The machine in words, for the record."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": threads,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
