"""Molecular dynamics in LAMMPS on one and several processes: does it keep its energy, and how long does a step take?

    python benchmarks/lammps_ranks.py drift --ranks 2 --model gptff-universal
    python benchmarks/lammps_ranks.py time --ranks 1 2 --sizes 1000 4000 16000 --model gptff-universal

Rock salt of rattled atoms, ``pair_style gptff``, and the same atoms with the same velocities in ASE. The first runs
NVE and NPT at 300 K and prints the drift of the energy that the run should keep, from the slope of a line, how far it
strays from that line, and averages over the second half. The second prints the time of the processors in a step, of all
processes together, which other programs on the machine do not change, and the time on the clock.

MPICH is told to let a process sleep that waits for another, so that waiting is not counted as work.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from rich.console import Console
from rich.table import Table

from torch_gptff import GPTFFCalculator
from torch_gptff.calculators.lammps.build import plugin
from torch_gptff.calculators.lammps.start import start
from torch_gptff.calculators.lammps.wheel import mpiexec
from torch_gptff.errors import LammpsError

TEMPERATURE = 300
TIMESTEP = 0.001
"""ps"""
SKIN = 1.0
"""Å, of both neighbour lists"""
EVERY = 10
"""Steps between two rows of a run"""
PROCESS = Path(__file__).with_name("lammps_process.py")
SLEEP = "MPIR_CVAR_CH4_PROGRESS_THROTTLE"
"""The setting of MPICH that lets waiting processes sleep"""
ENSEMBLES = {
    "NVE": "fix 1 all nve",
    "NPT": f"fix 1 all npt temp {TEMPERATURE} {TEMPERATURE} 0.1 iso 1 1 1",
}
SETUP = """
units metal
atom_style atomic
newton on
read_data {data}
pair_style gptff {precision}
pair_coeff * * {model} Na Cl
neighbor {skin} bin
timestep {timestep}
{ensemble}
"""
RUN = f"""
thermo {EVERY}
thermo_style custom step temp press vol etotal econserve
thermo_modify norm no format float %.12g
run {{steps}}
"""


def salt(n_atoms: int) -> Atoms:
    """Rock salt of about so many atoms, rattled, that moves at 300 K but not as a whole."""
    cubic = bulk("NaCl", "rocksalt", a=5.7, cubic=True)
    atoms = cubic * max(1, round((n_atoms / len(cubic)) ** (1 / 3)))
    atoms.rattle(0.02, seed=1)
    atoms.wrap()
    thermalize_momenta(atoms, TEMPERATURE, rng=np.random.default_rng(1))
    Stationary(atoms)
    return atoms


def setup(folder: Path, atoms: Atoms, ensemble: str, options: argparse.Namespace) -> str:
    """The part of a script that comes before its run."""
    data = folder / f"salt-{len(atoms)}.data"
    write_lammps_data(data, atoms, specorder=["Na", "Cl"], masses=True, velocities=True)
    return SETUP.format(
        data=data,
        precision=options.precision,
        model=options.model,
        skin=SKIN,
        timestep=TIMESTEP,
        ensemble=ENSEMBLES[ensemble],
    )


def run(folder: Path, atoms: Atoms, ensemble: str, ranks: int, options: argparse.Namespace) -> str:
    """What LAMMPS wrote to its log.

    Raises:
        LammpsError: it failed.
    """
    text = setup(folder, atoms, ensemble, options) + RUN.format(steps=options.steps)
    (folder / "in.lmp").write_text(text)
    log = folder / "run.log"
    if start(folder / "in.lmp", ranks, ["-log", str(log), "-screen", "none"]):
        raise LammpsError(f"{ensemble} of {len(atoms)} atoms on {ranks} processes failed: see {log}")
    return log.read_text()


def thermo(log: str) -> dict[str, np.ndarray]:
    """The columns that LAMMPS printed in the course of a run."""
    (text,) = re.findall(r"^ +(Step .*?)^Loop time", log, re.DOTALL | re.MULTILINE)
    heads, *rows = text.splitlines()
    values = np.array([[float(word) for word in row.split()] for row in rows])
    return dict(zip(heads.split(), values.T, strict=True))


def with_calculator(atoms: Atoms, options: argparse.Namespace) -> Atoms:
    """The same atoms in ASE."""
    import torch

    dtype = getattr(torch, options.precision) if options.precision else None
    atoms = atoms.copy()
    atoms.calc = GPTFFCalculator(options.model, dtype=dtype, skin=SKIN)
    return atoms


def dynamics(atoms: Atoms, ensemble: str) -> MolecularDynamics:
    """The equations of motion of ``fix nve`` and ``fix npt`` in ASE."""
    fs = units.fs
    if ensemble == "NVE":
        return VelocityVerlet(atoms, timestep=1000 * TIMESTEP * fs)
    return IsotropicMTKNPT(
        atoms,
        timestep=1000 * TIMESTEP * fs,
        temperature_K=TEMPERATURE,
        pressure_au=units.bar,
        tdamp=100 * fs,
        pdamp=1000 * fs,
    )


def thermo_of_ase(atoms: Atoms, ensemble: str, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """The columns of a run in ASE, as LAMMPS defines them."""
    atoms = with_calculator(atoms, options)
    moving = dynamics(atoms, ensemble)
    rows: list[dict[str, float]] = []

    def note() -> None:
        kinetic, total = atoms.get_kinetic_energy(), atoms.get_total_energy()
        stress = atoms.get_stress(include_ideal_gas=True)
        rows.append(
            {
                "Step": moving.nsteps,
                "Temp": 2 * kinetic / (3 * len(atoms) - 3) / units.kB,
                "Press": -stress[:3].mean() / units.bar,
                "Volume": atoms.get_volume(),
                "TotEng": total,
                "Econserve": total if ensemble == "NVE" else moving.get_conserved_energy(),
            }
        )

    moving.attach(note, interval=EVERY)
    moving.run(options.steps)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def drift(columns: dict[str, np.ndarray], n_atoms: int) -> dict[str, float]:
    """Of the conserved energy: a line through it, and what is left."""
    picoseconds, energy = columns["Step"] * TIMESTEP, columns["Econserve"] / n_atoms
    slope, offset = np.polyfit(picoseconds, energy, 1)
    left = energy - slope * picoseconds - offset
    return {"drift, meV/atom/ps": 1000 * slope, "scatter, meV/atom": 1000 * float(left.std())}


def drifts(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of every ensemble, on every number of processes and in ASE."""
    atoms, rows = salt(options.sizes[0]), []
    for ensemble in options.ensembles:
        engines: dict[str, Callable[[], dict[str, np.ndarray]]] = {
            f"LAMMPS, {ranks} ranks": lambda e=ensemble, n=ranks: thermo(run(folder, atoms, e, n, options))
            for ranks in options.ranks
        }
        engines["ASE"] = lambda e=ensemble: thermo_of_ase(atoms, e, options)
        for engine, columns_of in engines.items():
            columns = columns_of()
            half = len(columns["Step"]) // 2
            rows.append(
                {
                    "ensemble": ensemble,
                    "engine": engine,
                    "atoms": len(atoms),
                    "steps": options.steps,
                    **drift(columns, len(atoms)),
                    "mean temperature, K": columns["Temp"][half:].mean(),
                    "mean pressure, bar": columns["Press"][half:].mean(),
                    "mean volume, Å³/atom": columns["Volume"][half:].mean() / len(atoms),
                    "last energy, eV/atom": columns["TotEng"][-1] / len(atoms),
                    "last volume, Å³/atom": columns["Volume"][-1] / len(atoms),
                }
            )
    return rows


