"""What a dataset holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.datasets import CrystalDataset, Source, dataset_statistics
from torch_gptff.datasets.histogram import LogHistogram
from torch_gptff.errors import DatasetError
from torch_gptff.graph import CrystalData, PeriodicRadiusGraph
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3


@settings(deadline=None)
@given(st.lists(st.floats(1e-10, 1e10), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_quantiles_are_right_to_one_per_cent(values: list[float], fraction: float) -> None:
    histogram = LogHistogram()
    for part in np.array_split(np.array(values), 3):
        histogram.add(part)
    exact = np.quantile(values, fraction, method="inverted_cdf")
    assert histogram.quantile(fraction) == pytest.approx(exact, rel=0.011)
    assert histogram.largest == max(values)
    assert histogram.mean == pytest.approx(np.mean(values))
    assert histogram.rms == pytest.approx(np.sqrt(np.mean(np.square(values))))


def test_zeros_and_nothing() -> None:
    histogram = LogHistogram()
    assert np.isnan(histogram.quantile(0.5))
    histogram.add(np.array([0.0, 0.0, 1.0]))
    assert histogram.quantile(0.5) == 0.0
    assert histogram.quantile(1.0) == pytest.approx(1.0, rel=0.01)


def test_counts_and_distributions(frames: list[CrystalData]) -> None:
    frames[2].stress = torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    statistics = dataset_statistics(frames)
    assert statistics.n_frames == 12
    assert statistics.n_atoms == sum(len(frame.z) for frame in frames) == 72
    assert statistics.atoms_per_frame == (4, 6.0, 8)
    assert statistics.known == {"energy": 12, "forces": 12, "stress": 11}
    assert statistics.sources == {"one": 6, "two": 6}
    assert statistics.splits == {"test": 4, "train": 8}
    assert statistics.n_materials == len({frame.material for frame in frames})
    copper = [frame for frame in frames if 29 in frame.z]
    assert statistics.elements[29] == (len(copper), sum(int((frame.z == 29).sum()) for frame in copper))
    forces = torch.cat([frame.forces for frame in frames]).abs()
    assert statistics.forces is not None
    assert statistics.forces.number == 216
    assert statistics.forces.mean == pytest.approx(float(forces.mean()))
    assert statistics.forces.largest == pytest.approx(float(forces.max()))
    stress = torch.cat([frame.stress for frame in frames if not bool(frame.stress.isnan().any())]).abs()
    assert statistics.stress is not None
    assert statistics.stress.rms == pytest.approx(float((stress**2).mean().sqrt()) * GPA_PER_EV_PER_ANGSTROM3)
    per_atom = [float(frame.energy) / len(frame.z) for frame in frames]
    assert statistics.energy_per_atom == pytest.approx((min(per_atom), np.mean(per_atom), max(per_atom)))


def test_a_dataset_is_looked_at_as_it_is_stored(frames: list[CrystalData]) -> None:
    def fail(frame: CrystalData) -> CrystalData:
        raise AssertionError("transformed")

    dataset = CrystalDataset.from_frames([PeriodicRadiusGraph(3.0)(frame) for frame in frames], transform=fail)
    assert dataset_statistics(dataset).n_frames == 12


def test_missing_labels(frames: list[CrystalData]) -> None:
    for frame in frames:
        frame.energy = frame.energy * float("nan")
        frame.forces = frame.forces * float("nan")
    statistics = dataset_statistics(frames)
    assert statistics.energy_per_atom is None
    assert statistics.residual is None
    assert statistics.forces is None
    assert statistics.element_energies == {}
    assert statistics.known == {"energy": 0, "forces": 0, "stress": 12}
    with pytest.raises(DatasetError, match=r"there are no frames"):
        dataset_statistics([])


def test_outliers(make_atoms: Callable, to_frame: Callable[..., CrystalData]) -> None:
    frames = [to_frame(make_atoms(3 * seed), frame_id=f"f-{seed}") for seed in range(40)]
    assert dataset_statistics(frames).outliers == ()
    frames[7].energy = frames[7].energy + 40
    frames[9].forces[1, 2] = 80.0
    frames[11].stress = frames[11].stress + 2 * torch.eye(3)
    found = {(outlier.number, outlier.frame_id): outlier.why for outlier in dataset_statistics(frames).outliers}
    assert found[7, "f-7"].startswith("an energy +")
    assert "a force of 80" in found[9, "f-9"]
    assert "a stress of 3" in found[11, "f-11"]
    assert len(found) == 3


@pytest.mark.slow
def test_diverged_frames_of_titanium_are_found(shared_data: Path) -> None:
    """0.23 % of its frames have an energy above −3 eV per atom, as its source says."""
    source = Source(shared_data / "data/saidi_elements/Ti_iter0.tar.xz", options={"type_map": ["Ti"]})
    frames = list(source.read())
    assert len(frames) == 3508
    statistics = dataset_statistics(frames)
    diverged = {number for number, frame in enumerate(frames) if float(frame.energy) / len(frame.z) > -3}
    assert len(diverged) == round(0.0023 * 3508)
    assert diverged <= {outlier.number for outlier in statistics.outliers}
    assert len(statistics.outliers) < 60
    assert statistics.forces is not None
    assert statistics.forces.largest == pytest.approx(280, abs=1)
    (close,) = statistics.suspicions
    assert "nearer than a third of touching in 6 of 3508 frames, down to 0.74 Å" in close
