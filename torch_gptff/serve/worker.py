"""The process that computes: tasks come as lines of JSON on standard input, messages go to standard output likewise.

A task looks at a structure file, ``{"look": FILE, "index": 0, "atoms": 1000, "folder": DIR}``, or runs a command,
``{"run": [WORD, …], "folder": DIR}``. Messages are ``begun``, ``told`` and ``found``, see
:mod:`torch_gptff.serve.watch`, ``said`` with a line of a command, ``looking`` where a file is about to be read, and at
last ``ended`` with its exit code or with what was found.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import queue
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, TextIO

from torch_gptff.errors import GPTFFError, JobError
from torch_gptff.serve.watch import Send, Watch

Run = Callable[[list[str], Watch], int]
"""Runs a command of these words, and returns its exit code."""

KINDS = ("error", "warning", "note", "stopped")
"""Beginnings of the lines of standard error that are passed on."""


def work(run: Run, tasks: TextIO | None = None) -> None:
    """Do one task after the other until standard input ends, which ends the process at once.

    Args:
        run: runs a command
        tasks: by default standard input
    """
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no message

    def send(message: dict[str, Any]) -> None:
        messages.write(json.dumps(message, allow_nan=False) + "\n")
        messages.flush()

    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks or sys.stdin, waiting), daemon=True).start()
    send({"event": "ready"})
    while True:
        send({"event": "ended", **done(waiting.get(), run, send)})


def _listen(tasks: TextIO, waiting: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in tasks:
        waiting.put(json.loads(line))
    os._exit(0)  # whoever asked is gone


def done(task: dict[str, Any], run: Run, send: Send) -> dict[str, Any]:
    """Do a task, and return what its last message says.

    Args:
        task: see above
        run: runs a command
        send: takes messages
    """
    os.chdir(task["folder"])
    try:
        if "look" in task:
            prepare_to_look()
            send({"event": "looking"})
            return {"code": 0, "found": look(task["look"], task["index"], task["atoms"])}
        watch = Watch(send)
        with redirect_stdout(Lines(send)), redirect_stderr(Lines(send)):
            code = run(task["run"], watch)
            watch.flush()
        return {"code": code}
    except (GPTFFError, OSError) as error:
        return {"code": 1, "error": str(error)}
    except Exception as error:
        return {"code": 1, "error": f"{type(error).__name__}: {error}", "origin": traceback.format_exc()}


class Lines(io.TextIOBase):
    """Standard output or standard error of a command, of which every line becomes a message.

    Args:
        send: takes messages
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = ""

    def writable(self) -> bool:
        """Lines are written."""
        return True

    def write(self, text: str) -> int:
        """Send the lines that are whole."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            kind, colon, words = line.partition(": ")
            is_told = bool(colon) and kind in KINDS
            if line.strip():
                self._send({"event": "said", "kind": kind if is_told else "line", "words": words if is_told else line})
        return len(text)


def prepare_to_look() -> None:
    """Import what reads structures: that takes its time once, and is none of the file's."""
    for name in ("ase.io", "pymatgen.io.cif", "spglib", "torch_gptff.io.structures", "torch_gptff.report.structures"):
        importlib.import_module(name)


def look(file: str, index: int, most_atoms: int) -> dict[str, Any]:
    """A structure of a file as the page shows it.

    Args:
        file: see :func:`torch_gptff.io.structures.read_structures`
        index: of the structure in the file; counted from its end where it is negative
        most_atoms: that it may have

    Raises:
        JobError: it has more atoms, or there is none of this index.
        StructureError: the file cannot be read, or the atoms are too near to each other.
    """
    from torch_gptff.graph.contacts import check_contacts
    from torch_gptff.graph.formula import formula_of
    from torch_gptff.io.structures import read_structures
    from torch_gptff.report.structures import Trajectory, legend, scene
    from torch_gptff.workflows.drawing.words import subscripted

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        structures = read_structures(file)
    if not -len(structures) <= index < len(structures):
        raise JobError(f"the file has {len(structures)} structures, and none of number {index + 1}")
    atoms = structures[index]
    if len(atoms) > most_atoms:
        raise JobError(f"the structure has {len(atoms):,} atoms, and the page takes {most_atoms:,} at most (--atoms)")
    check_contacts(atoms)
    return {
        "count": len(structures),
        "index": index % len(structures),
        "formula": formula_of(atoms),
        "title": subscripted(formula_of(atoms)),
        "n_atoms": len(atoms),
        "facts": _facts(atoms),
        "warnings": [str(warning.message) for warning in told if issubclass(warning.category, UserWarning)],
        "legend": legend(atoms),
        "scene": scene(Trajectory([atoms], [0.0], "")),
    }


def _facts(atoms: Any) -> list[str]:
    """Cell and space group, in words."""
    from torch_gptff.report.tables import number_of

    facts = [number_of(len(atoms), "atoms")]
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return facts
    a, b, c, alpha, beta, gamma = atoms.cell.cellpar()
    facts.append(f"{a:.3f} × {b:.3f} × {c:.3f} Å")
    facts.append(f"{alpha:.4g}°, {beta:.4g}°, {gamma:.4g}°")
    facts.append(f"{atoms.get_volume():,.1f} Å³")
    if atoms.pbc.all():
        import spglib

        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        found = spglib.get_symmetry_dataset(cell, symprec=0.01)
        facts += [] if found is None else [f"{found.international} ({found.number})"]
    return facts
