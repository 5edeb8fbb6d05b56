"""Does molecular dynamics keep its energy? NVE of 64 atoms of silicon or rock salt at 600 K with a step of 1 fs.

    python benchmarks/conservation.py gptff-universal gptff-v1 gptff-v2 random --structure Si

prints, for every model, the drift of the total energy (slope of a straight line) and the rms about it, after the first
half picosecond. ``random`` is the recommended architecture with random weights; a path is a checkpoint.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from rich.console import Console
from rich.table import Table

from torch_gptff import GPTFF, GPTFFCalculator, Potential, load_pretrained

EQUILIBRATION_FS = 500

CRYSTALS = {"Si": bulk("Si", cubic=True) * 2, "NaCl": bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2}


def total_energies(potential: Potential, crystal: Atoms, steps: int, dtype: torch.dtype) -> np.ndarray:
    """Total energy in meV/atom after every step of 1 fs."""
    atoms = crystal.copy()
    atoms.calc = GPTFFCalculator(potential, dtype=dtype)
    thermalize_momenta(atoms, temperature_K=2 * 600, rng=np.random.default_rng(0))  # half of it goes to the bonds
    Stationary(atoms)
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, timestep=units.fs)
    dynamics.attach(lambda: energies.append(1000 * atoms.get_total_energy() / len(atoms)))
    dynamics.run(steps)
    return np.array(energies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="a name, a path, or 'random'")
    parser.add_argument("--structure", choices=CRYSTALS, default="Si")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options = parser.parse_args()
    title = f"NVE of {options.structure}, {options.steps} steps of 1 fs"
    table = Table("model", "drift, meV/atom/ps", "rms about it, meV/atom", title=title)
    for name in options.models:
        torch.manual_seed(0)
        potential = Potential(GPTFF()) if name == "random" else load_pretrained(name)
        dtype = getattr(torch, options.dtype)
        energies = total_energies(potential, CRYSTALS[options.structure], options.steps, dtype)[EQUILIBRATION_FS:]
        picoseconds = np.arange(len(energies)) / 1000
        line = np.polyfit(picoseconds, energies, 1)
        rms = np.std(energies - np.polyval(line, picoseconds))
        table.add_row(name, f"{line[0]:+.4f}", f"{rms:.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
