"""Measurement of the memory of a computation."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch


def peak_memory(work: Callable[[], object], device: torch.device) -> int:
    """The most memory in use while ``work`` runs beyond what is in use before it, in bytes.

    On a GPU, of the tensors that PyTorch has allocated there. Elsewhere, of the resident memory of this process, after
    what is free in it has been given back to the system, as far as the C library can. Where there is no ``/proc``, the
    peak before counts as in use.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        idle = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - idle
    idle = _restart_peak()
    work()
    return max(_peak() - idle, 0)


def _restart_peak() -> int:
    """Forget the peak so far, and give the memory that is in use."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed memory otherwise
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _kernel_count("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        return _kernel_count("VmHWM")
    except OSError:
        # In bytes on macOS and in kibibytes elsewhere.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kernel_count(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
