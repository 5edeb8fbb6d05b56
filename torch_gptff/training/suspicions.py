"""Checks of units, signs and references of data before a training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from torch_gptff.datasets import check_labels
from torch_gptff.graph import CrystalData
from torch_gptff.graph.checks import element_name
from torch_gptff.potential import Potential, Prediction
from torch_gptff.training.data import Part
from torch_gptff.training.references import References, counted_before

LOOKED_AT = 2000
"""Number of successive frames of each source whose labels are checked."""

FEWEST_FRAMES = 10
"""Smallest number of frames with known forces or stress for a check of their units."""

UNCERTAINTIES = 4.0
"""Number of standard errors by which a slope must exceed :data:`FACTOR` to be reported."""

FACTOR = 2.0
"""Largest ratio of a slope to 1, or of 1 to it, that is explained by errors of the model."""

CORRELATION = 0.5
"""Smallest correlation of known and predicted values for a check of their units."""

MOVED = 0.3
"""Largest difference between reference energies of one functional and pseudopotential, eV."""


def suspicions(part: Part) -> list[str]:
    """Signs of wrong labels in each source, one sentence each."""
    sources = np.searchsorted(np.array(part.frames.ends), part.numbers, side="right")
    looked_at = (part.numbers[sources == source][:LOOKED_AT] for source in np.unique(sources))
    return [sentence for numbers in looked_at for sentence in check_labels(part.taken(numbers))]


def disagreements(
    frames: Sequence[CrystalData], predictions: Sequence[Prediction], potential: Potential, references: References
) -> list[str]:
    """Signs of wrong labels that a trained potential finds, one sentence each, with numbers.

    Args:
        frames: some of the data
        predictions: predictions of the potential for these frames
        potential: potential that is trained further
        references: the element energies found for the data
    """
    forces = _pairs((frame.forces, prediction.forces) for frame, prediction in zip(frames, predictions, strict=True))
    stress = _pairs((frame.stress, prediction.stress) for frame, prediction in zip(frames, predictions, strict=True))
    sentences = [_slope("forces", forces), _slope("stresses", stress)]
    return [*filter(None, sentences), *_moved(potential, references)]


def _slope(name: str, frames: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> str | None:
    """The factor between known and predicted values, if it indicates another unit or sign.

    The factor is the ratio of their norms, its uncertainty that of a jackknife over frames.
    """
    known, predicted = (np.concatenate([frame[side] for frame in frames] or [np.zeros(0)]) for side in (0, 1))
    if len(frames) < FEWEST_FRAMES or known.std() == 0 or predicted.std() == 0:
        return None
    correlation = float(np.corrcoef(known, predicted)[0, 1])
    squares = np.array([[one @ one, other @ other] for one, other in frames])
    logs = np.log(np.maximum(squares.sum(axis=0) - squares, 1e-300)) / 2
    factors = logs[:, 0] - logs[:, 1]
    factor = float(np.sqrt(squares[:, 0].sum() / squares[:, 1].sum()))
    error = float(np.sqrt((len(frames) - 1) * factors.var()))  # standard error of the logarithm
    is_near = abs(np.log(factor)) < np.log(FACTOR) + UNCERTAINTIES * error
    if abs(correlation) < CORRELATION or (correlation > 0 and is_near):
        return None
    signed = float(np.sign(correlation)) * factor
    return (
        f"the {name} are {signed:.3g} times what the checkpoint predicts (± {100 * error:.0f} %, correlation "
        f"{correlation:.2f}, {len(frames)} frames): check their unit and sign"
    )


def _moved(potential: Potential, references: References) -> list[str]:
    """Elements whose reference energy in the data differs from that of the potential."""
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


def _pairs(values: Iterable[tuple[object, object]]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Known and predicted components frame by frame, where both are."""
    pairs = []
    for one, other in values:
        if other is not None:
            known, predicted = (np.asarray(each, dtype=np.float64).ravel() for each in (one, other))
            there = np.isfinite(known) & np.isfinite(predicted)
            if there.any():
                pairs.append((known[there], predicted[there]))
    return pairs
