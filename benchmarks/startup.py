"""How long a command takes that needs no model, and the first evaluation on a machine where nothing is compiled yet.

    python benchmarks/startup.py --repeats 5 --json startup.json

prints the time of the processor, user and system, of commands on a file of ten small frames and on checkpoints: the
least of ``--repeats`` runs; and for the first evaluation of a model, in a process whose cache is empty, the time of
imports, and then of loading the model and computing energy, forces and stress of silicon: on the clock and of the
processor, that of a compiler included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from rich.console import Console
from rich.table import Table

FRAMES = 10

FIRST_CALL = """
import json, resource, sys, time
def processor():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)
clock, used = time.perf_counter(), processor()
from ase.build import bulk
import torch
from torch_gptff import GPTFFCalculator, load_pretrained
import torch_gptff.models
imported = time.perf_counter(), processor()
atoms = bulk("Si", cubic=True)
atoms.rattle(0.05)
atoms.calc = GPTFFCalculator(load_pretrained(sys.argv[1]))
atoms.get_forces(), atoms.get_stress()
ended = time.perf_counter(), processor()
print(json.dumps({
    "imports": {"clock_s": imported[0] - clock, "processor_s": imported[1] - used},
    "first call": {"clock_s": ended[0] - imported[0], "processor_s": ended[1] - imported[1]},
}))
"""


def labelled_frames(path: Path) -> None:
    """Write copper crystals with made-up labels."""
    random = np.random.default_rng(0)
    frames: list[Atoms] = []
    for _ in range(FRAMES):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += random.normal(scale=0.05, size=(len(atoms), 3))
        labels = {"energy": -15 + random.normal(), "forces": random.normal(size=(len(atoms), 3))}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    write(path, frames)


def commands(folder: Path, checkpoint: Path | None) -> dict[str, list[str]]:
    """Commands by what they are called in the table; published checkpoints are converted where one is given."""
    frames, split, copy = (str(folder / name) for name in ("frames.extxyz", "split.json", "copy.extxyz"))
    found = {
        "version": ["--version"],
        "help": ["--help"],
        "help of relax": ["relax", "--help"],
        "dataset inspect": ["dataset", "inspect", frames],
        "dataset split": ["dataset", "split", frames, "--by", "random", "--out", split, "--overwrite"],
        "dataset convert": ["dataset", "convert", frames, "--out", copy, "--overwrite"],
        "info": ["info", "gptff-universal"],
    }
    if checkpoint is not None:
        target = str(folder / "converted.safetensors")
        found["convert"] = ["convert", str(checkpoint), target, "--overwrite"]
    return found


def processor_time(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds, user and system, that a command and its children used.

    Raises:
        RuntimeError: it failed; the message ends with what it printed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def first_call(model: str) -> dict[str, dict[str, float]]:
    """Times of imports and of the first evaluation, in a process with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TORCH_GPTFF_CACHE": cache}
        command = [sys.executable, "-W", "ignore", "-c", FIRST_CALL, model]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise RuntimeError(f"the first call of {model} failed:\n{result.stderr[-2000:]}")
    found: dict[str, dict[str, float]] = json.loads(result.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each command, of which the least counts")
    parser.add_argument("--commands", nargs="*", help="some of the table; all by default")
    parser.add_argument("--v1", type=Path, help="gptff_v1.pth: converted, and evaluated too")
    parser.add_argument("--models", nargs="*", default=["gptff-universal"], help="whose first call is timed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    document: dict[str, Any] = {"processor_s": {}, "first_call": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labelled_frames(folder / "frames.extxyz")
        for title, command in commands(folder, options.v1).items():
            if options.commands is None or title in options.commands:
                whole = [sys.executable, "-m", "torch_gptff", *command]
                document["processor_s"][title] = min(processor_time(whole) for _ in range(options.repeats))
    models = [*options.models, *([] if options.v1 is None else [str(options.v1)])]
    document["first_call"] = {Path(model).stem: first_call(model) for model in models}
    show(document)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def show(document: dict[str, Any]) -> None:
    """The two tables."""
    console = Console()
    if document["processor_s"]:
        table = Table("command", "processor, s", title="Commands without a model")
        for title, seconds in document["processor_s"].items():
            table.add_row(title, f"{seconds:.2f}")
        console.print(table)
    if document["first_call"]:
        table = Table("model", "", "clock, s", "processor, s", title="First evaluation, nothing compiled")
        for model, parts in document["first_call"].items():
            for part, times in parts.items():
                table.add_row(model, part, f"{times['clock_s']:.2f}", f"{times['processor_s']:.2f}")
        console.print(table)


if __name__ == "__main__":
    main()
