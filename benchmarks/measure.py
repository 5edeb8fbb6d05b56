"""Time and peak memory of a piece of work, in a process of its own.

    measured = measure("neighbors:search", {"backend": "vesin", "n_atoms": 1000}, summary="neighbors:summary")
    measured.median, measured.peak_above_idle, measured.answer

names a function of a module in this folder. Called with the arguments in a fresh process, it prepares whatever is
needed and returns the work: a function without arguments, which is called once to warm up and then again and again.
What it returned last may be summed up by another function, whose answer must fit into JSON. With one thread and no GPU,
times are those of the processor, which other programs on the machine change least.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Measured:
    """What was seen of the work.

    Attributes:
        seconds: of every call, of the processor where there is one thread and no GPU
        idle: memory of the process in bytes once everything was prepared
        peak: most memory that it had while it worked, in bytes
        gpu_idle: GPU memory in use once everything was prepared, in bytes; 0 without a GPU
        gpu_peak: most GPU memory in use while it worked, in bytes; 0 without a GPU
        answer: the summary of what the work returned last; ``None`` where none was asked for
    """

    seconds: list[float]
    idle: int
    peak: int
    gpu_idle: int
    gpu_peak: int
    answer: Any

    @property
    def median(self) -> float:
        """Seconds of the middle call."""
        return statistics.median(self.seconds)

    @property
    def peak_above_idle(self) -> int:
        """Bytes that the work itself needed."""
        return max(self.peak - self.idle, 0)

    @property
    def gpu_peak_above_idle(self) -> int:
        """Bytes on the GPU that the work itself needed."""
        return self.gpu_peak - self.gpu_idle


def measure(
    function: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    summary: str | None = None,
    repeats: int = 5,
    budget: float = 60.0,
    threads: int | None = None,
    python: str | Path = sys.executable,
) -> Measured:
    """Prepare and do the work in a process of its own.

    Args:
        function: ``"module:function"``, of a module in this folder
        arguments: what it is called with; they must fit into JSON
        summary: ``"module:function"``, of what the work returned; its time and memory do not count
        repeats: calls that are timed, after one that is not
        budget: seconds after which no further call is begun; if the first one takes longer, it is the only one and
            counts
        threads: of OpenMP and MKL; their own choice by default
        python: the interpreter of another environment

    Raises:
        RuntimeError: the process failed; the message ends with what it printed.
    """
    task = {
        "function": function,
        "arguments": dict(arguments or {}),
        "summary": summary,
        "repeats": repeats,
        "budget": budget,
        "clock": "process_time" if threads == 1 else "perf_counter",
    }
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [str(python), __file__, json.dumps(task), str(result)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        if process.returncode != 0:
            raise RuntimeError(f"{function} failed with exit code {process.returncode}:\n{process.stderr[-4000:]}")
        return Measured(**json.loads(result.read_text()))


def _work(
    function: str,
    arguments: Mapping[str, Any],
    summary: str | None,
    repeats: int,
    budget: float,
    clock: str = "perf_counter",
) -> Measured:
    work = _named(function)(**arguments)
    clock = "perf_counter" if _gpu("is_available") else clock
    gpu_idle = _gpu("memory_allocated") or 0
    idle = _restart_peak()
    began = time.perf_counter()
    seconds, outcome = _timed(work, clock)
    times = [seconds] if seconds > budget else []
    while not times or (len(times) < repeats and time.perf_counter() - began < budget):
        del outcome
        seconds, outcome = _timed(work, clock)
        times.append(seconds)
    peak, gpu_peak = _peak(), _gpu("max_memory_allocated") or 0
    return Measured(times, idle, peak, gpu_idle, gpu_peak, _named(summary)(outcome) if summary else None)


def _named(function: str) -> Any:
    module, name = function.split(":")
    return getattr(import_module(module), name)


def _timed(work: Any, clock: str) -> tuple[float, Any]:
    now = getattr(time, clock)
    _gpu("synchronize")
    start = now()
    outcome = work()
    _gpu("synchronize")
    return now() - start, outcome


def _gpu(function: str) -> Any:
    """A function of ``torch.cuda``, where the work has brought PyTorch and there is a GPU."""
    torch = sys.modules.get("torch")
    return getattr(torch.cuda, function)() if torch is not None and torch.cuda.is_available() else None


def _restart_peak() -> int:
    """Forget the peak so far, and give the memory that is in use."""
    _gpu("reset_peak_memory_stats")
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _kernel_count("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        return _kernel_count("VmHWM")
    except OSError:
        # No /proc: the peak of the whole life of the process, in bytes on macOS and in kibibytes elsewhere.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kernel_count(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    measured = _work(**json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(asdict(measured)))