def times(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of steps in LAMMPS and in ASE."""
    structures = [salt(size) for size in options.sizes]
    found = {f"LAMMPS, {ranks} ranks": times_of_lammps(folder, structures, ranks, options) for ranks in options.ranks}
    found["ASE"] = [times_of_ase(atoms, options) for atoms in structures]
    rows = []
    for place, atoms in enumerate(structures):
        _, of_ase, _ = found["ASE"][place]
        for engine, sizes in found.items():
            clock, processor, peak = sizes[place]
            rows.append(
                {
                    "engine": engine,
                    "atoms": len(atoms),
                    "CPU ms a step": 1e3 * processor,
                    "CPU µs an atom": 1e6 * processor / len(atoms),
                    "of ASE's": processor / of_ase,
                    "clock ms a step": 1e3 * clock,
                    "peak of a process, MiB": peak / 2**20,
                }
            )
    return rows


def times_of_lammps(
    folder: Path, structures: Sequence[Atoms], ranks: int, options: argparse.Namespace
) -> list[tuple[float, float, int]]:
    """Seconds of the clock and of all processors in a step, and the peak memory of a process, for each structure.

    Raises:
        LammpsError: LAMMPS failed.
    """
    plugin()  # compiled before processes ask for it together
    jobs = [
        {"commands": [*setup(folder, atoms, "NVE", options).strip().splitlines(), "run 0"], "steps": options.steps}
        for atoms in structures
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    several = [] if ranks == 1 else [mpiexec(), "-n", str(ranks)]
    command = [*several, sys.executable, str(PROCESS), str(folder / "jobs.json"), str(folder / "times")]
    if subprocess.run(command).returncode:
        raise LammpsError(f"LAMMPS on {ranks} processes failed, see above")
    processes = [json.loads((folder / f"times-{rank}.json").read_text()) for rank in range(ranks)]
    return [
        (
            max(each["clock"] for each in of_ranks) / options.steps,
            sum(each["processor"] for each in of_ranks) / options.steps,
            max(each["peak"] for each in of_ranks),
        )
        for of_ranks in zip(*processes, strict=True)
    ]


def times_of_ase(atoms: Atoms, options: argparse.Namespace) -> tuple[float, float, float]:
    """The same of ASE's velocity Verlet, after an evaluation that is not counted; the memory is not measured."""
    atoms = with_calculator(atoms, options)
    atoms.get_forces()
    moving = dynamics(atoms, "NVE")
    clock, processor = time.perf_counter(), time.process_time()
    moving.run(options.steps)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return clock / options.steps, processor / options.steps, math.nan


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("drift", "time"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", help="atoms: by default 64, and 1,000 to 16,000 for time")
    parser.add_argument("--steps", type=int, help="by default 500, and 5 for time")
    parser.add_argument("--ensembles", nargs="+", choices=tuple(ENSEMBLES), default=list(ENSEMBLES))
    parser.add_argument("--model", default="gptff-universal", help="name or path")
    parser.add_argument("--precision", choices=("float32", "float64"), default="")
    parser.add_argument("--folder", type=Path, help="for files of LAMMPS; by default one that is deleted")
    parser.add_argument("--json", type=Path, help="write everything")
    options = parser.parse_args(arguments)
    is_drift = options.question == "drift"
    options.sizes = options.sizes or ([64] if is_drift else [1000, 4000, 16000])
    options.steps = options.steps or (500 if is_drift else 5)
    if Path(options.model).is_file():
        options.model = str(Path(options.model).resolve())
    os.environ.setdefault(SLEEP, "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        rows = (drifts if is_drift else times)(folder, options)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=200).print(table)
    if options.json:
        options.json.write_text(json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows]))
    return rows


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    main()
