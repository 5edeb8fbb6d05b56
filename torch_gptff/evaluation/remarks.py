"""Remarks on an evaluation that a reader of its errors should know."""

from __future__ import annotations

from torch_gptff.evaluation.record import Evaluation

OTHER_REFERENCE = 0.2
"""Largest share of the error of energies that may remain after a fit of element energies for the remark."""

FRAMES_PER_SHIFT = 5
"""Smallest number of frames for each fitted element energy for the remark."""


def remark_on_reference(evaluation: Evaluation) -> str | None:
    """A sentence where data and model seem to have different energy references; ``None`` elsewhere.

    References seem to differ where a fitted energy of each element leaves less than :data:`OTHER_REFERENCE` of the
    error of the energies. Nothing is said of an evaluation whose energies are aligned already.
    """
    raw, number = evaluation.rmse.energy_per_atom, evaluation.counts["energy_per_atom"]
    if raw is None or evaluation.element_shifts is not None:
        return None
    shifted = evaluation.with_element_shifts()
    n_shifts = sum(map(len, (shifted.element_shifts or {}).values()))
    left = None if shifted.aligned is None else shifted.aligned.rmse.energy_per_atom
    if left is None or left >= OTHER_REFERENCE * raw or number < FRAMES_PER_SHIFT * n_shifts:
        return None
    return (
        f"a constant for each element reduces the error of the energies from {1e3 * raw:.0f} to {1e3 * left:.0f} "
        "meV/atom: data and model have different energy references; --align gives both errors"
    )
