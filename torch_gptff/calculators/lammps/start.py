"""Start the processes of a run of LAMMPS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from torch_gptff.calculators.lammps.build import plugin
from torch_gptff.calculators.lammps.wheel import mpiexec

PROCESS = [sys.executable, "-m", "torch_gptff.calculators.lammps.run"]


def start(script: Path, ranks: int, arguments: list[str]) -> int:
    """Run a script of LAMMPS on so many processes; the exit status is 0 where all went well.

    Args:
        script: input script of LAMMPS, which may use ``pair_style gptff``
        ranks: number of processes
        arguments: for LAMMPS itself, such as ``-var T 300``

    Raises:
        LammpsError: LAMMPS, MPI or a compiler is missing, or the plugin cannot be built.
    """
    plugin()  # compiled once, before processes ask for it together
    several = [] if ranks == 1 else [mpiexec(), "-n", str(ranks)]
    return subprocess.run([*several, *PROCESS, str(script), *arguments]).returncode
