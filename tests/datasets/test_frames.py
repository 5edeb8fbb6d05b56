"""The door through which labels enter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from torch_gptff.datasets.frames import has_labels, is_known, make_frame, reduced_formula
from torch_gptff.errors import LabelError, NonFiniteError, SingularCellError, UnknownElementError
from torch_gptff.graph import CrystalData
from torch_gptff.units import UnitConvention

CELL = np.diag([4.0, 4.0, 5.0])
POSITIONS = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.5]])


def frame(**changes: Any) -> CrystalData:
    arguments = {
        "numbers": [29, 8],
        "positions": POSITIONS,
        "cell": CELL,
        "pbc": True,
        "where": "some.file, frame 7",
        "source": "here",
        "frame_id": "seven",
        "energy": -8.0,
        "forces": np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]]),
        "stress": 0.01 * np.eye(3),
        **changes,
    }
    return make_frame(**arguments)  # type: ignore[arg-type]


def test_fields_have_the_shapes_of_a_record() -> None:
    made = frame()
    assert made.energy.shape == (1,)
    assert made.forces.shape == (2, 3)
    assert made.stress.shape == (1, 3, 3)
    assert {made[key].dtype for key in ("pos", "cell", "energy", "forces", "stress")} == {torch.float64}
    assert (made.material, made.source, made.frame_id, made.split) == ("CuO", "here", "seven", "")


def test_labels_that_are_not_given_are_unknown_and_make_a_batch_with_others() -> None:
    batch = Batch.from_data_list([frame(), frame(energy=None, stress=None), frame(forces=None)])
    assert is_known(batch, "energy").tolist() == [True, False, True]
    assert is_known(batch, "stress").tolist() == [True, False, True]
    assert is_known(batch, "forces").tolist() == [True] * 4 + [False] * 2
    assert not has_labels(frame(energy=None, forces=None, stress=None))


def test_units_are_converted_at_the_door() -> None:
    convention = UnitConvention(energy="per atom", stress_unit="kbar", positive="compression")
    made = frame(energy=-4.0, stress=[10.0, 20.0, 30.0, 4.0, 5.0, 6.0], convention=convention)
    assert made.energy.item() == -8.0
    gpa = made.stress[0] * 160.21766208
    expected = -torch.tensor([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(gpa, expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"energy": float("nan")}, "the energy is not finite"),
        ({"forces": np.array([[np.nan, 0, 0], [0, 0, 0]])}, "the forces are not finite"),
        ({"stress": np.full((3, 3), np.inf)}, "the stress is not finite"),
        ({"forces": np.zeros((3, 3))}, r"forces have the shape \[3, 3\], and must have \[2, 3\]"),
        ({"forces": np.zeros(6)}, r"forces have the shape \[6\]"),
        ({"forces": [[0, 0, 0], [0, 0]]}, "forces are not an array of numbers"),
        ({"stress": np.zeros(5)}, "6, 9 or 3x3 components"),
        ({"energy": "low"}, "energy are not an array of numbers"),
        ({"cell": np.zeros((3, 3)), "pbc": False}, "a stress, but no cell"),
        ({"positions": POSITIONS[:1]}, r"positions have the shape \[1, 3\]"),
    ],
)
def test_a_label_that_cannot_be_is_refused_with_file_and_frame(change: dict[str, Any], said: str) -> None:
    with pytest.raises(LabelError, match=f"some.file, frame 7: .*{said}"):
        frame(**change)


def test_a_structure_that_cannot_be_is_refused_with_file_and_frame() -> None:
    with pytest.raises(NonFiniteError, match=r"some.file, frame 7: atom 1"):
        frame(positions=np.array([[0.0, 0, 0], [np.nan, 0, 0]]))
    with pytest.raises(NonFiniteError, match=r"some.file, frame 7: the structure has a cell with NaN"):
        frame(cell=np.full((3, 3), np.nan))
    with pytest.raises(SingularCellError, match=r"some.file, frame 7"):
        frame(cell=[[4.0, 0, 0], [0, 4.0, 0], [4.0, 4.0, 0]], stress=None)


@pytest.mark.parametrize("number", [0, -1, 119, 10**9])
def test_an_atomic_number_that_no_element_has_is_refused(number: int) -> None:
    with pytest.raises(UnknownElementError, match=f"some.file, frame 7: atom 1 has the atomic number {number}"):
        frame(numbers=[29, number])


def test_inputs_are_copied() -> None:
    forces = np.zeros((2, 3))
    made = frame(forces=forces)
    forces += 1
    assert made.forces.abs().max() == 0


def test_reduced_formula() -> None:
    assert reduced_formula(np.array([26, 8, 8, 26, 8])) == "Fe2O3"
    assert reduced_formula(np.array([3, 26, 15, 8, 8, 8, 8] * 4)) == "LiFePO4"
    assert reduced_formula(np.array([54, 9, 9])) == "XeF2", "without a warning"
