"""Relaxation of many structures at once, with one call of the model for a step of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ase import Atoms

from torch_gptff.calculators import potential_of
from torch_gptff.errors import GPTFFError, RelaxationError
from torch_gptff.io.journal import Journal, key_of
from torch_gptff.potential import Potential
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.batch.calculators import HeldResults, OneByOne, TogetherByPotential
from torch_gptff.workflows.batch.relaxation import Member, RelaxationBatch
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
    optimizer: str = "LBFGS",
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
    potential = potential_of(calculator)
    together = OneByOne(calculator) if potential is None else TogetherByPotential(potential)
    batch = RelaxationBatch(together, optimizer, pressure)
    waiting = enumerate(as_atoms(structure) for structure in structures)
    head = next(waiting, None)
    reach = reach_of(calculator)
    n_ended = 0
    while batch.n_atoms or head is not None:
        while head is not None and (not batch.n_atoms or batch.n_atoms + len(head[1]) <= max_atoms):
            (number, atoms), head = head, next(waiting, None)
            found = _enter(number, atoms, reach, settings, journal, batch)
            if found is not None:
                n_ended += 1
                yield number, found
        ended = batch.step()
        n_ended += len(ended)
        if on_step is not None:
            on_step(len(batch.members), n_ended)
        for member, result in ended:
            if journal is not None and isinstance(result, Relaxation):
                journal.add(member.key, result.to_dict())
            yield member.number, result


def _enter(
    number: int,
    atoms: Atoms,
    reach: float,
    settings: RelaxationSettings,
    journal: Journal | None,
    batch: RelaxationBatch,
) -> Relaxation | GPTFFError | None:
    """Make a structure a member of the batch; or return what is known of it already, or why it cannot relax."""
    key = key_of(str(number), atoms)
    if journal is not None and key in journal:
        return Relaxation.from_dict(journal[key])
    try:
        batch.join(Member(number, key, RelaxationRun(atoms, HeldResults(reach), settings)))
    except GPTFFError as error:
        return error
    return None
