"""Relaxation before a computation that needs a minimum of the energy."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from torch_gptff.cli.each import Tell
from torch_gptff.errors import RelaxationError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import Relaxation, relax

SMAX_GPA = 0.01
"""Largest stress after a relaxation, GPa."""


def relaxed(
    atoms: Atoms,
    calculator: Any,
    fmax: float,
    max_steps: int,
    tell: Tell,
    *,
    smax_gpa: float = SMAX_GPA,
    otherwise: str = "take it as it is with --as-given",
) -> Relaxation:
    """The relaxation of positions and cell.

    Args:
        atoms: the structure
        calculator: any ASE calculator
        fmax: largest force at convergence, eV/Å
        max_steps: maximum number of steps
        tell: shows the progress
        smax_gpa: largest stress at convergence, GPa
        otherwise: what can be done beside allowing more, for the message

    Raises:
        RelaxationError: it did not converge.
    """
    tell("relaxing")
    relaxation = relax(
        atoms,
        calculator,
        fmax=fmax,
        smax=smax_gpa / GPA_PER_EV_PER_ANGSTROM3,
        max_steps=max_steps,
        on_step=lambda step: tell(f"relaxing, step {step.number}: {step.fmax:.4f} eV/Å", step),
    )
    if not relaxation.converged and relaxation.n_steps < max_steps:  # as small as asked for, and something else now
        raise RelaxationError(f"{relaxation.remarks[-1]}: {otherwise}")
    if not relaxation.converged:
        stress = ""
        if relaxation.max_stress is not None:
            stress = f" and {relaxation.max_stress * GPA_PER_EV_PER_ANGSTROM3:.2g} GPa"
        raise RelaxationError(
            f"the structure has not relaxed in {relaxation.n_steps} steps ({relaxation.fmax:.2g} eV/Å{stress} left): "
            f"allow more with --max-steps, a larger force with --fmax, or {otherwise}"
        )
    return relaxation
