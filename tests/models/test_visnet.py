"""ViSNet beside PyG's own, and where it must differ."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from baseline_tests import BaselineTests, float64_by_default
from pyg_reference import radius_graph
from torch_geometric.nn.models import visnet as pyg

from torch_gptff import CrystalData, Potential
from torch_gptff.models import EnergyModel, ViSNet, ViSNetConfig
from torch_gptff.testing import STRUCTURES

__all__ = ["float64_by_default"]


class TestViSNet(BaselineTests):
    name = "visnet"
    settings: ClassVar[dict[str, Any]] = {"hidden_channels": 12, "num_heads": 3, "num_layers": 3, "num_rbf": 8}
    refused: ClassVar[list[tuple[dict[str, Any], str]]] = [
        ({"num_heads": 5}, "num_heads must divide hidden_channels"),
        ({"lmax": 3}, "lmax must be 1 or 2"),
        ({"softening": -1.0}, "softening must be at least 0"),
        ({"num_layers": 0}, "num_layers must be positive"),
    ]

    @pytest.fixture(params=[{}, {"lmax": 2, "vertex": True, "trainable_rbf": True}], ids=["lmax-1", "lmax-2"])
    def both(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, float64_by_default: None
    ) -> tuple[EnergyModel, Any]:
        monkeypatch.setattr(pyg, "radius_graph", radius_graph)
        theirs = pyg.ViSNet(**self.settings, **request.param).double()
        ours = self.model(softening=0.0, **request.param)
        # One word less: ours has no representation_model and output_model.
        weights = {name.partition(".")[2]: weight for name, weight in theirs.state_dict().items()}
        ours.load_state_dict({name: weights[name] for name in ours.state_dict()})
        return ours, lambda z, pos, batch: theirs(z, pos, batch)[0]


def test_forces_of_symmetric_sites_need_the_softening() -> None:
    """An atom at an inversion centre, moved a little, pulls back in proportion; without softening it is pushed."""
    torch.manual_seed(1)
    soft = ViSNet(ViSNetConfig(hidden_channels=12, num_heads=3, num_layers=2)).double()
    hard = ViSNet(ViSNetConfig(hidden_channels=12, num_heads=3, num_layers=2, softening=0.0)).double()
    hard.load_state_dict(soft.state_dict())

    def force(model: ViSNet, step: float) -> float:
        atoms = STRUCTURES["linear_molecule"]()
        atoms.positions[0, 0] += step
        return Potential(model)(CrystalData.from_ase(atoms), stress=False).forces[0, 0].abs().item()

    assert force(soft, 1e-7) == pytest.approx(0.1 * force(soft, 1e-6), rel=1e-3)
    assert force(hard, 1e-7) == pytest.approx(force(hard, 1e-6), rel=1e-3)
