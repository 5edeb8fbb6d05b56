"""A million frames in LMDB: how fast they are stored and read, how large they are, and what memory reading takes.

    python benchmarks/datasets.py --frames 1000000 --json datasets.json --plot datasets.png

Frames are made up: rattled crystals of 1 to 27 atoms with labels. They are read in their order, at random, and through
a ``DataLoader``; then the graph of a smaller set is stored with the frames, or built by the loader's workers. Each
measurement has a process of its own, so its memory is its own: *anonymous* memory is what the process holds, *file*
memory are pages of the dataset that the system keeps at hand, and takes back when it needs the room.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import bulk
from rich.console import Console
from rich.table import Table
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

from torch_gptff.datasets import LMDBCrystalDataset, Source, make_frame
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph

CUTOFF, ANGLE_CUTOFF = 5.0, 3.5
"""Å"""

BATCH_SIZE = 32
MEBIBYTE = 2**20
SAMPLES = 200
"""How often memory is looked at while frames are read."""


@dataclass(frozen=True)
class MadeUp(Source):
    """Frames from a random number generator."""

    n_frames: int = 0

    def read(self) -> Iterator[CrystalData]:
        rng = np.random.default_rng(0)
        cells = [bulk("Cu") * (a, b, c) for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3) if a >= b >= c]
        for number in range(self.n_frames):
            atoms = cells[number % len(cells)]
            n_atoms = len(atoms)
            yield make_frame(
                rng.integers(1, 90, size=n_atoms),
                atoms.positions + rng.normal(scale=0.05, size=(n_atoms, 3)),
                atoms.cell.array,
                True,
                energy=-4.0 * n_atoms + rng.normal(),
                forces=rng.normal(size=(n_atoms, 3)),
                stress=rng.normal(scale=0.01, size=(3, 3)),
                where="made up",
                source="made up",
                material=f"m-{number // 10}",
                frame_id=str(number),
            )


def graph() -> Compose:
    """Bonds and angles of the paper's layers."""
    return Compose([PeriodicRadiusGraph(CUTOFF), BondAngles(ANGLE_CUTOFF)])


def store(root: str, n_frames: int, with_graph: bool) -> dict[str, Any]:
    """Store frames; how long it took, and how large they are."""
    start = time.perf_counter()
    pre_transform = graph() if with_graph else None
    dataset = LMDBCrystalDataset(root, MadeUp("made up", n_frames=n_frames), pre_transform=pre_transform, log=False)
    seconds = time.perf_counter() - start
    return {"frames": n_frames, "seconds": seconds, "bytes": sum(file.size for file in dataset.index.files)}


def read(root: str, order: str) -> dict[str, Any]:
    """Every frame once, by its number: in order, or at random."""
    dataset = LMDBCrystalDataset(root)
    numbers = np.arange(len(dataset)) if order == "in order" else np.random.default_rng(0).permutation(len(dataset))
    frames = (dataset[number] for number in numbers.tolist())
    return watched(frames, len(dataset), lambda frame: len(frame.z))


def load(root: str, workers: int, build_graph: bool, shuffle: bool) -> dict[str, Any]:
    """Every frame once, through a loader; the workers build graphs, or find them stored."""
    dataset = LMDBCrystalDataset(root, transform=graph() if build_graph else None)
    context = "fork" if workers else None  # as on Linux by default, but not in a process that was spawned itself
    loader = DataLoader(
        dataset, batch_size=BATCH_SIZE, shuffle=shuffle, num_workers=workers, multiprocessing_context=context
    )
    return watched(loader, len(loader), lambda batch: batch.num_nodes)


def watched(things: Iterable[Any], n_things: int, atoms_of: Callable[[Any], int]) -> dict[str, Any]:
    """Go through frames or batches: time, and memory of this process now and then."""
    every = max(1, n_things // SAMPLES)
    idle = memory()
    samples, n_atoms = [], 0
    start = time.perf_counter()
    for number, thing in enumerate(things):
        n_atoms += atoms_of(thing)
        if number % every == 0:
            samples.append({"share": number / n_things, **memory()})
    return {"seconds": time.perf_counter() - start, "atoms": n_atoms, "idle": idle, "memory": samples}


def memory() -> dict[str, int]:
    """Resident memory of this process in bytes: anonymous, and of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"anonymous": sizes["RssAnon"], "file": sizes["RssFile"]}


def apart(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The answer of a function that is called in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as pool:
        return pool.submit(function, *arguments).result()


def measure_all(folder: Path, n_frames: int, graph_frames: int, workers: Sequence[int]) -> list[dict[str, Any]]:
    """Every measurement, one record each."""
    plain, small, with_graph = (str(folder / name) for name in ("plain", "small", "graph"))
    rows: list[dict[str, Any]] = []

    def row(what: str, n: int, answer: dict[str, Any]) -> None:
        rows.append({"what": what, "frames": n, "frames_per_second": n / answer["seconds"], **answer})

    row("store", n_frames, apart(store, plain, n_frames, False))
    for order in ("in order", "at random"):
        row(f"read {order}", n_frames, apart(read, plain, order))
    row("DataLoader, at random", n_frames, apart(load, plain, 0, False, True))
    shutil.rmtree(plain)
    row("store", graph_frames, apart(store, small, graph_frames, False))
    row("store with graphs", graph_frames, apart(store, with_graph, graph_frames, True))
    for n in workers:
        told = f"{n} worker{'' if n == 1 else 's'}"
        row(f"graph built, {told}", graph_frames, apart(load, small, n, True, True))
        row(f"graph stored, {told}", graph_frames, apart(load, with_graph, n, False, True))
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Frames in LMDB")
    headings = ("", "frames", "frames/s", "B/frame", "MiB", "anon., MiB", "file, MiB")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        size = row.get("bytes")
        peak = {
            kind: max(sample[kind] - row["idle"][kind] for sample in row["memory"]) / MEBIBYTE
            for kind in ("anonymous", "file")
            if "memory" in row
        }
        table.add_row(
            row["what"],
            f"{row['frames']:,}",
            f"{row['frames_per_second']:,.0f}",
            "" if size is None else f"{size / row['frames']:.0f}",
            "" if size is None else f"{size / MEBIBYTE:,.0f}",
            *(f"+{peak[kind]:.0f}" if peak else "" for kind in ("anonymous", "file")),
        )
    Console().print(table)
    Console().print("memory: most above that of the idle process")


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Memory against the share of the frames that have been read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(row for row in rows if row["what"].startswith("read")):
        for kind, style in (("anonymous", "-"), ("file", "--")):
            shares = [sample["share"] for sample in row["memory"]]
            sizes = [sample[kind] / MEBIBYTE for sample in row["memory"]]
            axes.plot(shares, sizes, style, color=f"C{number}", label=f"{row['what']}, {kind}")
    axes.set(xlabel="share of the frames", ylabel="resident memory, MiB")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    axes.set_title(f"{rows[0]['frames']:,} frames in LMDB, {rows[0]['bytes'] / MEBIBYTE:,.0f} MiB")
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--graph-frames", type=int, default=20_000, help="of which graphs are stored or built")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 2])
    parser.add_argument("--folder", type=Path, help="where the frames go; by default the system's temporary folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure_all(Path(folder), options.frames, options.graph_frames, options.workers)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
