"""Do two atoms repel when they come too near? Curves of pairs of one element, beside those of PBE.

    python benchmarks/diatomics.py diatomics-dft.json.gz gptff-universal gptff-v1 --plot diatomics.png

The file holds energies of pairs in vacuum by their distance, from 0.4 of the covalent radii to 6 Å
(https://github.com/janosh/matbench-discovery, site/src/lib). No model here has learned any of them, and the far end of
a curve, where bonds break, is not asked of a model of crystals. What is counted is the near end, nearer than 0.6 of
touching atoms: in how many elements the force is attractive somewhere there, so that atoms on a collision course fall
into a hole (in nine of PBE, where the spin of the pair changes), how deep those are, and what it takes to get there;
and how high the wall is, beside that of PBE. Along the whole curve the force should change its sign once.
``NAME-without`` is NAME without its repulsion of nuclei.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from torch_gptff import Potential, load_pretrained

NEAR = 0.6
"""Of the sum of covalent radii."""

FALL = 0.05
"""eV, by which an energy has fallen if it is no noise."""

SHOWN = ("H", "O", "Al", "Si", "Fe", "Cs")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Energies (eV, 0 at the largest distance) and forces that push apart (eV/Å), by the distance (Å, ascending)."""

    symbol: str
    distances: Floats
    energies: Floats
    forces: Floats

    @property
    def near(self) -> NDArray[np.bool_]:
        """Where the atoms are nearer than :data:`NEAR` of touching."""
        return self.distances < NEAR * 2 * covalent_radii[atomic_numbers[self.symbol]]

    @property
    def has_hole(self) -> bool:
        """Whether the atoms attract each other anywhere there."""
        return bool((self.forces[self.near] <= 0).any())

    @property
    def hole_depth(self) -> float:
        """How far the energy falls on the way in from :data:`NEAR`, eV; 0 where it only rises."""
        inwards = self.energies[self.near][::-1]
        return float((np.maximum.accumulate(inwards) - inwards).max())

    @property
    def barrier(self) -> float:
        """What it takes to come from the least energy beyond :data:`NEAR` to where the energy first falls, eV."""
        lowest = int(np.where(self.near, np.inf, self.energies).argmin())
        inwards = self.energies[lowest::-1]
        highest = np.maximum.accumulate(inwards)
        falls = np.flatnonzero(inwards < highest - FALL)
        return float(highest[falls[0] if len(falls) else -1] - inwards[0])

    @property
    def wall(self) -> float:
        """The energy that it takes to come from :data:`NEAR` to the least distance, eV."""
        return float(self.energies[0] - self.energies[self.near][-1])

    @property
    def flips(self) -> int:
        """How often the force changes its sign; forces below 10 meV/Å have none."""
        signs = np.sign(self.forces[np.abs(self.forces) > 0.01])
        return int((signs[1:] != signs[:-1]).sum())


def known_curves(file: Path) -> dict[str, Curve]:
    """The curves of PBE, by element."""
    with gzip.open(file, "rt") as stream:
        pairs = json.load(stream)["PBE"]
    curves = {}
    for name, pair in pairs.items():
        symbol = name.split("-")[0]
        order = np.argsort(pair["distances"])
        distances, energies = (np.array(pair[key], dtype=float)[order] for key in ("distances", "energies"))
        forces = np.array(pair["forces"], dtype=float)[order, 1, 0]
        curves[symbol] = Curve(symbol, distances, energies - energies[-1], forces)
    return curves


def curve_of(potential: Potential, like: Curve) -> Curve:
    """What a potential says at the same distances."""
    pairs = [Atoms([like.symbol] * 2, [(0, 0, 0), (distance, 0, 0)]) for distance in like.distances]
    predictions = potential.predict(pairs, stress=False)
    energies = np.array([float(prediction.energy) for prediction in predictions])
    forces = np.array([float(prediction.forces[1, 0]) for prediction in predictions])  # type: ignore[index]
    return Curve(like.symbol, like.distances, energies - energies[-1], forces)


def potential_of(name: str) -> Potential:
    """A model by its name or path, without its repulsion where the name asks for that, and without references."""
    without = name.endswith("-without")
    model = load_pretrained(name.removesuffix("-without")).double().model
    if without:
        model.repulsion = None
    return Potential(model)


def add_row(table: Table, name: str, curves: Mapping[str, Curve], known: Mapping[str, Curve]) -> None:
    """One model, over all elements that it has."""
    ratios = np.array([curve.wall / known[symbol].wall for symbol, curve in curves.items()])
    table.add_row(
        name,
        str(len(curves)),
        str(sum(curve.has_hole for curve in curves.values())),
        f"{np.median(ratios):.2f} ({np.quantile(ratios, 0.1):.2f} to {np.quantile(ratios, 0.9):.2f})",
        f"{np.mean([curve.flips for curve in curves.values()]):.1f}",
    )


def draw(file: Path, curves: Mapping[str, Mapping[str, Curve]], symbols: Sequence[str] = SHOWN) -> None:
    """Some elements, every model in one frame with PBE."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    for axes, symbol in zip(figure.subplots(2, 3).flat, symbols, strict=True):
        for name, by_element in curves.items():
            if symbol in by_element:
                curve = by_element[symbol]
                axes.plot(curve.distances, curve.energies, "k-" if name == "PBE" else "-", label=name, lw=1.5)
        axes.set(title=f"{symbol}–{symbol}", xlabel="distance, Å", ylabel="energy, eV", ylim=(-12, 40))
        axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    fullest = max(figure.axes, key=lambda axes: len(axes.lines))
    figure.legend(*fullest.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
    figure.savefig(file, dpi=150)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Curve]]:
    """Read the command line, compute, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="diatomics-dft.json.gz")
    parser.add_argument("models", nargs="+", help="a name, a path, or either with -without")
    parser.add_argument("--plot", type=Path, help="draw some of them there")
    options = parser.parse_args(arguments)
    known = known_curves(options.file)
    curves: dict[str, dict[str, Curve]] = {"PBE": known}
    columns = (Column("model", no_wrap=True), "elements", "with a hole", "wall / PBE's", "sign changes")
    table = Table(*columns, title=f"Pairs nearer than {NEAR:g} of touching; 10 to 90 % of elements in brackets")
    add_row(table, "PBE", known, known)
    for name in options.models:
        potential = potential_of(name)
        of_model = {
            s: curve_of(potential, curve) for s, curve in known.items() if atomic_numbers[s] in potential.model.elements
        }
        add_row(table, name, of_model, known)
        curves[name] = of_model
    console = Console()
    console.print(table)
    for name, of_model in curves.items():
        holes = sorted((curve for curve in of_model.values() if curve.has_hole), key=lambda curve: -curve.hole_depth)
        told = [f"{curve.symbol} {curve.hole_depth:.1f} behind {curve.barrier:.1f}" for curve in holes]
        console.print(f"{name}, how deep, in eV: {', '.join(told) or 'no hole'}")
    if options.plot:
        draw(options.plot, curves)
    return curves


if __name__ == "__main__":
    main()
