"""Does a screening lose nothing when workers and its driver are killed, and does its memory stay what it is?

    python benchmarks/screening.py killed --structures 2000 --workers 2
    python benchmarks/screening.py memory --structures 10000 100000 --model small
    python benchmarks/screening.py memory --structures 10000 100000 --answers
    python benchmarks/screening.py throughput --structures 2000 --workers 2

The first screens made-up crystals on Dask's ``LocalCluster``, and kills one of the workers with SIGKILL after a quarter
and after half of the results, and the driver itself after three quarters. A second driver goes on from the journal. The
journal is then compared with that of one process alone, row by row and number by number.

The second screens so many made-up crystals, each number in processes of its own, and prints the peak of the resident
memory of the driver and of its worker. ``--model small`` is a tiny model with random weights, so that the driver has
something to do and the worker has little. With ``--answers`` there is no worker: an executor answers every structure
with an energy of zero, so that the memory is that of the driver's own work.

The third screens the same crystals with one worker, with two, and so on, and prints how many the processors get done
in a second of their time, which other programs on the machine do not change: workers and driver together, from when
every worker has loaded the model. Dask's own threads, which run whether workers work or wait, are in it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from rich.console import Console
from rich.table import Table

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.io import save
from torch_gptff.workflows import screen
from torch_gptff.workflows.screening import ScreeningResults, StructurePrediction, Task
from torch_gptff.workflows.screening.results import key_of
from torch_gptff.workflows.screening.table import row_of

MEBIBYTE = 2**20
GOLDEN = (math.sqrt(5) - 1) / 2
DEATHS = ((0.25, "worker"), (0.5, "worker"), (0.75, "driver"))
"""After which part of the results who is killed."""

Row = Mapping[str, Any]


def made_up(count: int) -> Iterator[Atoms]:
    """Crystals of 1 to 8 atoms, strained by up to 5 % and rattled, no two alike."""
    kinds = [bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6), bulk("Si", cubic=True), bulk("Al", cubic=True), bulk("Mg")]
    for number in range(count):
        atoms = kinds[number % len(kinds)].copy()
        atoms.set_cell(atoms.cell * (1 + 0.05 * (number * GOLDEN % 1)), scale_atoms=True)
        atoms.rattle(0.02, seed=number)
        yield atoms


class Answers:
    """An executor that computes nothing."""

    def submit(self, _: Callable[..., Any], structures: Sequence[Atoms]) -> Future[Any]:
        future: Future[Any] = Future()
        found = [StructurePrediction(atoms, 0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3))) for atoms in structures]
        future.set_result([each.to_dict() for each in found])
        return future


@dataclass(frozen=True)
class Run:
    """A screening of made-up crystals.

    Attributes:
        journal: where its results go
        count: of the crystals
        what: is done with them
        workers: of Dask; 0: this process alone; -1: nobody, see :class:`Answers`
        task: arguments of :func:`torch_gptff.workflows.screen`
        deaths: who is killed after so many results
    """

    journal: Path
    count: int
    what: str
    workers: int
    task: Mapping[str, Any]
    deaths: Sequence[tuple[int, str]] = field(default=())

    def __call__(self, report: Path) -> None:
        """Screen; write seconds, results and peak memories, in bytes, to a file."""
        start = time.perf_counter()
        if self.workers <= 0:
            told: dict[str, Any] = {"results": self._screen(None if self.workers == 0 else Answers())}
        else:
            from distributed import Client, LocalCluster

            cluster = LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address=None)
            with cluster, Client(cluster) as client:
                client.run(self._task().run, list(made_up(2)))  # loads the model
                before, own = sum(client.run(time.process_time).values()), time.process_time()
                told = {"results": self._screen(client), "worker_peak": max(client.run(peak_memory).values())}
                told["screening_cpu_seconds"] = {
                    "workers": sum(client.run(time.process_time).values()) - before,
                    "driver": time.process_time() - own,
                }
        told |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time(), "peak": peak_memory()}
        report.write_text(json.dumps(told))

    def _screen(self, client: Any) -> int:
        deaths, number = list(self.deaths), 0
        in_flight = 4 * max(self.workers, 1)
        found = screen(
            made_up(self.count), self.what, executor=client, journal=self.journal, in_flight=in_flight, **self.task
        )
        for number, _ in enumerate(found, start=1):
            while deaths and number >= deaths[0][0]:
                _, victim = deaths.pop(0)
                os.kill(os.getpid() if victim == "driver" else pid_of_worker(client), signal.SIGKILL)
        return number

    def _task(self) -> Task:
        task = dict(self.task)
        task.pop("max_atoms", None)
        given = {name: task.pop(name) for name in ("model", "dtype") if name in task}
        return Task(self.what, **given, settings=task)

    def rows(self) -> list[Row]:
        """What stands in the journal, in the order of the crystals."""
        with ScreeningResults(self.journal, self._task().identity()) as results:
            return [
                row_of(str(place), key_of(atoms), atoms, results[key_of(atoms)])
                for place, atoms in enumerate(made_up(self.count))
            ]


def pid_of_worker(client: Any) -> int:
    """Of the first worker, once there is one that answers: the scheduler lists a killed one for a while."""
    while True:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if first := [address for address, each in workers.items() if each["name"] == 0]:
            with suppress(OSError):
                (pid,) = client.run(os.getpid, workers=first).values()
                return int(pid)
        time.sleep(0.1)


def peak_memory() -> int:
    """The largest resident memory of this process, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(run: Run, report: Path) -> tuple[int, dict[str, Any]]:
    """Run in a process of its own: its exit code, and what it wrote."""
    process = get_context("spawn").Process(target=run, args=(report,))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, json.loads(report.read_text()) if report.exists() else {}


