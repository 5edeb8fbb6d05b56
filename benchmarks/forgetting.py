"""What fine-tuning gains on new frames, and what it loses of what the model knew.

    python benchmarks/forgetting.py lgps.extxyz --known acwf --known mlearn --frames 50 200 1000 \
        --out forgetting --json forgetting.json
    python benchmarks/forgetting.py alloy.extxyz --frames 50 --methods plain replay

For every method and number of frames: mean absolute errors on frames that are held out of the new data, before and
after; and on ``--known``, labelled frames of any format, or a dataset by name. The model itself is known, too: its
forces and stresses on 71 elemental crystals of ASE's collection ``dcdft``, with atoms moved by 0.05 Å, before and
after. Energies are compared after a fit of the elements' energies. Every method sees each frame equally often, and a
run takes as many steps of new frames whatever their number (``--seen``).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table

from torch_gptff import CrystalData, Potential, load, load_pretrained
from torch_gptff.datasets import NAMED, named_sources, open_dataset
from torch_gptff.datasets.extxyz import write_extxyz
from torch_gptff.evaluation import evaluate
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.config import merged
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "replay": {"data": {"replay": ["universal"], "replay_fraction": 0.5}},
    "LoRA": {"model": {"lora": 8}, "optimizer": {"lr": 2e-3}},
    "layer decay": {"model": {"layer_decay": 0.5}},
    "replay and layer decay": {
        "model": {"layer_decay": 0.5},
        "data": {"replay": ["universal"], "replay_fraction": 0.5},
    },
}
ITSELF = "the model itself"
COLUMNS = {"energy": "energy, meV/atom", "forces": "forces, meV/Å", "stress": "stress, GPa"}

Errors = dict[str, float | None]


@dataclass(frozen=True)
class Knowledge:
    """What a model is judged by.

    Attributes:
        new: frames that are held out of the new data
        known: labelled frames by the name of their data
        crystals: crystals on which the model itself was asked before
        forces: its forces on them, eV/Å, ``[N, 3]`` each
        stresses: its stresses, eV/Å³, ``[1, 3, 3]`` each
    """

    new: Sequence[CrystalData]
    known: Mapping[str, Sequence[CrystalData]]
    crystals: Sequence[Atoms]
    forces: Sequence[torch.Tensor]
    stresses: Sequence[torch.Tensor]

    @classmethod
    def of(
        cls, potential: Potential, new: Sequence[CrystalData], known: Mapping[str, Sequence[CrystalData]]
    ) -> Knowledge:
        """That of a potential before it is trained further."""
        crystals = [atoms for atoms in elemental_crystals() if set(atoms.numbers) <= potential.model.elements]
        found = potential.predict(crystals)
        return cls(new, known, crystals, [each.forces for each in found], [each.stress for each in found])

    def errors(self, potential: Potential) -> dict[str, Errors]:
        """Mean absolute errors, by what they are of."""
        return {
            "new": mean_errors(potential, self.new),
            **{name: mean_errors(potential, frames) for name, frames in self.known.items()},
            ITSELF: self._changes(potential),
        }

    def _changes(self, potential: Potential) -> Errors:
        found = potential.predict(self.crystals)
        forces = [(each.forces - old).abs().flatten() for each, old in zip(found, self.forces, strict=True)]
        stresses = [(each.stress - old).abs().flatten() for each, old in zip(found, self.stresses, strict=True)]
        return {
            "energy": None,
            "forces": 1e3 * float(torch.cat(forces).mean()),
            "stress": GPA_PER_EV_PER_ANGSTROM3 * float(torch.cat(stresses).mean()),
        }


def elemental_crystals() -> Iterator[Atoms]:
    """The crystals of ASE's collection ``dcdft``, with atoms moved by 0.05 Å along each axis."""
    from ase.collections import dcdft

    for number, name in enumerate(sorted(dcdft.names)):
        atoms = dcdft[name]
        crystal = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        crystal = crystal.repeat(2) if len(crystal) < 2 else crystal
        crystal.rattle(0.05, seed=number)
        yield crystal


