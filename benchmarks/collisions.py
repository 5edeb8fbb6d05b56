"""Do the atoms of a hot metal keep their distance? Molecular dynamics of elements, at constant volume.

    python benchmarks/collisions.py gptff-universal --elements Cu Nd Gd --temperature 1500 --steps 1500

starts from the crystal of experiment, and prints how near two atoms came, as a fraction of the sum of their covalent
radii, and the part of all times, after the first tenth, at which two were nearer than 0.6 of it: a model whose energy
has a hole there, see ``diatomics.py``, lets them fall into it and stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.neighborlist import neighbor_list
from diatomics import NEAR
from pymatgen.core import Element
from rich.console import Console
from rich.table import Table

from torch_gptff import load_pretrained
from torch_gptff.calculators import GPTFFCalculator

CRYSTALS = ("fcc", "bcc", "hcp")

EVERY = 10
"""Steps between two looks."""


def metals() -> list[str]:
    """Those to Pu whose crystals are fcc, bcc or hcp."""
    known = {symbol: reference_states[number] for symbol, number in atomic_numbers.items() if 0 < number < 95}
    crystals = [symbol for symbol, state in known.items() if state is not None and state["symmetry"] in CRYSTALS]
    return [symbol for symbol in crystals if Element(symbol).is_metal]


def crystal(name: str) -> Atoms:
    """27 atoms, or 54, of the crystal of experiment, or of one that is named behind colons: ``U:bcc:3.53``."""
    symbol, *structure = name.split(":")
    if structure:
        return bulk(symbol, structure[0], a=float(structure[1])) * (3, 3, 3)
    return bulk(symbol) * (3, 3, 3)


def least_distances(atoms: Atoms, temperature: float, steps: int) -> Iterator[float]:
    """Distance of the nearest two atoms as a fraction of touching, every :data:`EVERY` steps of 2 fs."""
    rng = np.random.default_rng(0)
    touching = 2 * covalent_radii[atoms.numbers[0]]
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * temperature, rng=rng)
    friction = 0.01 / units.fs
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=friction, fixcm=False, rng=rng)
    for _ in dynamics.irun(steps):
        if dynamics.nsteps % EVERY == 0:
            near = neighbor_list("d", atoms, touching)
            yield float(near.min()) / touching if len(near) else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="by name or path")
    parser.add_argument(
        "--elements",
        nargs="+",
        default=metals(),
        help="fcc, bcc and hcp metals by default; U:bcc:3.53 names crystal and lattice constant in Å, too",
    )
    parser.add_argument("--temperature", type=float, default=1500.0, help="K")
    parser.add_argument("--steps", type=int, default=1500, help="of 2 fs")
    options = parser.parse_args()

    potential = load_pretrained(options.model)
    title = f"{options.model} at {options.temperature:g} K"
    table = Table("element", "atoms", "nearest", f"below {NEAR:g}", title=title)
    for symbol in options.elements:
        atoms = crystal(symbol)
        atoms.calc = GPTFFCalculator(potential)
        distances = np.array(list(least_distances(atoms, options.temperature, options.steps)))
        late = distances[len(distances) // 10 :]
        table.add_row(symbol, str(len(atoms)), f"{distances.min():.2f}", f"{np.mean(late < NEAR):.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