def largest_difference(rows: Sequence[Row], others: Sequence[Row]) -> float:
    """Between numbers of two tables, divided by 1 where they are smaller, whose texts, counts and flags must be equal.

    Raises:
        AssertionError: they are not.
    """
    largest = 0.0
    assert len(rows) == len(others), (len(rows), len(others))
    for row, other in zip(rows, others, strict=True):
        assert set(row) == set(other), (row, other)
        for name, value in row.items():
            if isinstance(value, float):
                largest = max(largest, abs(value - other[name]) / max(1.0, abs(value)))
            else:
                assert value == other[name], (name, row, other)
    return largest


def killed(folder: Path, count: int, what: str, workers: int, task: Mapping[str, Any]) -> dict[str, Any]:
    """A screening in which everyone dies, against one that nothing happens to."""
    alone = Run(folder / "alone.jsonl", count, what, 0, task)
    code, calm = in_a_process(alone, folder / "alone.json")
    assert code == 0, code
    deaths = [(int(part * count), victim) for part, victim in DEATHS]
    first = Run(folder / "killed.jsonl", count, what, workers, task, deaths)
    code, _ = in_a_process(first, folder / "first.json")
    assert code == -signal.SIGKILL, code
    known = len(lines(first.journal))
    second = Run(folder / "killed.jsonl", count, what, workers, task)
    code, told = in_a_process(second, folder / "second.json")
    assert code == 0, code
    keys = [json.loads(line)["key"] for line in lines(second.journal)]
    return {
        "structures": count,
        "results known to the second driver": known,
        "lines of the journal": len(keys),
        "keys": len(set(keys)),
        "failures": sum(row["status"] == "failed" for row in second.rows()),
        "largest difference": largest_difference(alone.rows(), second.rows()),
        "seconds alone": calm["seconds"],
        "CPU seconds alone": calm["cpu_seconds"],
        "seconds of the second driver": told["seconds"],
        "CPU seconds of the second driver": told["cpu_seconds"],
        "peak of the second driver, MiB": told["peak"] / MEBIBYTE,
        "peak of a worker, MiB": told["worker_peak"] / MEBIBYTE,
    }


