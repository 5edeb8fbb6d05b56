"""ACWF's equations of state, whose stress is checked against their energies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from torch_gptff.datasets import detect_format, is_known, read_frames
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3


@pytest.fixture(scope="module")
def crystals(shared_data: Path) -> dict[str, list[CrystalData]]:
    folder = shared_data / "data/acwf_eos"
    frames = [
        frame
        for name in ("unaries", "oxides")
        for frame in read_frames(folder / f"results-{name}-verification-PBE-v1-vasp.json")
    ]
    return {material: list(group) for material, group in groupby(frames, key=lambda frame: frame.material)}


def test_counts(crystals: dict[str, list[CrystalData]], shared_data: Path) -> None:
    path = shared_data / "data/acwf_eos/results-oxides-verification-PBE-v1-vasp.json"
    assert detect_format(path) == "acwf"
    assert len(crystals) == 960
    assert {len(frames) for frames in crystals.values()} == {7}
    assert {1, 14} <= {len(frames[0].z) for frames in crystals.values()} <= set(range(1, 15))
    every = [frame for frames in crystals.values() for frame in frames]
    assert all(bool(is_known(frame, "energy") & is_known(frame, "stress")) for frame in every)
    assert not any(bool(is_known(frame, "forces").any()) for frame in every)


def test_stress_is_the_slope_of_the_energy(crystals: dict[str, list[CrystalData]]) -> None:
    """``tr σ / 3 = dE/dV``, tension positive, of all 960 crystals: a parabola through three volumes gives the slope."""
    mismatch = {material: _mismatch(frames) for material, frames in crystals.items()}
    assert np.median(list(mismatch.values())) < 0.1
    assert np.quantile(list(mismatch.values()), 0.95) < 1.0


def test_cells_that_vasp_reduced(crystals: dict[str, list[CrystalData]]) -> None:
    """The cell of the structure holds twice what was calculated: the energy is doubled, the stress is not."""
    for material, n_atoms in (("O-XO", 2), ("O-X2O5", 14)):
        frames = crystals[material]
        assert len(frames[0].z) == n_atoms
        assert -7 < float(frames[3].energy) / n_atoms < -2
        assert _mismatch(frames) < 0.2


def _mismatch(frames: Sequence[CrystalData]) -> float:
    """Median over the inner volumes of the difference between tension and slope, GPa."""
    volumes = np.array([abs(np.linalg.det(frame.cell[0].numpy())) for frame in frames])
    energies = np.array([float(frame.energy) for frame in frames])
    assert np.all(np.diff(volumes) > 0)
    slopes = [
        np.polyval(np.polyder(np.polyfit(volumes[k - 1 : k + 2] - volumes[k], energies[k - 1 : k + 2], 2)), 0)
        for k in range(1, len(frames) - 1)
    ]
    tensions = [np.trace(frame.stress[0].numpy()) / 3 for frame in frames[1:-1]]
    return float(np.median(np.abs(np.subtract(tensions, slopes)))) * GPA_PER_EV_PER_ANGSTROM3


def test_codes_without_stress(shared_data: Path) -> None:
    folder = shared_data / "data/acwf_eos"
    frames = read_frames(folder / "results-unaries-verification-PBE-v1-fleur.json")
    first = [next(frames) for _ in range(7)]
    assert all(bool(is_known(frame, "energy")) and not bool(is_known(frame, "stress")) for frame in first)


def test_averages_have_no_energies(shared_data: Path) -> None:
    with pytest.raises(UnreadableDataError, match=r"there is no 'eos_data'"):
        list(read_frames(shared_data / "data/acwf_eos/results-unaries-verification-PBE-v1-AE-average.json"))


def test_missing_structures_are_named(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "data/acwf_eos/results-unaries-verification-PBE-v1-vasp.json"
    with pytest.raises(UnreadableDataError, match=r"Ac-BCC.xsf: the structure of Ac-X/BCC is missing"):
        list(read_frames(path, structures=tmp_path))
