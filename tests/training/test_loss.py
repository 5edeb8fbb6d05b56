"""The loss and its masks, against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch

from torch_gptff.graph import CrystalData
from torch_gptff.potential import Prediction
from torch_gptff.training.config import LossSettings
from torch_gptff.training.loss import errors, loss
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3 as GPA


def frame(n_atoms: int, energy: float = torch.nan, forces: float = torch.nan, stress: float = torch.nan) -> CrystalData:
    return CrystalData(
        z=torch.ones(n_atoms, dtype=torch.int64),
        pos=torch.zeros(n_atoms, 3),
        cell=torch.eye(3).unsqueeze(0),
        pbc=torch.ones(1, 3, dtype=torch.bool),
        energy=torch.full((1,), energy, dtype=torch.float64),
        forces=torch.full((n_atoms, 3), forces, dtype=torch.float64),
        stress=torch.full((1, 3, 3), stress, dtype=torch.float64),
    )


@pytest.fixture
def batch() -> Batch:
    """Three structures: all labels; energy alone; forces alone."""
    return Batch.from_data_list([frame(2, 1.0, 0.5, 0.01), frame(4, energy=2.0), frame(1, forces=-1.0)])


@pytest.fixture
def prediction() -> Prediction:
    return Prediction(
        energy=torch.tensor([1.2, 2.8, 9.0], dtype=torch.float64, requires_grad=True),
        forces=torch.zeros(7, 3, dtype=torch.float64, requires_grad=True),
        stress=torch.zeros(3, 3, 3, dtype=torch.float64, requires_grad=True),
    )


def test_only_what_is_known_has_an_error(prediction, batch):
    error = errors(prediction, batch)
    torch.testing.assert_close(error.energy, torch.tensor([0.1, 0.2], dtype=torch.float64))  # per atom
    torch.testing.assert_close(error.forces, torch.tensor([[-0.5] * 3, [-0.5] * 3, [1.0] * 3], dtype=torch.float64))
    torch.testing.assert_close(error.stress, torch.full((1, 3, 3), -0.01, dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (LossSettings(function="l1"), 0.15 + 2 / 3 + 0.01 * GPA),
        (LossSettings(function="l2"), 0.025 + 0.5 + (0.01 * GPA) ** 2),
        (LossSettings(function="l1", energy=2.0, forces=0.0, stress=0.0), 0.3),
        (LossSettings(function="l1", energy=0.0, stress=0.0, force_norm=True), 2 / 3 * 3**0.5),
        (LossSettings(function="huber", delta=0.15, forces=0.0, stress=0.0), (0.1**2 / 2 + 0.15 * (0.2 - 0.075)) / 2),
    ],
)
def test_values(prediction, batch, settings, expected):
    assert float(loss(errors(prediction, batch), settings).detach()) == pytest.approx(expected)


def test_what_is_unknown_has_no_gradient(prediction, batch):
    loss(errors(prediction, batch), LossSettings()).backward()
    assert prediction.energy.grad[2] == 0
    assert bool((prediction.forces.grad[2:6] == 0).all())
    assert bool((prediction.stress.grad[1:] == 0).all())
    assert bool((prediction.forces.grad[[0, 1, 6]] != 0).all())


def test_nothing_known_is_no_loss(prediction):
    batch = Batch.from_data_list([frame(2), frame(4), frame(1)])
    assert loss(errors(prediction, batch), LossSettings()) == 0