def throughput(folder: Path, count: int, what: str, workers: int, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Time of the processors that crystals take with one worker, and with more."""
    found: list[dict[str, Any]] = []
    for number in range(1, workers + 1):
        run = Run(folder / f"{number}.jsonl", count, what, number, task)
        code, told = in_a_process(run, folder / f"{number}.json")
        assert code == 0, code
        spent = told["screening_cpu_seconds"]
        rate = told["results"] / (spent["workers"] + spent["driver"])
        found.append(
            {
                "workers": number,
                "structures": told["results"],
                "workers, CPU s": spent["workers"],
                "driver, CPU s": spent["driver"],
                "structures per CPU s": rate,
                "of one worker's": rate / (found[0]["structures per CPU s"] if found else rate),
            }
        )
        run.journal.unlink()
    return found


def lines(journal: Path) -> list[str]:
    """Of the results."""
    return journal.read_text(encoding="utf-8").splitlines()[1:]


def memory(
    folder: Path, counts: Sequence[int], what: str, workers: int, task: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Peak memories by the number of crystals."""
    found = []
    for count in counts:
        run = Run(folder / f"{count}.jsonl", count, what, workers, task)
        code, told = in_a_process(run, folder / f"{count}.json")
        assert code == 0, code
        peaks = {"driver, MiB": told["peak"] / MEBIBYTE}
        if workers > 0:
            peaks["worker, MiB"] = told["worker_peak"] / MEBIBYTE
        size = run.journal.stat().st_size / MEBIBYTE
        found.append(
            {
                "structures": told["results"],
                **peaks,
                "journal, MiB": size,
                "driver, CPU s": told["cpu_seconds"],
                "seconds": told["seconds"],
            }
        )
        run.journal.unlink()
    return found


def small_model(folder: Path) -> Path:
    """A tiny model with random weights."""
    torch.manual_seed(0)
    config = GPTFFConfig(channels=16, heads=1, num_layers=1, feedforward_channels=16, cutoff=4.0)
    path = folder / "small.gptff"
    save(Potential(GPTFF(config)).eval(), path)
    return path


def main(arguments: list[str] | None = None) -> dict[str, Any] | list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("killed", "memory", "throughput"))
    parser.add_argument("--structures", type=int, nargs="+", default=[2000])
    parser.add_argument("--workers", type=int, help="by default 2, and 1 for memory")
    parser.add_argument("--answers", action="store_true", help="measure the driver's memory without workers")
    parser.add_argument("--what", default="predict", help="workflow")
    parser.add_argument("--model", default="gptff-universal", help="name or path, or small")
    parser.add_argument("--max-atoms", type=int, help="of a chunk: by default 64 for killed, else 256")
    parser.add_argument("--folder", type=Path, help="for journals; by default one that is deleted")
    parser.add_argument("--json", type=Path, help="write everything")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        model = str(small_model(folder)) if options.model == "small" or options.answers else options.model
        task = {"model": model, "dtype": "float64"}
        found: Any
        if options.question == "killed":
            task["max_atoms"] = options.max_atoms or 64
            found = killed(folder, options.structures[0], options.what, options.workers or 2, task)
            rows = [[name, f"{value:.3g}" if isinstance(value, float) else str(value)] for name, value in found.items()]
            heads = ["", ""]
        elif options.question == "throughput":
            task["max_atoms"] = options.max_atoms or 256
            found = throughput(folder, options.structures[0], options.what, options.workers or 2, task)
            heads = list(found[0])
            rows = [
                [f"{value:,.3g}" if isinstance(value, float) else f"{value}" for value in row.values()] for row in found
            ]
        else:
            task["max_atoms"] = options.max_atoms or 256
            workers = -1 if options.answers else options.workers or 1
            found = memory(folder, options.structures, options.what, workers, task)
            heads = list(found[0])
            rows = [[f"{value:,.0f}" for value in row.values()] for row in found]
    table = Table(*heads, show_header=any(heads))
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main()
