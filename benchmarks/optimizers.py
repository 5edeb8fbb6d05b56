"""Force calls that optimisers need to relax sixty crystals, positions and cells.

    python benchmarks/optimizers.py --model gptff-universal --json optimizers.json

takes metallic, ionic, layered and molecular crystals of 1 to 108 atoms (``crystals.py``), with their atoms off their
places and their cells strained, and relaxes each with every optimiser, to the same convergence. It prints force calls,
the number of crystals that did not converge, and how many of those that did are at the lowest minimum that any
optimiser found, by their energy, and by their energy and volume. The strain of the cell is a coordinate times the
number of atoms, as in ASE's filters, but for LBFGS, which scales it to the stiffness of the cell, and those of ASE that
have coordinates of their own. A run that was stopped goes on where its JSON file ends.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.filters import UnitCellFilter
from ase.optimize import BFGS, LBFGS, BFGSLineSearch
from ase.optimize.cellawarebfgs import CellAwareBFGS
from ase.optimize.precon import PreconLBFGS
from crystals import KINDS, sixty_crystals
from rich.console import Console
from rich.table import Table

from torch_gptff import Potential, __version__, load_pretrained
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import GPTFFError
from torch_gptff.io.files import written_atomically
from torch_gptff.workflows import OPTIMIZERS
from torch_gptff.workflows.cell_filter import CellFilter
from torch_gptff.workflows.relax import RelaxationRun, RelaxationSettings

SAME_ENERGY = 2e-3
"""eV/atom: a minimum no farther above the lowest counts as the same, where ..."""

SAME_VOLUME = 0.01
"""... its volume is the same to one per cent, too."""


class CountingCalculator(GPTFFCalculator):
    """Counts its calls."""

    calls = 0

    def calculate(self, *arguments: Any, **options: Any) -> None:
        self.calls += 1
        super().calculate(*arguments, **options)


def cell_aware(target: Any, logfile: None = None) -> Any:
    """ASE's CellAwareBFGS, which expects the strain itself as a coordinate."""
    if not isinstance(target, CellFilter):
        return BFGS(target, logfile=logfile)
    target.scale = target.exp_cell_factor = 1.0
    return CellAwareBFGS(target, logfile=logfile)


def preconditioned(target: Any, logfile: None = None) -> Any:
    """ASE's preconditioned L-BFGS, in the coordinates that its preconditioner knows."""
    if isinstance(target, CellFilter):
        target = UnitCellFilter(target.atoms)
    return PreconLBFGS(target, logfile=logfile, precon="Exp")


CONTENDERS: dict[str, Any] = {
    "FIRE": OPTIMIZERS["FIRE"],
    "LBFGS": OPTIMIZERS["LBFGS"],
    "LBFGS of ASE": LBFGS,
    "BFGS": BFGS,
    "BFGSLineSearch": BFGSLineSearch,
    "CellAwareBFGS": cell_aware,
    "PreconLBFGS": preconditioned,
}


def relaxed(atoms: Atoms, potential: Potential, name: str, max_steps: int) -> dict[str, Any]:
    """Force calls, energy and volume per atom, whether it has converged, and processor time of one relaxation."""
    calculator = CountingCalculator(potential)
    started = time.process_time()
    result: dict[str, Any] = {"energy": None, "volume": None, "converged": False}
    try:
        run = RelaxationRun(atoms, calculator, RelaxationSettings(optimizer=name, max_steps=max_steps))
        run.look()
        while not run.is_over and calculator.calls < 2 * max_steps:
            run.advance()
            run.look()
        relaxation = run.result()
        result = {
            "energy": relaxation.energy / len(atoms),
            "volume": relaxation.final.get_volume() / len(atoms),
            "converged": relaxation.converged,
            "remarks": list(relaxation.remarks),
        }
    except (GPTFFError, RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        result["remarks"] = [f"{type(error).__name__}: {error}"[:200]]
    return {**result, "calls": calculator.calls, "processor_s": time.process_time() - started}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gptff-universal")
    parser.add_argument("--optimizers", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--crystals", nargs="+", help="names; all by default")
    parser.add_argument("--max-steps", type=int, default=500)
    parser.add_argument("--json", type=Path, help="results; what it has already is not computed again")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    potential = load_pretrained(options.model).float()
    crystals = sixty_crystals()
    chosen = options.crystals or list(crystals)
    settings = {"model": options.model, "max_steps": options.max_steps, "version": __version__}
    document = started_before(options.json, settings)
    own = dict(OPTIMIZERS)
    try:
        OPTIMIZERS.update({name: CONTENDERS[name] for name in options.optimizers})
        for crystal, name in product(chosen, options.optimizers):
            found = document["results"].setdefault(name, {})
            if crystal in found:
                continue
            kind, atoms = crystals[crystal]
            found[crystal] = {"kind": kind, **relaxed(atoms, potential, name, options.max_steps)}
            if options.json:
                with written_atomically(options.json) as temporary:
                    temporary.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        OPTIMIZERS.clear()
        OPTIMIZERS.update(own)
    show(document, options.optimizers, chosen)


def started_before(path: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The results that a file has already, made with the same settings; none where there is no file."""
    if path is None or not path.exists():
        return {**settings, "results": {}}
    document: dict[str, Any] = json.loads(path.read_text())
    if {key: document.get(key) for key in settings} != settings:
        raise SystemExit(f"{path} has results of other settings than {settings}: name another file")
    return document


def at_the_best(results: dict[str, dict[str, Any]], crystal: str) -> dict[str, tuple[bool, bool]]:
    """Whether each optimiser that converged is at the lowest minimum of a crystal: by energy, and by volume too."""
    minima = {name: found[crystal] for name, found in results.items() if found[crystal]["converged"]}
    if not minima:
        return {}
    best = min(minima.values(), key=lambda each: each["energy"])
    is_best = {}
    for name, each in minima.items():
        same_energy = each["energy"] - best["energy"] <= SAME_ENERGY
        is_best[name] = (same_energy, same_energy and abs(each["volume"] / best["volume"] - 1) <= SAME_VOLUME)
    return is_best


def show(document: dict[str, Any], optimizers: Sequence[str], crystals: Sequence[str]) -> None:
    """Print a row for each optimiser."""
    results = {name: {crystal: document["results"][name][crystal] for crystal in crystals} for name in optimizers}
    table = Table(title=f"Force calls to relax {len(crystals)} crystals, {document['model']}")
    table.add_column("optimiser")
    columns = ("all", "median", *KINDS, "LiFePO4", "not converged", "lowest energy", "and volume", "processor, s")
    for column in columns:
        table.add_column(column, justify="right")
    best = [at_the_best(results, crystal) for crystal in crystals]
    for name, found in results.items():
        calls = [each["calls"] for each in found.values()]
        places = [each[name] for each in best if name in each]
        table.add_row(
            name,
            f"{sum(calls):,}",
            f"{np.median(calls):g}",
            *(f"{sum(each['calls'] for each in found.values() if each['kind'] == kind):,}" for kind in KINDS),
            str(found["LiFePO4"]["calls"]) if "LiFePO4" in found else "",
            str(sum(not each["converged"] for each in found.values())),
            str(sum(energy for energy, _ in places)),
            str(sum(volume for _, volume in places)),
            f"{sum(each['processor_s'] for each in found.values()):.0f}",
        )
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
