"""Relaxation of many structures at once, with one call of the model for a step of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from torch_gptff.errors import GPTFFError, RelaxationError
from torch_gptff.io.journal import Journal, key_of
from torch_gptff.potential import Potential
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.batch import HeldResults, compute_together
from torch_gptff.workflows.inputs import as_atoms, as_calculator
from torch_gptff.workflows.network import reach_of
from torch_gptff.workflows.relax import RelaxationRun, RelaxationSettings
from torch_gptff.workflows.relaxation import Relaxation


def relax_many(
    structures: Iterable[Any],
    calculator: Any,
    *,
    fmax: float = 0.05,
    smax: float = 0.1 / GPA_PER_EV_PER_ANGSTROM3,
    fix_cell: bool = False,
    pressure: float = 0.0,
    keep_symmetry: bool = False,
    symprec: float = 0.01,
    optimizer: str = "FIRE",
    max_steps: int = 500,
    max_atoms: int = 256,
    journal: Journal | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, Relaxation | GPTFFError]]:
    """Relax structures as :func:`~torch_gptff.workflows.relax` does each, many of them side by side.

    After one call of the model, every structure of a batch takes a step. A structure leaves the batch when it has
    converged, run out of steps or failed, and the next one enters. Each follows the same
    path as when relaxed alone, up to rounding.

    A batch is made of neighbours in the list: structures of like size together waste nothing.

    Args:
        structures: of any kind that :func:`~torch_gptff.workflows.relax` takes; taken when there is room for them, and
            left as they are
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes. An ASE calculator that is not this
            package's computes one structure after the other
        fmax: see :func:`~torch_gptff.workflows.relax`, as for all until ``max_steps``
        smax: eV/Å³
        fix_cell: relax the positions alone
        pressure: eV/Å³
        keep_symmetry: keep the space groups
        symprec: Å
        optimizer: a name in :data:`~torch_gptff.workflows.OPTIMIZERS`
        max_steps: of each structure
        max_atoms: of a batch; a larger structure makes a batch of its own
        journal: where results are written down as they come, and taken from where they are known already
        on_step: called after every step of a batch, with the structures in it and those that have ended

    Yields:
        the place of a structure in ``structures``, and its relaxation, or the error that ended it, in the order in
        which they end
    """
    settings = RelaxationSettings(fmax, smax, fix_cell, pressure, keep_symmetry, symprec, optimizer, max_steps)
    if not isinstance(calculator, Potential):
        calculator = as_calculator(calculator, RelaxationError)
    waiting = enumerate(as_atoms(structure) for structure in structures)
    head = next(waiting, None)
    reach = reach_of(calculator)
    batch: list[_Member] = []
    n_ended = 0
    while batch or head is not None:
        while head is not None and (not batch or _n_atoms(batch) + len(head[1]) <= max_atoms):
            (number, atoms), head = head, next(waiting, None)
            found = _enter(number, atoms, reach, settings, journal)
            if isinstance(found, _Member):
                batch.append(found)
            else:
                n_ended += 1
                yield number, found
        ended = _step(batch, calculator)
        n_ended += len(ended)
        batch = [member for member in batch if member.number not in ended]
        if on_step is not None:
            on_step(len(batch), n_ended)
        for number, (key, result) in ended.items():
            if journal is not None and isinstance(result, Relaxation):
                journal.add(key, result.to_dict())
            yield number, result


@dataclass
class _Member:
    """A structure of the batch: its place in the list, its name in the journal, and its relaxation."""

    number: int
    key: str
    run: RelaxationRun


def _n_atoms(batch: list[_Member]) -> int:
    return sum(len(member.run.atoms) for member in batch)


def _enter(
    number: int, atoms: Atoms, reach: float, settings: RelaxationSettings, journal: Journal | None
) -> _Member | Relaxation | GPTFFError:
    """A new member of the batch; or what is known of it already, or why it cannot relax."""
    key = key_of(str(number), atoms)
    if journal is not None and key in journal:
        return Relaxation.from_dict(journal[key])
    try:
        return _Member(number, key, RelaxationRun(atoms, HeldResults(reach), settings))
    except GPTFFError as error:
        return error


def _step(batch: list[_Member], calculator: Any) -> dict[int, tuple[str, Relaxation | GPTFFError]]:
    """Compute the forces of all, and move those that have not ended; the others by their places in the list."""
    ended: dict[int, tuple[str, Relaxation | GPTFFError]] = {}
    refusals = compute_together([member.run.atoms for member in batch], calculator)
    for member, refusal in zip(batch, refusals, strict=True):
        try:
            member.run.look(refusal)
            if member.run.is_over:
                ended[member.number] = (member.key, member.run.result())
            else:
                member.run.advance()
        except GPTFFError as error:
            ended[member.number] = (member.key, error)
    return ended
