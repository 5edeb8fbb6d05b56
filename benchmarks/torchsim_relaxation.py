"""Relaxation of crystals in TorchSim, and by ``relax_many``, to the same criterion.

    python benchmarks/torchsim_relaxation.py --number 100 --optimizers fire lbfgs --json torchsim.json

Made-up crystals of 1 to 8 atoms, or with ``--structures`` those of a file of ``relaxation.py``, strained and rattled,
are relaxed with their cells until no atom feels more than ``--fmax`` and no component of the stress is larger than
``--smax``. Both get the same potential and batches of as many atoms. It prints times, on the clock and of the
processor, which other programs on the machine do not change; how often a structure was evaluated; and how far the
minima are from those of ``relax_many`` with its default optimiser. Needs Python 3.12:
``pip install 'torch-gptff[torchsim]'``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from relaxation import crystals, timed
from rich.console import Console
from rich.table import Table
from screening import made_up

from torch_gptff import Potential, load_pretrained
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import Relaxation, relax_many

OURS = {"fire": "FIRE", "lbfgs": "LBFGS"}
"""Optimisers of ``relax_many`` by the names of TorchSim's"""


@dataclass(frozen=True)
class Minima:
    """What came of all crystals.

    Attributes:
        energies: eV per atom
        volumes: Å³ per atom
        converged: whether each did
        evaluations: of one crystal by the model, of all crystals together
    """

    energies: np.ndarray
    volumes: np.ndarray
    converged: np.ndarray
    evaluations: int


def by_relax_many(
    structures: Sequence[Atoms], potential: Potential, optimizer: str, options: argparse.Namespace
) -> Minima:
    """Of this package.

    Raises:
        GPTFFError: a crystal cannot be relaxed.
    """
    criterion = {"fmax": options.fmax, "smax": options.smax / GPA_PER_EV_PER_ANGSTROM3, "max_steps": options.max_steps}
    ended = dict(relax_many(structures, potential, optimizer=OURS[optimizer], max_atoms=options.max_atoms, **criterion))
    found: list[Relaxation] = []
    for number in range(len(structures)):
        relaxed = ended[number]
        if not isinstance(relaxed, Relaxation):
            raise relaxed
        found.append(relaxed)
    return Minima(
        np.array([each.energy / len(each.final) for each in found]),
        np.array([each.final.get_volume() / len(each.final) for each in found]),
        np.array([each.converged for each in found]),
        sum(each.n_steps + 1 for each in found),
    )


def by_torchsim(
    structures: Sequence[Atoms], potential: Potential, optimizer: str, options: argparse.Namespace
) -> Minima:
    """Of TorchSim, which looks after every step whether a crystal has converged."""
    import torch_sim as ts

    from torch_gptff.calculators.torchsim import GPTFFModel

    model = GPTFFModel(potential, device="cpu")
    evaluations = 0

    def count(_: Any, arguments: tuple[Any, ...], __: Any) -> None:
        nonlocal evaluations
        evaluations += arguments[0].n_systems

    model.register_forward_hook(count)
    smax = options.smax / GPA_PER_EV_PER_ANGSTROM3

    def has_converged(state: Any, _: Any = None) -> torch.Tensor:
        stress = state.stress.abs().flatten(1).amax(dim=1)
        found: torch.Tensor = (ts.system_wise_max_force(state) <= options.fmax) & (stress <= smax)
        return found

    batcher = ts.InFlightAutoBatcher(model, memory_scales_with="n_atoms", max_memory_scaler=options.max_atoms)
    final = ts.optimize(
        system=list(structures),
        model=model,
        optimizer=ts.Optimizer(optimizer),
        convergence_fn=has_converged,
        init_kwargs={"cell_filter": ts.CellFilter.frechet},
        autobatcher=batcher,
        steps_between_swaps=1,
        max_steps=options.max_steps,
    )
    n_atoms = np.array([len(atoms) for atoms in structures])
    volumes = torch.linalg.det(final.cell).abs().numpy()
    return Minima(final.energy.numpy() / n_atoms, volumes / n_atoms, has_converged(final).numpy(), evaluations)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gptff-universal")
    parser.add_argument("--structures", type=Path, help="see relaxation.py; by default made-up crystals")
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--most-atoms", type=int, default=12, help="of a crystal from a file")
    parser.add_argument("--max-atoms", type=int, default=256, help="of a batch")
    parser.add_argument("--optimizers", nargs="+", choices=tuple(OURS), default=list(OURS))
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å")
    parser.add_argument("--smax", type=float, default=0.1, help="GPa")
    parser.add_argument("--max-steps", type=int, default=500)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of the model")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    potential = load_pretrained(options.model).to(getattr(torch, options.dtype))
    if options.structures:
        structures = crystals(options.structures, options.number, options.most_atoms)
    else:
        structures = list(made_up(options.number))
    potential.predict(structures[:2])  # compiles what is compiled on first use

    ways: dict[str, Callable[..., Minima]] = {"relax_many": by_relax_many, "TorchSim": by_torchsim}
    rows: list[dict[str, Any]] = []
    reference: Minima | None = None
    for optimizer in reversed(options.optimizers):
        for name, way in ways.items():
            found, clock, processor = timed(lambda o=optimizer, w=way: [w(structures, potential, o, options)])
            (minima,) = found
            reference = reference or minima
            apart = 1000 * abs(minima.energies - reference.energies)
            rows.append(
                {
                    "": f"{name}, {optimizer}",
                    "CPU s": processor,
                    "clock s": clock,
                    "evaluations": minima.evaluations,
                    "CPU ms each": 1000 * processor / minima.evaluations,
                    "converged": int(minima.converged.sum()),
                    "median apart, meV/atom": float(np.median(apart)),
                    "largest apart, meV/atom": float(apart.max()),
                    "largest in volume, %": float(100 * abs(minima.volumes / reference.volumes - 1).max()),
                }
            )
    n_atoms = sum(len(atoms) for atoms in structures)
    table = Table(*rows[0], title=f"{len(structures)} crystals, {n_atoms} atoms; {options.model}, {options.dtype}")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=180).print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return rows


if __name__ == "__main__":
    main()
