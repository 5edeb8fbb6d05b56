"""What models learn of a target beyond the energy in the same CPU time, beside a constant guess.

    python benchmarks/targets.py train moments.extxyz --atoms moment --seconds 60 --seeds 0 1 2 --out targets.jsonl
    python benchmarks/targets.py train gaps.extxyz --structures gap --seconds 60 --seeds 0 1 2 --out targets.jsonl
    python benchmarks/targets.py show targets.jsonl

`target_frames.py` makes the two files. Models are built by name with their own defaults (GPTFF, SchNet, DimeNet++,
ViSNet), and `readout="mean"` for a number of a structure. They learn absolute errors of the target less its mean, in
units of its spread among the training frames, from batches of eight frames, on one thread, with a cosine from the
learning rate to zero and a moving average of the weights. Errors are means over the values of the part `--part`, of
formulas and molecules that are not trained on. The constant guesses are the median of the training frames and, for
numbers of atoms, the median of each element.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.io import read
from small_data import batches, commands_of, rows_of, run_or_show, spread
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch_geometric.data import Data

from torch_gptff import CrystalData
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.models import GPTFF, DimeNetPlusPlus, SchNet, ViSNet
from torch_gptff.training import Muon
from torch_gptff.training.muon import matrices_apart

MODELS: dict[str, Callable[..., Any]] = {
    "gptff": GPTFF, "schnet": SchNet, "dimenet++": DimeNetPlusPlus, "visnet": ViSNet,
}  # fmt: skip
BATCH = 8
EMA = 0.99


def graphs_of(path: Path, model: Any, key: str, of_atoms: bool) -> dict[str, list[Data]]:
    """Graphs with their target ``y``, ``[N]`` or ``[1]``, of each part."""
    parts: dict[str, list[Data]] = {}
    for atoms in read(path, ":"):
        graph = model.build_graph(CrystalData.from_ase(atoms))
        graph.y = torch.as_tensor(np.atleast_1d(atoms.arrays[key] if of_atoms else atoms.info[key]))
        parts.setdefault(atoms.info["split"], []).append(graph)
    return parts


def predicted(model: Any, batch: Data, of_atoms: bool) -> Tensor:
    """The target by the model, ``[N]`` or ``[B]``."""
    vectors = bond_vectors(batch).float()
    return model.atomic_energies(batch, vectors) if of_atoms else model.outputs(batch, vectors).squeeze(-1)


def optimizer_of(model: nn.Module, name: str, lr: float) -> torch.optim.Optimizer:
    """AdamW, or Muon for matrices."""
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr)
    return Muon(matrices_apart(model, [{"params": list(model.parameters())}]), lr=lr)


def train(model: Any, graphs: Sequence[Data], options: argparse.Namespace, seed: int) -> tuple[Any, dict[str, float]]:
    """The moving average of the model of standardised targets after its CPU time, and what it used."""
    of_atoms = options.atoms is not None
    average = AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA))
    optimizer = optimizer_of(model, options.optimizer, options.lr)
    seconds, seen = 0.0, 0
    for batch in batches(graphs, BATCH, seed):
        if seconds >= options.seconds:
            break
        start = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = options.lr * (1 + math.cos(math.pi * seconds / options.seconds)) / 2
        optimizer.zero_grad()
        (predicted(model, batch, of_atoms) - batch.y).abs().mean().backward()
        optimizer.step()
        average.update_parameters(model)
        seconds += time.process_time() - start
        seen += batch.num_graphs
    return average.module, {"seconds used": seconds, "frames seen": seen}


@torch.no_grad()
def mean_absolute_error(model: Any, graphs: Sequence[Data], of_atoms: bool) -> float:
    """The error over all values of the frames."""
    differences = [(predicted(model, each, of_atoms) - each.y).abs() for each in graphs]
    return float(torch.cat(differences).mean())


def constant_guesses(parts: dict[str, list[Data]], part: str, of_atoms: bool) -> dict[str, float]:
    """Errors of the median of the training frames, and of the median of each element."""
    values, true = (torch.cat([each.y for each in parts[name]]) for name in ("train", part))
    guesses = {"constant guess": float((true - values.median()).abs().mean())}
    if of_atoms:
        z, z_true = (torch.cat([each.z for each in parts[name]]) for name in ("train", part))
        medians = {int(k): values[z == k].median() for k in z.unique()}
        of_elements = torch.stack([medians.get(int(k), values.median()) for k in z_true])
        guesses["constant guess by element"] = float((true - of_elements).abs().mean())
    return guesses


def run(options: argparse.Namespace) -> None:
    """Train what the file of results lacks."""
    torch.set_num_threads(1)
    key = options.atoms or options.structures
    of_atoms = options.atoms is not None
    known = {identity(row) for row in rows_of(options.out)}
    base: dict[str, Any] = {"target": key, "part": options.part, "seconds": options.seconds}
    for name in options.models:
        parts = graphs_of(options.data, MODELS[name](), key, of_atoms)
        values = torch.cat([each.y for each in parts["train"]])
        mean, std = float(values.mean()), float(values.std())
        guesses = constant_guesses(parts, options.part, of_atoms)
        for graph in [each for part in parts.values() for each in part]:
            graph.y = (graph.y - mean) / std
        rows = [
            {**base, "model": guess, "optimizer": "", "lr": 0.0, "seed": 0, "error": error}
            for guess, error in guesses.items()
        ]
        for seed in options.seeds:
            row = {**base, "model": name, "optimizer": options.optimizer, "lr": options.lr, "seed": seed}
            if identity(row) not in known:
                torch.manual_seed(seed)
                model, used = train(
                    MODELS[name](**({} if of_atoms else {"readout": "mean"})), parts["train"], options, seed
                )
                rows.append({**row, **used, "error": std * mean_absolute_error(model, parts[options.part], of_atoms)})
        new = [row for row in rows if identity(row) not in known]
        known |= {identity(row) for row in new}
        with options.out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in new)
        print(*new, sep="\n", flush=True)


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one result from another."""
    return tuple(row[name] for name in ("target", "part", "seconds", "model", "optimizer", "lr", "seed"))


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A line for each model: the mean over the seeds, with half the range."""
    for group in dict.fromkeys(identity(row)[:-1] for row in rows):
        own = [row for row in rows if identity(row)[:-1] == group]
        target, part, seconds, model, optimizer, lr = group
        errors = spread([row["error"] for row in own], 4) if "frames seen" in own[0] else f"{own[0]['error']:.4f}"
        with_settings = f", {optimizer} {lr:g}, {own[0]['frames seen']} frames seen" if optimizer else ""
        print(f"{target}, {part}, {seconds:g} s: {model}: {errors}{with_settings}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or show what was trained."""
    parser, training = commands_of(__doc__)
    training.add_argument("data", type=Path, help="extended XYZ with the target, and `split` of each frame")
    target = training.add_mutually_exclusive_group(required=True)
    target.add_argument("--atoms", metavar="KEY", help="a number of every atom")
    target.add_argument("--structures", metavar="KEY", help="a number of a structure that does not grow with it")
    training.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    training.add_argument("--seconds", type=float, required=True, help="CPU time of each training")
    training.add_argument("--optimizer", choices=("adamw", "muon"), default="muon")
    training.add_argument("--lr", type=float, default=5e-3)
    run_or_show(parser, arguments, run, show)


if __name__ == "__main__":
    main()
