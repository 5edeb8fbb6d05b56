"""Models trained from random weights on few frames, for the same CPU time and on equally many frames: their errors.

    python benchmarks/small_data.py train mlearn/Ni mlearn/Cu --seconds 40 --seeds 0 1 2 --out small.jsonl
    python benchmarks/small_data.py train mlearn/Ni mlearn/Cu --frames 400 --seeds 0 1 2 --out small.jsonl
    python benchmarks/small_data.py show small.jsonl

``train`` adds a line for every data set, model, seed and budget, and skips those that the file has. Each model has its
default architecture, and all have the start, loss, optimizer and schedule of the preset ``small-data`` of the trainer,
changed by ``--set optimizer.lr=5e-3``. The schedule follows what is used of the budget: CPU time of steps (forward,
gradients and optimizer, in one thread; graphs are made once and not counted), or frames seen. Errors are those of the
moving average of the weights at the end, on the test frames as they are given (``--split random``: on a tenth of the
frames), or with ``--part validation`` on those that settings may be chosen by.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pareto import mean_absolute_errors
from rich.console import Console
from rich.table import Table
from torch_geometric.data import Batch, Data

from torch_gptff import CrystalData, Potential
from torch_gptff.cli.train import changed
from torch_gptff.datasets import fit_element_energies
from torch_gptff.training import TrainingConfig
from torch_gptff.training.config import DataSettings, ModelSettings, SourceSettings
from torch_gptff.training.data import TrainingData
from torch_gptff.training.loss import errors, loss
from torch_gptff.training.module import EnergyModelModule
from torch_gptff.training.optimizer import learning_rate
from torch_gptff.training.start import starting_potential

MODELS = ("gptff", "schnet", "dimenet++", "visnet")
KEYS = ("z", "pos", "cell", "pbc", "energy", "forces", "stress")
ERRORS = {"energy": ("energy, meV/atom", 1), "forces": ("forces, meV/Å", 1), "stress": ("stress, GPa", 2)}


@dataclass(frozen=True)
class Budget:
    """What a training may use: seconds of CPU time, or frames."""

    kind: str
    size: float

    def used(self, seconds: float, frames: int) -> float:
        """The fraction that is used."""
        return (seconds if self.kind == "seconds" else frames) / self.size


def train(
    config: TrainingConfig, frames: Sequence[CrystalData], budget: Budget
) -> tuple[Potential, dict[str, float | int]]:
    """The moving average of a model trained from random weights, and what its steps cost."""
    energies = fit_element_energies(frames).energies
    module = EnergyModelModule(Potential(starting_potential(config.model, config.seed).model, energies), config)
    parameters = list(module.potential.parameters())
    optimizer = module.configure_optimizers()
    assert module.average is not None
    build = module.potential.model.build_graph
    graphs = [build(CrystalData(**{key: frame[key] for key in KEYS})) for frame in frames]
    made = batches(graphs, config.batch.max_frames, config.seed)
    gradients(module.potential, next(made), config)  # what a first step makes, such as kernels, is not counted
    seconds, seen, steps = 0.0, 0, 0
    for batch in made:
        progress = budget.used(seconds, seen)
        if progress >= 1:
            break
        start = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress, config)
        optimizer.zero_grad()
        gradients(module.potential, batch, config)
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
        optimizer.step()
        module.average.update_parameters(module.potential)
        seconds += time.process_time() - start
        seen += len(batch.energy)
        steps += 1
    return module.result, {"seconds used": seconds, "frames seen": seen, "steps": steps}


def gradients(potential: Potential, batch: Batch, config: TrainingConfig) -> None:
    """Compute the loss of a batch and its gradients."""
    loss(errors(potential.evaluate(batch, create_graph=True), batch), config.loss).backward()


def batches(graphs: Sequence[Data], size: int, seed: int) -> Iterator[Batch]:
    """Random batches for ever, the same for every model of one seed."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(graphs), generator=generator).tolist()
        for start in range(0, len(order), size):
            yield Batch.from_data_list([graphs[k] for k in order[start : start + size]])


