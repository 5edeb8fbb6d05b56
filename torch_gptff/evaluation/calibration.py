"""Calibration of a committee: its errors on data held out of training, beside what it expects of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from torch_gptff.errors import TrainingError
from torch_gptff.evaluation.error_fit import FEWEST, FOLDS, ErrorFit
from torch_gptff.graph import CrystalData
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.nn import ExpectedErrors
from torch_gptff.potential import Potential
from torch_gptff.prediction import Calibration
from torch_gptff.record import Record

CHUNK = 256
"""Number of frames that are predicted together."""

SILENT = 1e-5
"""Largest force that is zero up to rounding, eV/Å; forces that symmetry forbids are not counted."""

NEARLY_ALL = 0.99
"""Fraction of the frames whose uncertainty per atom is below ``Calibration.seen``."""

WITHIN_ONE = 0.6827
"""Fraction of normal errors within one standard deviation."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability(Record):
    """Errors of one quantity beside the calibrated uncertainties.

    Attributes:
        factor: factor of the members' standard deviations, with which 68 % of the errors lie within one of them
        number: number of errors: energies, or components of forces
        within_two: share of the errors within 1.96 calibrated standard deviations; 0.95 for normal errors
        rank_correlation: Spearman's, of uncertainties and sizes of errors (of a force: the length of its error)
    """

    factor: float
    number: int
    within_two: float
    rank_correlation: float


@dataclass(frozen=True)
class CalibrationReport(Record):
    """Result of :func:`calibrate`.

    Attributes:
        energy: reliability of energies
        forces: reliability of the components of forces
        by_features: whether uncertainties of energies come from the features of atoms
    """

    energy: Reliability
    forces: Reliability
    by_features: bool = False

    def __str__(self) -> str:
        """A table, one line for each quantity."""
        lines = [f"{'':8}{'number':>10}{'factor':>10}{'in 95 %':>10}{'rank corr.':>12}"]
        for name, found in (("energy", self.energy), ("forces", self.forces)):
            parts = f"{found.within_two:>10.1%}{found.rank_correlation:>12.2f}"
            lines.append(f"{name:8}{found.number:>10,}{found.factor:>10.3g}{parts}")
        return "\n".join(lines)


def calibrate(potential: Potential, frames: Iterable[CrystalData]) -> CalibrationReport:
    """Set ``potential.calibration`` such that 68 % of the errors lie within the uncertainty, and say how it fits.

    A quantile of the ratios of errors and spreads, as in conformal prediction (A. N. Angelopoulos and S. Bates,
    https://arxiv.org/abs/2107.07511, 2.3), and not a mean square: a few atoms that collide, or one on which the members
    agree by symmetry, would decide that.

    The uncertainty of an energy is the spread of the members. With 200 frames of five formulas and more,
    :class:`~torch_gptff.nn.ExpectedErrors` are fitted as well, and become the uncertainty where they tell large errors
    from small ones better, on frames of formulas that they were not fitted to.

    Args:
        potential: potential of a committee, whose ``calibration`` is replaced
        frames: labelled frames, with energies relative to the reference that the potential uses, and not among those
            it was trained on

    Raises:
        TrainingError: the model is no committee, no frame has a known energy or none has known forces, or the members
            agree to the last digit.
    """
    if potential.model.num_readouts == 1:
        raise TrainingError("the model has one readout: train one with num_readouts of at least 2 to calibrate it")
    potential.calibration = None
    energies, forces, known = _Pairs(), _Pairs(SILENT), _Known()
    by_atom: list[float] = []
    for chunk in _chunks(frames):
        found = potential.predict(chunk, stress=False, energy_std=True, forces_std=True)
        for frame, prediction in zip(chunk, found, strict=True):
            assert prediction.energy_std is not None
            assert prediction.forces is not None
            assert prediction.forces_std is not None
            error = prediction.energy - frame.energy
            energies.add(error.unsqueeze(1), prediction.energy_std)
            by_atom.append(prediction.energy_std.item() / len(frame.z))
            forces.add(prediction.forces - frame.forces, prediction.forces_std)
            known.add(potential, frame, error.item())
    of_energies, errors = energies.reliability("energies"), None
    if (by_features := known.fitted()) is not None and by_features[1].rank_correlation > of_energies.rank_correlation:
        errors, of_energies, by_atom = by_features
    report = CalibrationReport(of_energies, forces.reliability("forces"), errors is not None)
    seen = report.energy.factor * float(np.quantile(by_atom, NEARLY_ALL))
    potential.calibration = Calibration(report.energy.factor, report.forces.factor, seen, errors)
    return report


