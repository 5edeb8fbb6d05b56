"""Expected errors that are fitted to errors of a known size, and to errors that nothing tells."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr

from torch_gptff.evaluation.error_fit import ErrorFit


def frames(number: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Features of atoms of crystals that differ from each other more than their atoms do."""
    return [rng.normal(size=6) + 0.3 * rng.normal(size=(rng.integers(1, 6), 6)) for _ in range(number)]


def test_errors_whose_size_the_features_tell() -> None:
    rng = np.random.default_rng(0)
    features = frames(600, rng)
    size = np.exp([each.mean(0) @ [1.0, -0.5, 0, 0, 0, 0] - 3 for each in features])
    fit, held_out = ErrorFit(features, size * rng.normal(size=600), [str(n) for n in range(600)]).fitted()
    assert spearmanr(held_out, size).statistic > 0.9
    slopes = fit.weights[:6] / fit.scale
    assert slopes[0] > 0.5
    assert slopes[1] < -0.25
    assert slopes[2:].abs().max() < 0.2


def test_errors_that_nothing_tells() -> None:
    rng = np.random.default_rng(1)
    errors = rng.normal(size=400)
    _, held_out = ErrorFit(frames(400, rng), errors, [str(n) for n in range(400)]).fitted()
    assert abs(spearmanr(held_out, abs(errors)).statistic) < 0.15
    assert held_out.std() < 0.3 * held_out.mean()


def test_frames_of_one_formula_do_not_tell_each_other() -> None:
    rng = np.random.default_rng(2)
    features, errors = frames(80, rng) * 5, np.tile(rng.normal(size=80) ** 3, 5)
    groups = [str(n) for n in range(80)] * 5
    apart = ErrorFit(features, errors, groups).fitted()[1]
    leaking = ErrorFit(features, errors, [str(n) for n in range(400)]).fitted()[1]
    assert spearmanr(leaking, abs(errors)).statistic > spearmanr(apart, abs(errors)).statistic + 0.1


def test_an_atom_unlike_all_others() -> None:
    rng = np.random.default_rng(3)
    features = frames(300, rng)
    fit, _ = ErrorFit(features, rng.normal(size=300), [str(n) for n in range(300)]).fitted()
    far = torch.from_numpy(np.vstack([features[0], 8 * np.ones(6)]))
    one = torch.zeros(len(far), dtype=torch.long)
    assert fit.distances(far)[-1] > 2 * fit.limits[2]
    assert fit(far, one, 1) > 10 * fit(far[:-1], one[:-1], 1)