def run(options: argparse.Namespace) -> None:
    """Train what the file of results lacks."""
    torch.set_num_threads(1)
    budget = Budget("seconds", options.seconds) if options.seconds else Budget("frames", options.frames)
    known = [key(row) for row in rows_of(options.out)]
    base = changed(TrainingConfig.preset("small-data").changed(epochs=1), options.set)
    for seed in options.seeds:
        for path in options.data:
            fraction = 0.0 if options.split == "given" else 0.1
            train_on = (SourceSettings(path),)
            settings = DataSettings(train_on, split=options.split, validation_fraction=0.05, test_fraction=fraction)
            data = TrainingData.of(settings, seed=0)
            parts = {"train": list(data.train), "validation": list(data.validation), "test": list(data.test)}
            for name in options.models:
                row: dict[str, Any] = {"data": Path(path).name, "model": name, "seed": seed, "part": options.part}
                row |= {"budget": budget.kind, "size": budget.size, "set": options.set}
                if key(row) in known:
                    continue
                config = base.changed(model=ModelSettings(name, base.model.config), seed=seed)
                potential, cost = train(config, parts["train"], budget)
                row |= {**cost, **mean_absolute_errors(potential, parts[options.part])}
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one training from another."""
    return (*(row[name] for name in ("data", "model", "seed", "part", "budget", "size")), *row["set"])


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The results of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table for each budget, setting and kind of error: means over the seeds, with half the range."""
    console = Console(width=150)
    for group in dict.fromkeys((row["part"], row["budget"], row["size"], *row["set"]) for row in rows):
        own = [row for row in rows if (row["part"], row["budget"], row["size"], *row["set"]) == group]
        part, kind, size, *changes = group
        of = "s of CPU time each" if kind == "seconds" else "frames each"
        for error, (title, digits) in ERRORS.items():
            table = Table("model", title=f"{title}, {part} frames, {size:g} {of} {' '.join(changes)}")
            names = list(dict.fromkeys(row["data"] for row in own))
            for name in names:
                table.add_column(name, justify="right")
            for model in dict.fromkeys(row["model"] for row in own):
                values = [[row[error] for row in own if (row["model"], row["data"]) == (model, name)] for name in names]
                table.add_row(model, *(spread(each, digits) for each in values))
            console.print(table)
        for model in dict.fromkeys(row["model"] for row in own):
            costs = [row for row in own if row["model"] == model]
            seconds, frames = (statistics.mean(row[each] for row in costs) for each in ("seconds used", "frames seen"))
            console.print(f"{model}: {seconds:.0f} s, {frames:.0f} frames, {len(costs)} trainings")


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, half the range, and the number of values where they are not three."""
    if not values:
        return "–"
    half = (max(values) - min(values)) / 2
    number = "" if len(values) == 3 else f" ({len(values)})"
    return f"{statistics.mean(values):.{digits}f} ± {half:.{digits}f}{number}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or show what was trained."""
    parser, training = commands_of(__doc__)
    training.add_argument("data", nargs="+", help="labelled frames that are divided as they are given")
    training.add_argument("--models", nargs="+", default=list(MODELS))
    budget = training.add_mutually_exclusive_group(required=True)
    budget.add_argument("--seconds", type=float, help="CPU time of each training")
    budget.add_argument("--frames", type=int, help="frames that each training sees")
    training.add_argument("--split", choices=("given", "random"), default="given", help="how frames are divided")
    training.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of all")
    run_or_show(parser, arguments, run, show)


def commands_of(description: str | None) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """A parser of the commands ``train`` and ``show``, and that of ``train``, with the options of every such script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--seeds", type=int, nargs="+", default=[0])
    training.add_argument("--part", choices=("validation", "test"), default="test", help="frames to give errors of")
    training.add_argument("--out", type=Path, required=True, help="JSON lines that results are added to")
    commands.add_parser("show").add_argument("results", type=Path)
    return parser, training


def run_or_show(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    run: Callable[[argparse.Namespace], None],
    show: Callable[[Sequence[dict[str, Any]]], None],
) -> None:
    """Follow the command given."""
    options = parser.parse_args(arguments)
    if options.command == "show":
        show(rows_of(options.results))
    else:
        run(options)


if __name__ == "__main__":
    main()
