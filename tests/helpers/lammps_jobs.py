"""Runs jobs of LAMMPS on the processes that started it: ``python lammps_jobs.py JOBS.json RESULTS.json``.

A job is a list of commands; its result is the error, or energy, positions, forces, virial and what atoms have.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from torch_gptff.calculators.lammps.build import plugin
from torch_gptff.calculators.lammps.wheel import load_mpi

MEASURES = (
    "compute energies all pe/atom",
    "compute stresses all stress/atom NULL",
    "compute virial all pressure NULL virial",
    "compute sum all reduce sum c_energies c_stresses[1] c_stresses[2] c_stresses[3] c_stresses[4] c_stresses[5] "
    "c_stresses[6]",
    "thermo_style custom step pe etotal c_virial[1] c_virial[2] c_virial[3] c_virial[4] c_virial[5] c_virial[6] "
    "c_sum[1] c_sum[2] c_sum[3] c_sum[4] c_sum[5] c_sum[6] c_sum[7] vol",
    "thermo_modify norm no",
)


def run(commands: list[str]) -> dict[str, Any]:
    from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, lammps

    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    try:
        engine.command(f"plugin load {plugin()}")
        for command in commands:
            if command == "measure":
                engine.commands_list(list(MEASURES))
            else:
                engine.command(command)
        sums = engine.numpy.extract_compute("sum", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR)
        virial = engine.numpy.extract_compute("virial", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR)
        return {
            "energy": engine.get_thermo("pe"),
            "total": engine.get_thermo("etotal"),
            "sum": sums.tolist(),
            "virial": virial.tolist(),
            "volume": engine.get_thermo("vol"),
            "owned": engine.extract_global("nlocal"),
            **{name: np.array(engine.gather_atoms(name, 1, 3)).reshape(-1, 3).tolist() for name in ("x", "f")},
        }
    except Exception as error:
        return {"error": str(error)}
    finally:
        engine.close()


def main() -> None:
    load_mpi()
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    results = {name: run(commands) for name, commands in jobs.items()}
    from lammps import lammps

    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    rank = engine.extract_setting("world_rank")
    if rank == 0:
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            json.dump(results, file)
    engine.close()
    engine.finalize()


if __name__ == "__main__":
    main()
