"""Variants of GPTFF, each trained for the same CPU time on the same frames: errors against the time of an evaluation.

    python examples/universal/prepare.py $TORCH_GPTFF_DATA/data --out data --sample sample
    python benchmarks/pareto.py train sample/train sample/test --seconds 300 --out pareto.jsonl
    python benchmarks/pareto.py time pareto.jsonl
    python benchmarks/pareto.py show pareto.jsonl --plot pareto.svg

``train`` adds a line for every variant and seed: mean absolute errors on the test frames, whose formulas are not in
training. CPU time of training counts steps alone: forward, gradients and optimizer, in one thread. ``time`` measures
the CPU time of energy, forces and stress of two crystals in one thread, all variants in turn, and ``show`` makes a
table and a picture of both. ``VARIANTS`` are the configurations; a name of none of them is read as a JSON object of
settings.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from structures import structure
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch_geometric.data import Batch

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential
from torch_gptff.datasets import open_dataset
from torch_gptff.training.config import LossSettings
from torch_gptff.training.loss import errors, loss
from torch_gptff.training.module import moving_average
from torch_gptff.training.muon import Muon, matrices_apart
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

VARIANTS = {
    "paper": GPTFFConfig.paper(max_z=96, repulsion=True),
    "small": GPTFFConfig(max_z=96, repulsion=True),
    "large": GPTFFConfig.large(max_z=96, repulsion=True),
    "degree 1": GPTFFConfig(max_z=96, repulsion=True, degree=1),
    "degree 3": GPTFFConfig(max_z=96, repulsion=True, degree=3),
    "2 layers": GPTFFConfig(max_z=96, repulsion=True, num_layers=2),
    "5 Å": GPTFFConfig(max_z=96, repulsion=True, cutoff=5.0),
    "large, 4 layers, degree 3": GPTFFConfig.large(max_z=96, repulsion=True, num_layers=4, degree=3),
    "no attention in the paper's layers": GPTFFConfig.paper(max_z=96, repulsion=True, transformer="none"),
}
LOSS = LossSettings(energy=4.0, forces=2.0, stress=0.2, function="huber", delta=0.02)
FRAMES, RATE, WARMUP, DECAY, AVERAGE, CLIP = 16, 2.5e-3, 0.03, 1e-3, 0.99, 10.0


def train(config: GPTFFConfig, frames: Sequence[CrystalData], seconds: float, seed: int) -> tuple[Potential, int]:
    """The moving average of a model trained for so many seconds of CPU time, and its steps."""
    torch.manual_seed(seed)
    potential = Potential(GPTFF(config), element_energies(frames))
    parameters = list(potential.parameters())
    optimizer = Muon(matrices_apart(potential, [{"params": parameters, "lr": 0.0}]), weight_decay=DECAY)
    average = AveragedModel(potential, multi_avg_fn=moving_average(AVERAGE)).requires_grad_(False)
    used, steps = 0.0, 0
    for batch in batches(potential, frames):
        progress = used / seconds
        if progress >= 1:
            break
        start = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, progress / WARMUP) * (1 + math.cos(math.pi * progress)) / 2
        optimizer.zero_grad()
        loss(errors(potential.evaluate(batch, create_graph=True), batch), LOSS).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        average.update_parameters(potential)
        used += time.process_time() - start
        steps += 1
    return average.module, steps


def batches(potential: Potential, frames: Sequence[CrystalData]) -> Iterator[Batch]:
    """Random batches for ever, the same for every variant of one seed; graphs are made anew and not counted."""
    generator = torch.Generator().manual_seed(torch.initial_seed())
    while True:
        order = torch.randperm(len(frames), generator=generator).tolist()
        for start in range(0, len(order) - FRAMES + 1, FRAMES):
            yield batch_of(potential, [frames[k] for k in order[start : start + FRAMES]])


def batch_of(potential: Potential, frames: Sequence[CrystalData]) -> Batch:
    keys = ("z", "pos", "cell", "pbc", "energy", "forces", "stress")
    return Batch.from_data_list(
        [potential.model.build_graph(CrystalData(**{key: frame[key] for key in keys})) for frame in frames]
    )


def element_energies(frames: Sequence[CrystalData]) -> dict[int, float]:
    """Energies of the elements that fit the energies per atom best, eV."""
    counts = torch.stack([torch.bincount(frame.z, minlength=97) for frame in frames]).double()
    n_atoms = counts.sum(1, keepdim=True)
    energies = torch.cat([frame.energy for frame in frames]).double().unsqueeze(1)
    ridge = 1e-3 * torch.eye(97, dtype=torch.float64)
    matrix, target = torch.cat([counts / n_atoms, ridge]), torch.cat([energies / n_atoms, ridge.new_zeros(97, 1)])
    fitted = torch.linalg.lstsq(matrix, target).solution.squeeze(1)
    return {z: float(fitted[z]) for z in range(1, 97)}


def mean_absolute_errors(potential: Potential, frames: Sequence[CrystalData]) -> dict[str, float]:
    """In meV/atom, meV/Å and GPa."""
    potential.eval().requires_grad_(False)
    found: dict[str, list[Tensor]] = {"energy": [], "forces": [], "stress": []}
    for start in range(0, len(frames), 32):
        batch = batch_of(potential, frames[start : start + 32])
        wrong = errors(potential.evaluate(batch), batch)
        for name, values in found.items():
            values.append(getattr(wrong, name).abs().flatten().double())
    units = {"energy": 1e3, "forces": 1e3, "stress": GPA_PER_EV_PER_ANGSTROM3}
    return {name: float(torch.cat(values).mean()) * units[name] for name, values in found.items()}


SIZES = {"Cu 500": 500, "Si 64": 64}


def evaluation_times(configs: dict[str, GPTFFConfig], name: str, repetitions: int = 11) -> dict[str, float]:
    """CPU milliseconds of energy, forces and stress, graph included, in one thread: medians, all measured in turn."""
    potentials = {each: Potential(GPTFF(config)).eval().requires_grad_(False) for each, config in configs.items()}
    times: dict[str, list[float]] = {each: [] for each in configs}
    atoms = structure(name)
    for _ in range(repetitions + 1):
        for each, potential in potentials.items():
            start = time.process_time()
            potential(CrystalData.from_ase(atoms))
            times[each].append(1e3 * (time.process_time() - start))
    return {each: statistics.median(values[1:]) for each, values in times.items()}


def measured(name: str, config: GPTFFConfig, data: dict[str, list[CrystalData]], seconds: float, seed: int) -> dict:
    potential, steps = train(config, data["train"], seconds, seed)
    return {
        "variant": name,
        "config": config.to_dict(),
        "seed": seed,
        "seconds": seconds,
        "steps": steps,
        "parameters": sum(p.numel() for p in potential.model.parameters()),
        **mean_absolute_errors(potential, data["test"]),
    }


def show(rows: list[dict], plot: Path | None) -> None:
    """A table of means over the seeds, with half the range, and a picture."""
    variants = dict.fromkeys(row["variant"] for row in rows)
    table = Table(title=f"{rows[0]['seconds']:.0f} s of CPU time each")
    errors_of = ("E, meV/atom", "F, meV/Å", "S, GPa")
    for column in ("variant", "seeds", "parameters", "steps", *errors_of, *(f"{each}, µs/atom" for each in SIZES)):
        table.add_column(column, justify="left" if column == "variant" else "right")
    points: dict[str, tuple[float, float, float]] = {}
    for name in variants:
        own = [row for row in rows if row["variant"] == name]

        def spread(values: list[float], digits: int) -> str:
            half = (max(values) - min(values)) / 2
            return f"{statistics.mean(values):.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")

        cost = [statistics.median(row["ms"][each] for row in own) * 1e3 / n for each, n in SIZES.items()]
        table.add_row(
            name,
            str(len(own)),
            f"{own[0]['parameters']:,}",
            f"{statistics.mean(row['steps'] for row in own):.0f}",
            spread([row["energy"] for row in own], 0),
            spread([row["forces"] for row in own], 0),
            spread([row["stress"] for row in own], 2),
            *(f"{value:.0f}" for value in cost),
        )
        forces, energy = (statistics.mean(row[each] for row in own) for each in ("forces", "energy"))
        points[name] = (cost[0], forces, energy)
    Console(width=150).print(table)
    if plot:
        draw(points, plot)


def draw(points: dict[str, tuple[float, float, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharex=True, layout="constrained")
    for panel, index, label in zip(panels, (1, 2), ("forces, meV/Å", "energy, meV/atom"), strict=True):
        front: list[tuple[float, float]] = []
        right = max(values[0] for values in points.values())
        for number, (name, values) in enumerate(sorted(points.items(), key=lambda item: item[1][0])):
            panel.plot(values[0], values[index], "o", color="#3465a4")
            side, height = ("right", "left")[number // 2 % 2], (-16, 8)[number % 2]  # neighbours leave each other room
            panel.annotate(
                name,
                (values[0], values[index]),
                textcoords="offset points",
                xytext=(-4 if side == "right" else 4, height),
                ha="right" if values[0] > 0.6 * right else side,
                fontsize=9,
            )
            if not front or values[index] < front[-1][1]:
                front.append((values[0], values[index]))
        panel.step(
            *zip(*front, (right, front[-1][1]), strict=True), where="post", color="#c4a000", zorder=0, label="best"
        )
        panel.set(
            xscale="log",
            xlabel="evaluation of Cu 500, CPU µs per atom",
            ylabel=f"error of {label}",
        )
        ticks = [t for t in (100, 200, 300, 500, 1000, 2000) if 0.5 * front[0][0] < t < 1.5 * right]
        panel.set_xticks(ticks, [f"{t:,}" for t in ticks])
        panel.minorticks_off()
        panel.margins(x=0.2)
        panel.set_ylim(0, 1.1 * max(values[index] for values in points.values()))
        panel.legend(frameon=False, loc="lower right")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("frames", help="dataset to train on")
    training.add_argument("test", help="dataset of other formulas")
    training.add_argument("--variants", default=",".join(VARIANTS))
    training.add_argument("--seconds", type=float, default=600.0, help="CPU time of each training")
    training.add_argument("--seeds", type=int, nargs="+", default=[1])
    training.add_argument("--out", type=Path, required=True, help="JSON lines that results are added to")
    timing = commands.add_parser("time")
    timing.add_argument("results", type=Path)
    showing = commands.add_parser("show")
    showing.add_argument("results", type=Path)
    showing.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.command == "show":
        return show([json.loads(line) for line in options.results.read_text().splitlines()], options.plot)
    torch.set_num_threads(1)
    if options.command == "time":
        rows = [json.loads(line) for line in options.results.read_text().splitlines()]
        configs = {row["variant"]: GPTFFConfig.from_dict(row["config"]) for row in rows}
        measured_now = {name: evaluation_times(configs, name) for name in SIZES}
        for row in rows:
            row["ms"] = {name: measured_now[name][row["variant"]] for name in SIZES}
        options.results.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return None
    data = {}
    for part, folder in (("train", options.frames), ("test", options.test)):
        dataset = open_dataset(folder)
        data[part] = [dataset[k] for k in range(len(dataset))]
    for seed in options.seeds:
        for name in options.variants.split(","):
            config = VARIANTS[name] if name in VARIANTS else GPTFFConfig.from_dict(json.loads(name))
            row = measured(name, config, data, options.seconds, seed)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print({key: value for key, value in row.items() if key != "config"}, flush=True)


if __name__ == "__main__":
    main()
