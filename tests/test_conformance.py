"""The conformance suite on GPTFF: the recommended model, its variants (slow), and the published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from one_potential import OnePotentialConformance, potential_of

from torch_gptff.io.pretrained import load_pretrained
from torch_gptff.io.published import load_published
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.ops.native import geometric
from torch_gptff.potential import Potential


def untrained(config: GPTFFConfig) -> Potential:
    """GPTFF with random weights, and random energies of the elements."""
    torch.manual_seed(0)
    return Potential(GPTFF(config), torch.randn(95).tolist()).double().eval()


class TestRecommended(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig())


@pytest.mark.slow
class TestLarge(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.large(channels=64, feedforward_channels=64))


class TestGeometricAttentionWithoutKernels(OnePotentialConformance):
    """As on a machine without a compiler; with other widths, heads and cutoffs."""

    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig(channels=12, num_layers=2, num_radial=5, degree=2, heads=3, cutoff=4.2))

    @pytest.fixture
    def potential(self, monkeypatch: pytest.MonkeyPatch) -> Potential:
        monkeypatch.setattr(geometric, "is_available", lambda dtype, degree: False)
        return potential_of(type(self))


@pytest.mark.slow
class TestGeometricAttentionOnChemicalBonds(OnePotentialConformance):
    """One layer, which is the first and the last, and one head."""

    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig(channels=16, num_layers=1, degree=2, heads=1, cutoff=3.3, feedforward_channels=8))


@pytest.mark.slow
class TestGeometricAttentionLayerByLayer(OnePotentialConformance):
    """With kernels, but not in one call for the whole model, whose widths are multiples of 32."""

    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig(channels=48, num_layers=2, heads=3, feedforward_channels=24))


@pytest.mark.slow
class TestGeometricAttentionInRangesOfCentres(OnePotentialConformance):
    """As a structure larger than memory is computed: a few atoms at a time. Not in one call, as above."""

    @staticmethod
    def make() -> Potential:
        potential = untrained(GPTFFConfig(channels=32, num_layers=2, heads=2, feedforward_channels=24))
        potential.model.max_bonds = 120
        return potential


class TestUniversal(OnePotentialConformance):
    """What a universal model has besides: a committee of readouts, and the repulsion of nuclei."""

    @staticmethod
    def make() -> Potential:
        config = GPTFFConfig(
            channels=32, num_layers=2, heads=2, feedforward_channels=32, num_readouts=3, repulsion=True, max_z=96
        )
        return untrained(config)

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        return [*super().crossings(potential), ("pair", 2.68)]  # the covalent radii of Na and Cl


@pytest.mark.slow
class TestShipped(OnePotentialConformance):
    """The weights of the package."""

    @staticmethod
    def make() -> Potential:
        return load_pretrained("gptff-universal").double().eval()


@pytest.mark.slow
class TestShippedLarge(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return load_pretrained("gptff-universal-large").double().eval()


class TestPaper(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.paper())


@pytest.mark.slow
class TestOneCutoff(OnePotentialConformance):
    """Other widths and cutoffs than the published ones, and one cutoff for bonds and angles."""

    @staticmethod
    def make() -> Potential:
        config = GPTFFConfig.paper(channels=12, num_layers=2, num_radial=5, cutoff=4.2, angle_cutoff=4.2, heads=3)
        return untrained(config)


@pytest.mark.slow
class TestWithoutTransformer(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.paper(channels=16, num_layers=2, transformer="none"))


@pytest.mark.slow
class TestGlobalTransformer(OnePotentialConformance):
    reasons: ClassVar[Mapping[str, str]] = {
        "is_extensive": "an atom attends to the atoms of both fragments, however far apart",
        "is_local": "every atom attends to every other",
    }

    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.paper(channels=16, num_layers=2, transformer="global"))


@pytest.mark.slow
class TestHarmonicAngles(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        settings = {"channels": 12, "num_layers": 1, "num_radial": 5, "angle_cutoff": 4.0}
        return untrained(GPTFFConfig.paper(**settings, angle_update="harmonic"))

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        return [*super().crossings(potential), ("triplet", 4.0), ("rattled_crystal", 4.0)]


SMALL = {"channels": 8, "num_layers": 1, "num_radial": 4}


@pytest.mark.slow
class TestRangesOfCentres(OnePotentialConformance):
    """As a structure larger than memory is computed: a few atoms at a time."""

    @staticmethod
    def make() -> Potential:
        potential = untrained(GPTFFConfig.paper(**SMALL))
        potential.model.max_bonds = 120
        return potential


@pytest.mark.slow
class TestRepulsion(OnePotentialConformance):
    """With the repulsion of nuclei, which ends within the bonds of most of the structures."""

    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.paper(**SMALL, repulsion=True))

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        return [*super().crossings(potential), ("pair", 2.68)]  # the covalent radii of Na and Cl


@pytest.mark.slow
class TestCommittee(OnePotentialConformance):
    @staticmethod
    def make() -> Potential:
        return untrained(GPTFFConfig.paper(**SMALL, num_readouts=3))


@cache
def published(path: Path) -> Potential:
    return load_published(path).double()


class Published(OnePotentialConformance):
    reasons: ClassVar[Mapping[str, str]] = {
        "is_extensive": "the readout is a network of the sum of all atoms, and no sum over atoms",
        "is_local": "the readout makes every atom's force depend on the sum over all atoms",
        "is_smooth": "no envelope: a neighbour comes with all its weight at the cutoff",
    }


@pytest.mark.slow
class TestPublishedV1(Published):
    @pytest.fixture
    def potential(self, shared_data: Path) -> Potential:
        return published(shared_data / "pretrained" / "gptff_v1.pth")


class TestPublishedV2(Published):
    @pytest.fixture
    def potential(self, shared_data: Path) -> Potential:
        return published(shared_data / "pretrained" / "gptff_v2.pth")
