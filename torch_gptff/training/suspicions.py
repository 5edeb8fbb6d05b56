"""A look at data before a model is trained on them: do units, signs and references seem right?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from torch_gptff.datasets import check_work
from torch_gptff.graph import CrystalData
from torch_gptff.graph.checks import element_name
from torch_gptff.potential import Potential, Prediction
from torch_gptff.training.references import References, counted_before

LOOKED_AT = 2000
"""Frames in a row that energies and work are compared over."""

FACTOR = 2.0
"""A slope between known and predicted values within this of 1 is a model's error, not another unit ..."""

CORRELATION = 0.5
"""... and one with a weaker correlation than this says nothing."""

MOVED = 0.3
"""eV. References of elements further apart than this are of another functional or pseudopotential."""


def suspicions(frames: Iterable[CrystalData]) -> list[str]:
    """What looks wrong about the labels themselves, one sentence each."""
    return [sentence for check in check_work(islice(frames, LOOKED_AT)) for sentence in check.suspicions()]


def disagreements(
    frames: Sequence[CrystalData], predictions: Sequence[Prediction], potential: Potential, references: References
) -> list[str]:
    """What a trained potential finds odd about labels, one sentence each, with numbers.

    Args:
        frames: some of the data
        predictions: of the potential for them
        potential: that is to be trained further
        references: the element energies found for the data
    """
    forces = _pairs((frame.forces, prediction.forces) for frame, prediction in zip(frames, predictions, strict=True))
    stress = _pairs((frame.stress, prediction.stress) for frame, prediction in zip(frames, predictions, strict=True))
    sentences = [_slope("forces", *forces), _slope("stresses", *stress)]
    return [*filter(None, sentences), *_moved(potential, references)]


def _slope(name: str, known: NDArray[np.float64], predicted: NDArray[np.float64]) -> str | None:
    """Whether known and predicted values differ by a factor or a sign."""
    if len(known) < 10 or known.std() == 0 or predicted.std() == 0:
        return None
    correlation = float(np.corrcoef(known, predicted)[0, 1])
    slope = float(known.std() / predicted.std()) * np.sign(correlation)
    if abs(correlation) < CORRELATION or 1 / FACTOR < slope < FACTOR:
        return None
    return (
        f"the {name} are {slope:.3g} times what the checkpoint predicts (correlation {correlation:.2f}, {len(known)} "
        "components): check their unit and sign"
    )


def _moved(potential: Potential, references: References) -> list[str]:
    """The elements whose reference energy the data put elsewhere."""
    sentences = []
    for source, table in references.tables.items():
        old = counted_before(potential, source)
        moves = {number: energy - old.get(number, 0.0) for number, energy in table.items()}
        far = sorted((number for number in moves if abs(moves[number]) > MOVED), key=lambda number: -abs(moves[number]))
        if far:
            listed = ", ".join(f"{moves[number]:+.2f} eV for {element_name(number)}" for number in far[:6])
            more = f" and {len(far) - 6} more elements" if len(far) > 6 else ""
            sentences.append(
                f"{source}: its energies are counted from another reference than the checkpoint's ({listed}{more}); "
                "the element energies are moved by as much"
            )
    return sentences


def _pairs(values: Iterable[tuple[object, object]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Known and predicted components, where both are."""
    columns = [
        (np.asarray(known, dtype=np.float64).ravel(), np.asarray(predicted, dtype=np.float64).ravel())
        for known, predicted in values
        if predicted is not None
    ]
    if not columns:
        return np.zeros(0), np.zeros(0)
    known, predicted = (np.concatenate(each) for each in zip(*columns, strict=True))
    there = np.isfinite(known) & np.isfinite(predicted)
    return known[there], predicted[there]
