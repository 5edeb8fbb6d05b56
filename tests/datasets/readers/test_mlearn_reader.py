"""mlearn, whose stresses are in another order for every other element."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from torch_gptff.datasets import detect_format, is_known, read_frames
from torch_gptff.datasets.fingerprints import structure_digest
from torch_gptff.datasets.readers import mlearn
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData

N_FRAMES = {"Cu": (262, 31), "Ni": (263, 31), "Li": (241, 29), "Mo": (194, 23), "Si": (214, 25), "Ge": (228, 25)}


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> dict[str, list[CrystalData]]:
    read: dict[str, list[CrystalData]] = {element: [] for element in N_FRAMES}
    for frame in read_frames(shared_data / "data/mlearn"):
        read[frame.material].append(frame)
    return read


def test_counts(frames: dict[str, list[CrystalData]], shared_data: Path) -> None:
    assert detect_format(shared_data / "data/mlearn") == "mlearn"
    assert detect_format(shared_data / "data/mlearn/Mo/test.json") == "mlearn"
    for element, (n_train, n_test) in N_FRAMES.items():
        assert Counter(frame.split for frame in frames[element]) == {"train": n_train, "test": n_test}
        assert all(bool(is_known(frame, "stress")) for frame in frames[element])


def test_energies_are_of_the_cell(frames: dict[str, list[CrystalData]]) -> None:
    """Also copper's and nickel's, whose training set is kept with energies per atom."""
    cohesive = {"Cu": -3.73, "Ni": -5.47, "Li": -1.90, "Mo": -10.9, "Si": -5.42, "Ge": -4.5}
    for element, expected in cohesive.items():
        per_atom = [float(frame.energy) / len(frame.z) for frame in frames[element]]
        assert expected - 0.6 < min(per_atom) < max(per_atom) < expected + 2.7
        train, test = (
            np.mean([float(frame.energy) / len(frame.z) for frame in frames[element] if frame.split == split])
            for split in ("train", "test")
        )
        assert train == pytest.approx(test, abs=0.15)


def test_stress_opposes_strain_component_by_component(frames: dict[str, list[CrystalData]]) -> None:
    """The strained cells of the Elastic group: under a shear of one kind, the stress is a shear of that kind.

    And of its sign, but for lithium, whose tiny shear stresses are not converged in the data.
    """
    for element in ("Mo", "Si", "Ge", "Li"):
        elastic = [frame for frame in frames[element] if "Elastic" in frame.frame_id]
        counts = shear_agreement(elastic, with_sign=element != "Li")
        assert counts["agree"] >= 4, element
        assert counts["differ"] == 0, element


@pytest.mark.parametrize("element", ["Mo", "Si", "Ge", "Li"])
def test_with_the_other_order_the_shears_do_not_agree(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, element: str
) -> None:
    """So the test above would see an order that is wrong."""
    other = mlearn.STRESS_ORDER["Si" if element == "Mo" else "Mo"]
    monkeypatch.setitem(mlearn.STRESS_ORDER, element, other)
    read = [frame for frame in read_frames(shared_data / "data/mlearn" / element) if "Elastic" in frame.frame_id]
    assert shear_agreement(read)["differ"] >= 4


def shear_agreement(frames: list[CrystalData], with_sign: bool = False) -> dict[str, int]:
    """Frames under a shear of one kind alone, in which the largest shear stress is, and is not, of that kind."""
    reference = np.eye(3) * np.median([abs(np.linalg.det(frame.cell[0].numpy())) ** (1 / 3) for frame in frames])
    counts = {"agree": 0, "differ": 0}
    for frame in frames:
        deformation = np.linalg.solve(reference, frame.cell[0].numpy()) - np.eye(3)
        strain = (deformation + deformation.T) / 2
        shears = np.abs([strain[1, 2], strain[0, 2], strain[0, 1]])
        kind = shears.argmax()
        others = np.delete(shears, kind)
        if shears[kind] < 5e-3 or others.max() > 0.2 * shears[kind]:
            continue
        stress = frame.stress[0].numpy()
        stresses = np.array([stress[1, 2], stress[0, 2], stress[0, 1]])
        same_sign = stresses[kind] * [strain[1, 2], strain[0, 2], strain[0, 1]][kind] > 0
        right = np.abs(stresses).argmax() == kind and (same_sign or not with_sign)
        counts["agree" if right else "differ"] += 1
    return counts


def test_tension_is_positive(frames: dict[str, list[CrystalData]]) -> None:
    """Of all frames of an element, those of larger volume per atom pull and those of smaller push."""
    for element, listed in frames.items():
        elastic = [frame for frame in listed if "Surface" not in frame.frame_id and "Vacancy" not in frame.frame_id]
        volumes = np.array([abs(np.linalg.det(frame.cell[0].numpy())) / len(frame.z) for frame in elastic])
        tensions = np.array([np.trace(frame.stress[0].numpy()) for frame in elastic])
        near = np.abs(volumes / np.median(volumes) - 1) < 0.2
        assert np.corrcoef(volumes[near], tensions[near])[0, 1] > 0.2, element


def test_rows_behind_the_training_set_are_never_read(shared_data: Path) -> None:
    """They repeat the test set, with stresses of other frames."""
    frames = list(read_frames(shared_data / "data/mlearn/Cu/alignn_id_prop.json"))
    assert len(frames) == 262
    tests = list(read_frames(shared_data / "data/mlearn/Cu/test.json"))
    trained = {structure_digest(frame) for frame in frames}
    assert not trained & {structure_digest(frame) for frame in tests}


def test_a_folder_without_elements(tmp_path: Path) -> None:
    (tmp_path / "Fe").mkdir()
    with pytest.raises(UnreadableDataError, match=r"no folder with training.json and test.json"):
        list(read_frames(tmp_path, format="mlearn"))