class _Known:
    """Features of the atoms of frames with known energies, and their errors."""

    def __init__(self) -> None:
        self._features: list[Values] = []
        self._errors: list[float] = []
        self._formulas: list[str] = []

    def add(self, potential: Potential, frame: CrystalData, error: float) -> None:
        """Add a frame, of whose energy the prediction is off by so many eV."""
        if not np.isfinite(error):
            return
        model = potential.model
        with torch.no_grad():
            graph = model.build_graph(frame.clone().to(next(model.parameters()).device))
            features = model.node_features(graph, model.bond_vectors(graph))
        self._features.append(features.double().cpu().numpy())
        self._errors.append(error)
        self._formulas.append(reduced_formula(frame.z.cpu().numpy()))

    def fitted(self) -> tuple[ExpectedErrors, Reliability, list[float]] | None:
        """Expected errors, how reliable they are on frames of other formulas, and how large, eV/atom; ``None`` with
        few frames."""
        if len(self._errors) < FEWEST or len(set(self._formulas)) < FOLDS:
            return None
        sizes, pairs = np.array([len(each) for each in self._features]), _Pairs()
        errors = np.array(self._errors)
        fit, expected = ErrorFit(self._features, errors / sizes, self._formulas).fitted()
        pairs.add(torch.from_numpy(errors)[:, None], torch.from_numpy(expected * sizes))
        return fit, pairs.reliability("energies"), expected.tolist()


class _Pairs:
    """Errors ``[M, components]`` beside standard deviations ``[M]``; what is not known is left out.

    Args:
        silent: an error and a deviation that are both smaller are left out
    """

    def __init__(self, silent: float = 0.0) -> None:
        self._silent = silent
        self._errors: list[Values] = []
        self._stds: list[Values] = []

    def add(self, error: torch.Tensor, std: torch.Tensor) -> None:
        known = ~error.isnan().any(dim=1) & ~((error.norm(dim=1) < self._silent) & (std < self._silent))
        self._errors.append(error[known].double().numpy())
        self._stds.append(std[known].double().numpy())

    def reliability(self, what: str) -> Reliability:
        from scipy.stats import spearmanr

        errors = np.concatenate(self._errors) if self._errors else np.zeros((0, 1))
        stds = np.concatenate(self._stds) if self._stds else np.zeros(0)
        if not len(errors):
            raise TrainingError(f"no frame to calibrate on has known {what}")
        sizes = np.abs(errors)
        ratios = np.divide(sizes, stds[:, None], out=np.where(sizes > 0, np.inf, 0.0), where=stds[:, None] > 0)
        factor = float(np.quantile(ratios, WITHIN_ONE, method="higher"))
        if factor == np.inf:
            raise TrainingError(f"the members agree on {what} to the last digit: was each of them trained?")
        if factor == 0:
            raise TrainingError(
                f"{what} are known to the last digit: calibrate on data that the model was not made from"
            )
        return Reliability(
            factor=factor,
            number=errors.size,
            within_two=float(np.mean(ratios <= 1.96 * factor)),
            rank_correlation=(
                float(spearmanr(stds, np.linalg.norm(errors, axis=1)).statistic) if len(stds) > 1 else float("nan")
            ),
        )


def _chunks(frames: Iterable[CrystalData]) -> Iterator[list[CrystalData]]:
    remaining = iter(frames)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
