"""The conformance suite on the models that GPTFF is compared with."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from one_potential import OnePotentialConformance

from torch_gptff.models import build_model
from torch_gptff.potential import Potential


def shaken(name: str, **settings: object) -> Potential:
    """Random weights, biases that training would have moved from 0 included, and random energies of the elements."""
    torch.manual_seed(0)
    potential = Potential(build_model(name, settings), torch.randn(95).tolist()).double().eval()
    with torch.no_grad():
        for weight in potential.parameters():
            weight += 0.03 * torch.randn_like(weight)
    return potential


class TestSchNet(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return shaken("schnet", hidden_channels=16, num_filters=12, num_interactions=2, num_gaussians=10)


DIMENET = {
    "hidden_channels": 12,
    "num_blocks": 2,
    "int_emb_size": 8,
    "out_emb_channels": 10,
    "num_spherical": 7,
    "num_radial": 4,
    "num_output_layers": 1,
}


class TestDimeNet(OnePotentialConformance):
    float32_energy: ClassVar[float] = 5e-6  # of energies of up to 9 eV an atom

    @staticmethod
    def make() -> Potential:
        return shaken("dimenet++", **DIMENET)


@pytest.mark.slow
class TestDimeNetOfOneCutoff(OnePotentialConformance):
    """As published: angles between all bonds."""

    float32_energy: ClassVar[float] = 5e-6

    @staticmethod
    def make() -> Potential:
        return shaken("dimenet++", **DIMENET, cutoff=4.2, angle_cutoff=4.2)


VISNET = {"hidden_channels": 12, "num_heads": 3, "num_layers": 3, "num_rbf": 8}


class TestViSNet(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return shaken("visnet", **VISNET)


@pytest.mark.slow
class TestViSNetOfDegreeTwo(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return shaken("visnet", **VISNET, lmax=2, vertex=True, trainable_rbf=True)
