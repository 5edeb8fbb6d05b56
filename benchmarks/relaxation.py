"""Relaxation of small crystals: one by one, and side by side in batches with one call of the model a step.

    python benchmarks/relaxation.py --model gptff_v1.pth --structures wbm-random-pbe52-equilibrium-2025.1.json.gz \
        --number 200 --threads 2 --json relaxation.json

takes the first crystals of at most ``--most-atoms`` atoms of a file of pymatgen structures (a JSON list, each with
``structure``; that of matcalc's benchmark data), strains and rattles them, and relaxes positions and cells both ways.
It prints both times, on the clock and of the processor, which other programs on the machine do not change, and how far
apart the minima are. With ``--matcalc`` the ``RelaxCalc`` of matcalc, where it is installed, relaxes them one by one
too, with the same model and its own optimiser.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table

from torch_gptff import Potential, load_pretrained
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.workflows import Relaxation, relax, relax_many

T = TypeVar("T")


def crystals(path: Path, number: int, most_atoms: int) -> list[Atoms]:
    """The first small crystals of a file, strained by about 2 % and rattled by 0.05 Å."""
    from pymatgen.core import Structure

    data = path.read_bytes()
    entries = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    found: list[Atoms] = []
    random = np.random.default_rng(0)
    for entry in entries:
        structure = Structure.from_dict(entry["structure"])
        if len(structure) > most_atoms or len(found) == number:
            continue
        atoms = Atoms(
            numbers=[site.specie.Z for site in structure],
            cell=structure.lattice.matrix,
            scaled_positions=structure.frac_coords,
            pbc=True,
        )
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * random.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(0.05, seed=len(found))
        found.append(atoms)
    return found


def timed(work: Callable[[], list[T]]) -> tuple[list[T], float, float]:
    """What came of it, seconds on the clock, and seconds of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - clock, time.process_time() - processor


def by_matcalc(structures: Sequence[Atoms], potential: Potential, fmax: float, max_steps: int) -> list[dict[str, Any]]:
    """What matcalc's ``RelaxCalc`` gives for each, positions and cell relaxed by FIRE."""
    from matcalc import RelaxCalc

    calculator = RelaxCalc(
        GPTFFCalculator(potential), fmax=fmax, max_steps=max_steps, relax_atoms=True, relax_cell=True
    )
    return [calculator.calc(atoms) for atoms in structures]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gptff-v1")
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--most-atoms", type=int, default=12)
    parser.add_argument("--max-atoms", type=int, default=256, help="of a batch")
    parser.add_argument("--fmax", type=float, default=0.05)
    parser.add_argument("--max-steps", type=int, default=300)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--matcalc", action="store_true", help="relax by matcalc too (pip install matcalc)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    potential = load_pretrained(options.model).to(options.device, getattr(torch, options.dtype))
    structures = crystals(options.structures, options.number, options.most_atoms)
    how: dict[str, Any] = {"fmax": options.fmax, "max_steps": options.max_steps}
    potential.predict(structures[:2])  # compiles what is compiled on first use

    def side_by_side() -> list[Relaxation]:
        found = dict(relax_many(structures, potential, max_atoms=options.max_atoms, **how))
        return [found[number] for number in range(len(structures))]

    def one_by_one() -> list[Relaxation]:
        calculator = GPTFFCalculator(potential, device=options.device)
        return [relax(atoms, calculator, **how) for atoms in structures]

    together, *of_together = timed(side_by_side)
    alone, *of_alone = timed(one_by_one)
    differences = np.array(
        [abs(one.energy - two.energy) / len(one.final) for one, two in zip(together, alone, strict=True)]
    )
    document = {
        "structures": len(structures),
        "atoms": sum(len(atoms) for atoms in structures),
        "steps_one_by_one": sum(each.n_steps for each in alone),
        "steps_together": sum(each.n_steps for each in together),
        "converged_one_by_one": sum(each.converged for each in alone),
        "converged_together": sum(each.converged for each in together),
        "clock_s": {"one by one": of_alone[0], "side by side": of_together[0]},
        "processor_s": {"one by one": of_alone[1], "side by side": of_together[1]},
        "ratio_clock": of_alone[0] / of_together[0],
        "ratio_processor": of_alone[1] / of_together[1],
        "median_difference_meV_per_atom": 1000 * float(np.median(differences)),
        "differ_by_more_than_1_meV_per_atom": int((differences > 1e-3).sum()),
    }
    if options.matcalc:
        _, *of_matcalc = timed(lambda: by_matcalc(structures, potential, options.fmax, options.max_steps))
        for kind, seconds in zip(("clock", "processor"), of_matcalc, strict=True):
            document[f"{kind}_s"]["matcalc"] = seconds
            document[f"ratio_{kind}_matcalc"] = seconds / document[f"{kind}_s"]["side by side"]
    _show(document, options)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _show(document: dict[str, Any], options: argparse.Namespace) -> None:
    title = (
        f"{document['structures']} crystals, {document['atoms']} atoms; {options.model}, {options.dtype}, "
        f"{options.device}, {options.threads} threads"
    )
    table = Table(title=title)
    for column in ("", "clock, s", "processor, s", "steps", "converged"):
        table.add_column(column, justify="left" if not column else "right")
    for name, key in (("one by one", "one_by_one"), ("side by side", "together")):
        table.add_row(
            name,
            f"{document['clock_s'][name]:.1f}",
            f"{document['processor_s'][name]:.1f}",
            str(document[f"steps_{key}"]),
            str(document[f"converged_{key}"]),
        )
    table.add_row("ratio", f"{document['ratio_clock']:.2f}", f"{document['ratio_processor']:.2f}", "", "")
    if "matcalc" in document["clock_s"]:
        seconds = (document[f"{kind}_s"]["matcalc"] for kind in ("clock", "processor"))
        table.add_row("matcalc, one by one", *(f"{each:.1f}" for each in seconds), "", "")
        ratios = (document[f"ratio_{kind}_matcalc"] for kind in ("clock", "processor"))
        table.add_row("ratio", *(f"{each:.2f}" for each in ratios), "", "")
    console = Console()
    console.print(table)
    console.print(
        f"energies apart by {document['median_difference_meV_per_atom']:.2g} meV/atom in the median, by more than "
        f"1 meV/atom in {document['differ_by_more_than_1_meV_per_atom']}"
    )


if __name__ == "__main__":
    main()
