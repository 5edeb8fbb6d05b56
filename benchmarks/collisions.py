"""Do the atoms of a hot metal keep their distance? Molecular dynamics of elements, at constant volume.

    python benchmarks/collisions.py gptff-universal --elements Cu Nd Gd --temperature 1500 --steps 1500

starts from the crystal of experiment, and prints how near two atoms came, as a fraction of the sum of their covalent
radii; the part of all times, after the first tenth, at which any two were nearer than 0.6 of it; and for how long the
same two were so at most: a model whose energy has a hole there, see ``diatomics.py``, lets them fall into it and stay.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.neighborlist import neighbor_list
from diatomics import NEAR
from pymatgen.core import Element
from rich.console import Console
from rich.table import Table

from torch_gptff import load_pretrained
from torch_gptff.calculators import GPTFFCalculator

CRYSTALS = ("fcc", "bcc", "hcp")

TIMESTEP = 2
"""fs"""

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


@dataclass(frozen=True)
class Look:
    """The distance of the nearest two atoms as a fraction of touching, and all pairs nearer than :data:`NEAR` of it."""

    nearest: float
    near: frozenset[tuple[int, int]]


def look_at(atoms: Atoms) -> Look:
    """At atoms of one element."""
    touching = 2 * covalent_radii[atoms.numbers[0]]
    i, j, distances = neighbor_list("ijd", atoms, touching)
    fractions = distances / touching
    is_near = (fractions < NEAR) & (i < j)
    return Look(fractions.min(initial=1.0), frozenset(zip(i[is_near].tolist(), j[is_near].tolist(), strict=True)))


def looks(atoms: Atoms, temperature: float, steps: int) -> Iterator[Look]:
    """One every :data:`EVERY` steps of :data:`TIMESTEP` of molecular dynamics."""
    rng = np.random.default_rng(0)
    thermalize_momenta(atoms, temperature_K=2 * temperature, rng=rng)
    friction = 0.01 / units.fs
    dynamics = Langevin(atoms, TIMESTEP * units.fs, temperature_K=temperature, friction=friction, fixcm=False, rng=rng)
    for _ in dynamics.irun(steps):
        if dynamics.nsteps % EVERY == 0:
            yield look_at(atoms)


def longest_stay(seen: Iterable[Look]) -> int:
    """In how many looks on end the same two atoms were near at most."""
    stays: Counter[tuple[int, int]] = Counter()
    longest = 0
    for look in seen:
        stays = Counter({pair: stays[pair] + 1 for pair in look.near})
        longest = max(longest, *stays.values(), 0)
    return longest


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
    table = Table("element", "atoms", "nearest", f"below {NEAR:g}", "the same two, fs", title=title)
    for symbol in options.elements:
        atoms = crystal(symbol)
        atoms.calc = GPTFFCalculator(potential)
        seen = list(looks(atoms, options.temperature, options.steps))
        nearest = np.array([look.nearest for look in seen])
        late = nearest[len(nearest) // 10 :]
        stay = longest_stay(seen) * EVERY * TIMESTEP
        table.add_row(symbol, str(len(atoms)), f"{nearest.min():.2f}", f"{np.mean(late < NEAR):.0%}", str(stay))
    Console().print(table)


if __name__ == "__main__":
    main()