def mean_errors(potential: Potential, frames: Sequence[CrystalData]) -> Errors:
    """Mean absolute errors in the units of :data:`COLUMNS`; those of energies after a fit of elements' energies."""
    evaluation = evaluate(potential, frames, energy_shift="elements")
    mae = (evaluation.aligned or evaluation).mae
    values = (mae.energy_per_atom, 1e3), (mae.forces, 1e3), (mae.stress, GPA_PER_EV_PER_ANGSTROM3)
    return {
        name: None if value is None else float(factor * value)
        for name, (value, factor) in zip(COLUMNS, values, strict=True)
    }


def sampled(data: str, number: int, max_atoms: int, elements: Iterable[int]) -> list[CrystalData]:
    """Up to this many frames at random, of known elements and not too large."""
    is_named = data in NAMED and not Path(data).exists()
    frames = open_dataset(named_sources(data) if is_named else data)
    known = set(elements)
    chosen: list[CrystalData] = []
    for place in np.random.default_rng(0).permutation(len(frames)).tolist():
        frame = frames[place]
        if len(frame.z) <= max_atoms and known.issuperset(frame.z.tolist()):
            chosen.append(frame)
        if len(chosen) == number:
            break
    return chosen


def tuned(method: str, data: Path, number: int, out: Path, options: argparse.Namespace) -> tuple[Potential, float]:
    """The model fine-tuned by a method on a file of so many frames, and the seconds that it took."""
    settings: dict[str, Any] = {
        "preset": "fine-tune",
        "model": {"checkpoint": options.model},
        "data": {"train": [str(data)], "split": "random", "validation_fraction": 0.1},
        "epochs": max(1, round(options.seen / number)),
    }
    start = time.perf_counter()
    run = train(TrainingConfig.from_dict(merged(settings, METHODS[method])), out, report=False)
    return load(run.best), time.perf_counter() - start


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """One table for each thing that is judged."""
    console = Console()
    for name in rows[0]["before"]:
        title = "held-out frames of the new data" if name == "new" else name
        table = Table("method", "frames", title=f"Mean absolute errors before → after: {title}")
        units = {key: unit for key, unit in COLUMNS.items() if rows[0]["before"][name][key] is not None}
        for unit in units.values():
            table.add_column(unit, justify="right")
        table.add_column("seconds", justify="right")
        for row in rows:
            cells = [f"{row['before'][name][key]:.4g} → {row['after'][name][key]:.4g}" for key in units]
            table.add_row(row["method"], f"{row['frames']:,}", *cells, f"{row['seconds']:.0f}")
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Fine-tune by every method, and print what is gained and lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="new labelled frames, of any format, or a dataset by name")
    parser.add_argument("--known", action="append", default=[], help="labelled frames that the model should still know")
    parser.add_argument("--model", default="gptff-universal", help="a checkpoint, by name or path")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--frames", nargs="+", type=int, default=[50, 200, 1000], help="numbers of new frames")
    parser.add_argument("--seen", type=int, default=4000, help="new frames that a run sees, passes times frames")
    parser.add_argument("--test", type=int, default=200, help="frames of each data to evaluate on")
    parser.add_argument("--max-atoms", type=int, default=200, help="largest number of atoms of a frame")
    parser.add_argument("--out", type=Path, default=Path("forgetting"), help="folder of the runs")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    options = parser.parse_args(arguments)

    potential = load_pretrained(options.model)
    elements = potential.model.elements
    frames = sampled(options.data, options.test + max(options.frames), options.max_atoms, elements)
    left = len(frames) - options.test
    if left < max(options.frames):
        parser.error(f"{options.data} has {max(left, 0)} frames beside the {options.test} of --test")
    known = {data: sampled(data, options.test, options.max_atoms, elements) for data in options.known}
    knowledge = Knowledge.of(potential, frames[: options.test], known)
    before = knowledge.errors(potential)
    rows = []
    for number in options.frames:
        data = options.out / f"frames-{number}.extxyz"
        write_extxyz(data, frames[options.test : options.test + number])
        for method in options.methods:
            model, seconds = tuned(method, data, number, options.out / f"{method}-{number}".replace(" ", "-"), options)
            rows.append(
                {
                    "method": method,
                    "frames": number,
                    "seconds": seconds,
                    "before": before,
                    "after": knowledge.errors(model),
                }
            )
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    show(rows)
    return rows


if __name__ == "__main__":
    main()
