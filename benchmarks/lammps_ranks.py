"""Molecular dynamics in LAMMPS on one and several processes: does it keep its energy, and how long does a step take?

    python benchmarks/lammps_ranks.py drift --ranks 2 --model gptff-universal
    python benchmarks/lammps_ranks.py time --ranks 1 2 --sizes 1000 2000 4000 8000 --model gptff-universal

Rock salt of rattled atoms, ``pair_style gptff``. The first runs NVE and NPT at 300 K from the same velocities and
prints, for each number of processes, the drift of the energy that the run should keep, from the slope of a line, and
how far it strays from that line. The second prints the time of a step and of an atom, beside ASE's with the same atoms.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from rich.console import Console
from rich.table import Table

from torch_gptff import GPTFFCalculator
from torch_gptff.calculators.lammps.start import start
from torch_gptff.errors import LammpsError

TEMPERATURE = 300
TIMESTEP = 0.001
"""ps"""
ENSEMBLES = {
    "NVE": "fix 1 all nve",
    "NPT": f"fix 1 all npt temp {TEMPERATURE} {TEMPERATURE} 0.1 iso 1 1 1",
}
SCRIPT = """
units metal
atom_style atomic
newton on
read_data {data}
pair_style gptff {precision}
pair_coeff * * {model} Na Cl
neighbor 1.0 bin
timestep {timestep}
velocity all create {temperature} 1 loop geom
{ensemble}
thermo {every}
thermo_style custom step temp press vol etotal econserve
thermo_modify norm no format float %.12g
run {steps}
"""


def salt(n_atoms: int) -> Atoms:
    """Rock salt of about so many atoms, rattled."""
    cubic = bulk("NaCl", "rocksalt", a=5.7, cubic=True)
    atoms = cubic * max(1, round((n_atoms / len(cubic)) ** (1 / 3)))
    atoms.rattle(0.02, seed=1)
    atoms.wrap()
    return atoms


def run(
    folder: Path, atoms: Atoms, model: str, ensemble: str, steps: int, every: int, ranks: int, precision: str
) -> str:
    """What LAMMPS wrote to its log.

    Raises:
        LammpsError: it failed.
    """
    write_lammps_data(folder / "salt.data", atoms, specorder=["Na", "Cl"], masses=True)
    text = SCRIPT.format(
        data=folder / "salt.data",
        precision=precision,
        model=model,
        timestep=TIMESTEP,
        temperature=TEMPERATURE,
        ensemble=ENSEMBLES[ensemble],
        every=every,
        steps=steps,
    )
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


def seconds_a_step(log: str) -> float:
    """Of the clock."""
    found = re.search(r"Loop time of (\S+) on \d+ procs for (\d+) steps", log)
    assert found is not None, log
    return float(found[1]) / int(found[2])


def drift(columns: dict[str, np.ndarray], n_atoms: int) -> dict[str, float]:
    """Of the conserved energy: a line through it, and what is left."""
    picoseconds, energy = columns["Step"] * TIMESTEP, columns["Econserve"] / n_atoms
    slope, offset = np.polyfit(picoseconds, energy, 1)
    left = energy - slope * picoseconds - offset
    return {"drift, meV/atom/ps": 1000 * slope, "scatter, meV/atom": 1000 * float(left.std())}


def drifts(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """NVE and NPT on every number of processes."""
    atoms, rows = salt(options.sizes[0]), []
    for ranks in options.ranks:
        for ensemble in ENSEMBLES:
            log = run(folder, atoms, options.model, ensemble, options.steps, 10, ranks, options.precision)
            columns = thermo(log)
            half = len(columns["Step"]) // 2
            averages = {
                "mean temperature, K": columns["Temp"][half:].mean(),
                "mean pressure, bar": columns["Press"][half:].mean(),
                "last volume, Å³/atom": columns["Volume"][-1] / len(atoms),
                "last energy, eV/atom": columns["TotEng"][-1] / len(atoms),
            }
            rows.append(
                {"ensemble": ensemble, "ranks": ranks, "atoms": len(atoms), **drift(columns, len(atoms)), **averages}
            )
    return rows


def times(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of steps in LAMMPS, and in ASE."""
    rows = []
    for size in options.sizes:
        atoms = salt(size)
        found: dict[str, float] = {}
        for ranks in options.ranks:
            log = run(folder, atoms, options.model, "NVE", options.steps, options.steps, ranks, options.precision)
            found[f"LAMMPS, {ranks} ranks"] = seconds_a_step(log)
        found["ASE"] = seconds_of_ase(atoms, options)
        for engine, seconds in found.items():
            rows.append(
                {
                    "engine": engine,
                    "atoms": len(atoms),
                    "ms a step": 1e3 * seconds,
                    "µs an atom": 1e6 * seconds / len(atoms),
                }
            )
    return rows


def seconds_of_ase(atoms: Atoms, options: argparse.Namespace) -> float:
    """A step of ASE's velocity Verlet, after one that is not counted."""
    import torch

    dtype = getattr(torch, options.precision) if options.precision else None
    atoms.calc = GPTFFCalculator(options.model, dtype=dtype)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1))
    dynamics = VelocityVerlet(atoms, timestep=1000 * TIMESTEP * units.fs)
    dynamics.run(1)
    begin = time.perf_counter()
    dynamics.run(options.steps)
    return (time.perf_counter() - begin) / options.steps


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("drift", "time"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", help="atoms: by default 64, and 1,000 to 8,000 for time")
    parser.add_argument("--steps", type=int, help="by default 500, and 10 for time")
    parser.add_argument("--model", default="gptff-universal", help="name or path")
    parser.add_argument("--precision", choices=("float32", "float64"), default="")
    parser.add_argument("--folder", type=Path, help="for files of LAMMPS; by default one that is deleted")
    parser.add_argument("--json", type=Path, help="write everything")
    options = parser.parse_args(arguments)
    is_drift = options.question == "drift"
    options.sizes = options.sizes or ([64] if is_drift else [1000, 2000, 4000, 8000])
    options.steps = options.steps or (500 if is_drift else 10)
    if Path(options.model).is_file():
        options.model = str(Path(options.model).resolve())

    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        rows = (drifts if is_drift else times)(folder, options)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows]))
    return rows


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    main()
