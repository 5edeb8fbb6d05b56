"""Expected errors by the features of atoms: sizes, distances and limits by hand."""

from __future__ import annotations

import math

import pytest
import torch

from torch_gptff.nn import ExpectedErrors


def expected(weights: tuple[float, ...] = (0.0, 0.0, 0.0, math.log(0.01)), least: float = -9.0) -> ExpectedErrors:
    return ExpectedErrors(
        mean=torch.tensor([1.0, 2.0]),
        scale=torch.tensor([1.0, 0.5]),
        precision=torch.eye(2),
        weights=torch.tensor(weights),
        limits=torch.tensor([least, 0.0, 2.0]),
    )


def one(errors: ExpectedErrors, features: torch.Tensor) -> float:
    return errors(features, torch.zeros(len(features), dtype=torch.long), 1).item()


def test_an_error_of_each_atom_times_their_number() -> None:
    errors = expected((0.3, -0.2, 0.1, -4.0))
    features = torch.tensor([[1.5, 2.5], [0.0, 2.2], [1.1, 1.0]])
    assert one(errors, features.repeat(4, 1)) == pytest.approx(4 * one(errors, features), rel=1e-6)
    u = [(0.5, 1.0), (-1.0, 0.4), (0.1, -2.0)]
    exponent = sum(0.3 * x - 0.2 * y + 0.1 * math.log((x * x + y * y) / 2) for x, y in u) / 3 - 4.0
    assert one(errors, features) == pytest.approx(3 * math.exp(exponent), rel=1e-5)


def test_structures_of_a_batch() -> None:
    errors = expected((0.3, -0.2, 0.1, -4.0))
    features = torch.tensor([[1.5, 2.5], [0.0, 2.2], [1.1, 1.0]])
    found = errors(features, torch.tensor([0, 1, 1]), 2)
    assert found.tolist() == pytest.approx([one(errors, features[:1]), one(errors, features[1:])], rel=1e-6)


def test_it_grows_with_the_distance_of_the_farthest_atom() -> None:
    usual, far = torch.tensor([[2.0, 2.5]]), torch.tensor([[7.0, 5.0]])  # u = (1, 1) and (6, 6)
    errors = expected()
    assert errors.distances(torch.cat([usual, far])).tolist() == pytest.approx([1.0, 6.0])
    assert one(errors, usual) == pytest.approx(0.01)
    assert one(errors, torch.cat([usual, far])) == pytest.approx(2 * 1.0 * 3**4)  # exp(0) is the largest that was seen
    nearly = torch.tensor([[1 + 2.25, 2 + 1.125]])  # u = (2.25, 2.25), halfway from 2 to 2.5
    assert one(errors, nearly) == pytest.approx(0.1 * 1.125**4)


def test_exponents_stay_in_their_range() -> None:
    assert one(expected((9.0, 0.0, 0.0, 0.0)), torch.tensor([[2.0, 2.0]])) == pytest.approx(1.0)
    assert one(expected((-9.0, 0.0, 0.0, 0.0), least=-2.0), torch.tensor([[2.0, 2.0]])) == pytest.approx(math.exp(-2))


def test_tensors_of_other_shapes() -> None:
    tensors = expected().tensors()
    with pytest.raises(ValueError, match=r"weights of expected errors must be \[4\] finite numbers; got \[3\]"):
        ExpectedErrors(**tensors | {"weights": torch.zeros(3)})
    with pytest.raises(ValueError, match="mean of expected errors"):
        ExpectedErrors(**tensors | {"mean": torch.tensor([1.0, math.nan])})
