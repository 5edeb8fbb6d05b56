"""Force calls that optimisers need to relax sixty crystals, positions and cells.

    python benchmarks/optimizers.py --model gptff-universal --json optimizers.json

takes metallic, ionic, layered and molecular crystals of 1 to 108 atoms (``crystals.py``), with their atoms off their
places and their cells strained, and relaxes each with every optimiser, to the same convergence. It prints force calls,
the number of crystals that did not converge, and how many energies are lower than, the same as and higher than those of
the first optimiser. The strain of the cell is a coordinate times the number of atoms, as in ASE's filters, but for
LBFGS, which scales it to the stiffness of the cell, and those of ASE that have coordinates of their own.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
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

from torch_gptff import Potential, load_pretrained
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import GPTFFError
from torch_gptff.workflows import OPTIMIZERS
from torch_gptff.workflows.cell_filter import CellFilter
from torch_gptff.workflows.relax import RelaxationRun, RelaxationSettings

SAME = 2e-3
"""eV/atom: minima that are no farther apart count as the same."""


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
    """Force calls, energy per atom, whether it has converged, and processor time of one relaxation."""
    calculator = CountingCalculator(potential)
    started = time.process_time()
    result: dict[str, Any] = {"energy": float("nan"), "converged": False}
    try:
        run = RelaxationRun(atoms, calculator, RelaxationSettings(optimizer=name, max_steps=max_steps))
        run.look()
        while not run.is_over and calculator.calls < 2 * max_steps:
            run.advance()
            run.look()
        relaxation = run.result()
        result = {"energy": relaxation.energy / len(atoms), "converged": relaxation.converged}
        result["remarks"] = list(relaxation.remarks)
    except (GPTFFError, RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        result["remarks"] = [f"{type(error).__name__}: {error}"[:200]]
    return {**result, "calls": calculator.calls, "processor_s": time.process_time() - started}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gptff-universal")
    parser.add_argument("--optimizers", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--crystals", nargs="+", help="names; all by default")
    parser.add_argument("--max-steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    potential = load_pretrained(options.model).float()
    crystals = sixty_crystals()
    chosen = options.crystals or list(crystals)
    document: dict[str, Any] = {"model": options.model, "results": {}}
    own = dict(OPTIMIZERS)
    try:
        for name in options.optimizers:
            OPTIMIZERS[name] = CONTENDERS[name]
            document["results"][name] = {
                crystal: {
                    "kind": crystals[crystal][0],
                    **relaxed(crystals[crystal][1], potential, name, options.max_steps),
                }
                for crystal in chosen
            }
            if options.json:
                options.json.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        OPTIMIZERS.clear()
        OPTIMIZERS.update(own)
    show(document)


def show(document: dict[str, Any]) -> None:
    """Print a row for each optimiser."""
    results = document["results"]
    first = next(iter(results.values()))
    table = Table(title=f"Force calls to relax {len(first)} crystals, {document['model']}")
    table.add_column("optimiser")
    for column in ("all", "median", *KINDS, "LiFePO4", "not converged", "lower", "same", "higher", "processor, s"):
        table.add_column(column, justify="right")
    for name, found in results.items():
        calls = [each["calls"] for each in found.values()]
        apart = [each["energy"] - first[crystal]["energy"] for crystal, each in found.items()]
        table.add_row(
            name,
            str(sum(calls)),
            f"{np.median(calls):g}",
            *(str(sum(each["calls"] for each in found.values() if each["kind"] == kind)) for kind in KINDS),
            str(found["LiFePO4"]["calls"]) if "LiFePO4" in found else "",
            str(sum(not each["converged"] for each in found.values())),
            str(sum(each < -SAME for each in apart)),
            str(sum(abs(each) <= SAME for each in apart)),
            str(sum(each > SAME for each in apart)),
            f"{sum(each['processor_s'] for each in found.values()):.0f}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
