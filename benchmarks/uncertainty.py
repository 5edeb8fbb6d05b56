"""Are the uncertainties of a model as large as its errors? On labelled frames that it was not trained on.

    python benchmarks/uncertainty.py gptff-universal data/teacher --part test --formulas unseen.txt --frames 1500
    python benchmarks/uncertainty.py gptff-universal mlearn/Ni/test.json mlearn/Si/test.json --align

prints, for each of the data, mean absolute errors and mean uncertainties, of energies for each atom and of the
components of forces, which part of the errors lies within one and within 1.96 standard deviations, 68 % and 95 % if
errors were normal, and Spearman's rank correlation of uncertainties and errors. ``--align`` takes their mean off the
errors of the energies first, for data of one element that count energies from another reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from torch_gptff import CrystalData, Potential, load_pretrained
from torch_gptff.datasets import Source, read_sources
from torch_gptff.evaluation.calibration import SILENT
from torch_gptff.graph.formula import reduced_formula

Values = NDArray[np.float64]


def sampled(data: str, part: str | None, formulas: set[str] | None, number: int) -> list[CrystalData]:
    """Up to this many frames, at random, in the order of the data."""

    def wanted() -> Iterator[CrystalData]:
        for frame in read_sources([Source(data)]):
            is_of_part = part is None or frame.split == part
            if is_of_part and (formulas is None or reduced_formula(frame.z.numpy()) in formulas):
                yield frame

    frames = list(wanted())
    chosen = np.random.default_rng(0).permutation(len(frames))[:number]
    return [frames[place] for place in np.sort(chosen)]


def errors_and_deviations(
    potential: Potential, frames: list[CrystalData], align: bool
) -> tuple[tuple[Values, Values], tuple[Values, Values]]:
    """Of energies for each atom, meV, and of components of forces, meV/Å."""
    predictions = potential.predict(frames, stress=False, energy_std=True, forces_std=True)
    sizes = np.array([len(frame.z) for frame in frames])
    energy = np.array([p.energy.item() - f.energy.item() for p, f in zip(predictions, frames, strict=True)]) / sizes
    energy -= energy.mean() if align else 0.0
    energy_std = np.array([p.energy_std.item() for p in predictions]) / sizes
    force = np.concatenate([(p.forces - f.forces).numpy().ravel() for p, f in zip(predictions, frames, strict=True)])
    force_std = np.concatenate([p.forces_std.numpy().repeat(3) for p in predictions])
    seen = (np.abs(force) > SILENT) | (force_std > SILENT)
    return (1e3 * energy, 1e3 * energy_std), (1e3 * force[seen], 1e3 * force_std[seen])


def figures(errors: Values, deviations: Values) -> list[str]:
    """A row of the table."""
    sizes = np.abs(errors)
    within = [f"{np.mean(sizes <= factor * deviations):.0%}" for factor in (1, 1.96)]
    rank = spearmanr(deviations, sizes).statistic
    return [f"{sizes.mean():.1f}", f"{deviations.mean():.1f}", *within, f"{rank:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a committee, by name or path")
    parser.add_argument("data", nargs="+", help="labelled frames, each a row")
    parser.add_argument("--part", help="the part of the files that the frames are of")
    parser.add_argument("--formulas", type=Path, help="reduced formulas that are taken, one on a line")
    parser.add_argument("--frames", type=int, default=1500, help="at most")
    parser.add_argument("--align", action="store_true", help="take the mean off the errors of the energies")
    options = parser.parse_args()

    potential = load_pretrained(options.model)
    formulas = None if options.formulas is None else set(options.formulas.read_text(encoding="utf-8").split())
    columns = ("MAE", "expected", "in 68 %", "in 95 %", "rank corr.")
    table = Table("data", "frames", "of", *columns, title=f"Errors of {options.model} and its uncertainties")
    for data in options.data:
        frames = sampled(data, options.part, formulas, options.frames)
        rows = errors_and_deviations(potential, frames, options.align)
        table.add_row(data, f"{len(frames):,}", "energy, meV/atom", *figures(*rows[0]))
        table.add_row("", "", "forces, meV/Å", *figures(*rows[1]))
    Console().print(table)


if __name__ == "__main__":
    main()
