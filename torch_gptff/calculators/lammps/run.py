"""One process of LAMMPS: ``python -m torch_gptff.calculators.lammps.run IN.lmp [LAMMPS's own arguments]``."""

from __future__ import annotations

import os
import sys

from torch_gptff.calculators.lammps.build import plugin
from torch_gptff.calculators.lammps.wheel import load_mpi


def run(script: str, arguments: list[str]) -> None:
    """Run a script of LAMMPS that may use ``pair_style gptff``."""
    load_mpi()
    from lammps import lammps

    engine = lammps(cmdargs=arguments)
    engine.command(f"plugin load {plugin()}")
    engine.file(script)
    engine.close()
    engine.finalize()


def main() -> None:
    """Run it, and stop all processes where this one fails."""
    try:
        run(sys.argv[1], sys.argv[2:])
    except Exception as error:
        if type(error).__module__ != "lammps.core":  # LAMMPS has printed its own errors already
            print(f"error: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # others wait for this process in MPI, which mpiexec ends


if __name__ == "__main__":
    main()
