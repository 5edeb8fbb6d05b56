"""The conformance suite on GPTFF: the recommended model, its variants, and the published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from torch_gptff.io.published import load_published
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.potential import Potential
from torch_gptff.testing import EnergyModelConformance


def untrained(**settings: object) -> Potential:
    """GPTFF with random weights, and random energies of the elements."""
    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(**settings))
    return Potential(model, torch.randn(95).tolist()).double().eval()


class TestRecommended(EnergyModelConformance):
    @pytest.fixture
    def potential(self) -> Potential:
        return untrained()


class TestSmall(EnergyModelConformance):
    """Other widths and cutoffs than the published ones, and one cutoff for bonds and angles."""

    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=12, num_layers=2, num_radial=5, cutoff=4.2, angle_cutoff=4.2, heads=3)


class TestWithoutTransformer(EnergyModelConformance):
    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=16, num_layers=2, transformer="none")


class TestGlobalTransformer(EnergyModelConformance):
    reasons: ClassVar[Mapping[str, str]] = {
        "is_extensive": "an atom attends to the atoms of both fragments, however far apart",
        "is_local": "every atom attends to every other",
    }

    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=16, num_layers=2, transformer="global")


class TestHarmonicAngles(EnergyModelConformance):
    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=12, num_layers=1, num_radial=5, angle_update="harmonic", angle_cutoff=4.0)

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        return [*super().crossings(potential), ("triplet", 4.0), ("rattled_crystal", 4.0)]


class TestRangesOfCentres(EnergyModelConformance):
    """As a structure larger than memory is computed: a few atoms at a time."""

    @pytest.fixture
    def potential(self) -> Potential:
        potential = untrained(channels=8, num_layers=1, num_radial=4)
        potential.model.max_bonds = 120
        return potential


class TestRepulsion(EnergyModelConformance):
    """With the repulsion of nuclei, which ends within the bonds of most of the structures."""

    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=8, num_layers=1, num_radial=4, repulsion=True)

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        return [*super().crossings(potential), ("pair", 2.68)]  # the covalent radii of Na and Cl


class TestCommittee(EnergyModelConformance):
    @pytest.fixture
    def potential(self) -> Potential:
        return untrained(channels=8, num_layers=1, num_radial=4, num_readouts=3)


class Published(EnergyModelConformance):
    reasons: ClassVar[Mapping[str, str]] = {
        "is_extensive": "the readout is a network of the sum of all atoms, and no sum over atoms",
        "is_local": "the readout makes every atom's force depend on the sum over all atoms",
        "is_smooth": "no envelope: a neighbour comes with all its weight at the cutoff",
    }


class TestPublishedV1(Published):
    @pytest.fixture
    def potential(self, shared_data: Path) -> Potential:
        return load_published(shared_data / "pretrained" / "gptff_v1.pth").double()


class TestPublishedV2(Published):
    @pytest.fixture
    def potential(self, shared_data: Path) -> Potential:
        return load_published(shared_data / "pretrained" / "gptff_v2.pth").double()
