"""Does a process that computes for long need more and more memory?

    python benchmarks/memory.py --calls 5000 --structures 2000

prints the resident memory after every tenth of a run, as it goes: of calls of one calculator for atoms that move and a
cell that breathes, as in molecular dynamics, and of structures that all differ in elements, number of atoms and cell,
one after another through one calculator, and four copies at a time through ``Potential.predict``. Each ends with the
slope of memory over the second half, in bytes for each call: what is left over by a call that keeps nothing is the
scatter of the allocator. It takes some five minutes of one core.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from torch_gptff import GPTFFCalculator, Potential
from torch_gptff.defaults import DEFAULT_MODEL

PARTS = 10
ELEMENTS = (
    "Li",
    "C",
    "Na",
    "Mg",
    "Al",
    "Si",
    "K",
    "Ca",
    "Ti",
    "V",
    "Cr",
    "Fe",
    "Ni",
    "Cu",
    "Zn",
    "Ge",
    "Nb",
    "Mo",
    "Ag",
)


def resident() -> float:
    """The resident memory of this process, MiB."""
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def different(number: int) -> Iterator[Atoms]:
    """Rattled crystals of 2 to 12 atoms, of one to three elements, in sheared cells, no two alike."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        atoms = bulk(str(rng.choice(ELEMENTS)), "fcc", a=rng.uniform(4.0, 5.0)) * tuple(rng.integers(1, [3, 3, 4]))
        atoms.symbols[:] = rng.choice(rng.choice(ELEMENTS, 3), len(atoms))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(0.05, rng=rng)
        yield atoms


def measured(number: int, work: Iterator[None]) -> list[tuple[int, float]]:
    """Calls so far and the memory then, from the first call on; printed as they come."""
    found, start = [], time.perf_counter()
    for call, _ in enumerate(work, start=1):
        if call == 1 or call % max(1, number // PARTS) == 0:
            found.append((call, resident()))
            print(f"{call:8,} calls {found[-1][1]:10.1f} MiB {time.perf_counter() - start:8.0f} s", flush=True)
    return found


def moving(calculator: GPTFFCalculator, number: int) -> Iterator[None]:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.calc = calculator
    rng = np.random.default_rng(0)
    cell, positions = atoms.cell.array.copy(), atoms.get_scaled_positions()
    for _ in range(number):
        atoms.set_cell(cell * rng.normal(1, 0.01))
        atoms.set_scaled_positions(positions + 0.01 * rng.normal(size=positions.shape))
        atoms.get_forces()
        atoms.get_stress()
        yield


def one_by_one(calculator: GPTFFCalculator, number: int) -> Iterator[None]:
    for atoms in different(number):
        atoms.calc = calculator
        atoms.get_potential_energy()
        yield


def together(potential: Potential, number: int) -> Iterator[None]:
    for atoms in different(number):
        potential.predict([atoms] * 4)
        yield


def slope(found: list[tuple[int, float]]) -> float:
    """Of memory over the second half of the calls, bytes for each call."""
    calls, memory = np.array(found[len(found) // 2 :]).T
    return float(np.polyfit(calls, memory, 1)[0]) * 2**20 if len(calls) > 1 else 0.0


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="by name or path")
    parser.add_argument("--calls", type=int, default=5000, help="of the calculator, for one structure")
    parser.add_argument("--structures", type=int, default=2000, help="that differ")
    options = parser.parse_args(arguments)

    calculator = GPTFFCalculator(options.model, device="cpu")
    works: dict[str, tuple[int, Callable[[int], Iterator[None]]]] = {
        "calls of a calculator": (options.calls, lambda number: moving(calculator, number)),
        "structures, by a calculator": (options.structures, lambda number: one_by_one(calculator, number)),
        "structures, by predict": (options.structures, lambda number: together(calculator.potential, number)),
    }
    slopes = {}
    for title, (number, work) in works.items():
        print(title, flush=True)
        slopes[title] = slope(measured(number, work(number)))
        print(f"{slopes[title]:+,.0f} bytes for each call over the second half", flush=True)
    return slopes


if __name__ == "__main__":
    main()
