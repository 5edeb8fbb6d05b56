"""SchNet beside PyG's own, on molecules and crystals."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import pytest
import torch
import torch_geometric.nn as pyg
from baseline_tests import BaselineTests
from pyg_reference import radius_graph

from torch_gptff.models import EnergyModel


class TestSchNet(BaselineTests):
    name = "schnet"
    settings: ClassVar[dict[str, Any]] = {
        "hidden_channels": 16,
        "num_filters": 12,
        "num_interactions": 2,
        "num_gaussians": 10,
    }
    refused: ClassVar[list[tuple[dict[str, Any], str]]] = [
        ({"num_gaussians": 1}, "num_gaussians must be at least 2"),
        ({"num_filters": 0}, "num_filters must be positive"),
    ]

    @pytest.fixture
    def both(self) -> tuple[EnergyModel, Any]:
        def interaction_graph(pos: torch.Tensor, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            edge_index = radius_graph(pos, 5.0, batch)
            return edge_index, (pos[edge_index[0]] - pos[edge_index[1]]).norm(dim=-1)

        theirs = pyg.SchNet(**self.settings, cutoff=5.0, interaction_graph=interaction_graph).double()
        ours = self.model()
        absent = ours.load_state_dict(theirs.state_dict(), strict=False)
        assert absent.missing_keys == []
        assert all(".mlp." in name for name in absent.unexpected_keys)  # another name of what .conv.nn. has
        return ours, theirs


@pytest.mark.slow
def test_no_compiled_extension_is_asked_for() -> None:
    """All baselines, with what PyG can be extended by made unavailable."""
    code = """
import sys
for name in ("torch_cluster", "torch_sparse", "torch_scatter", "pyg_lib"):
    sys.modules[name] = None
from ase.build import bulk
from torch_gptff import Potential
from torch_gptff.models import build_model
for name in ("schnet", "dimenet++", "visnet"):
    (found,) = Potential(build_model(name, {"hidden_channels": 8})).predict([bulk("Cu")])
    assert found.stress.isfinite().all()
print("done")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "done\n", result.stderr
