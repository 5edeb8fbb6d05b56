"""The record: made from tensors, counted and batched."""

from __future__ import annotations

import pytest
import torch

from torch_gptff.errors import GraphError
from torch_gptff.graph import CrystalData, structure_index

Z, POS = torch.tensor([1, 8, 6]), torch.randn(3, 3)
CELL = torch.eye(3).unsqueeze(0)


def test_molecule():
    data = CrystalData.from_tensors(Z, POS)
    assert not data.pbc.any()
    assert not data.cell.any()
    batch, n_structures = structure_index(data)
    assert (batch.tolist(), n_structures) == ([0, 0, 0], 1)


def test_crystal():
    data = CrystalData.from_tensors(Z, POS, cell=CELL)
    assert data.pbc.tolist() == [[True, True, True]]
    assert data.cell is CELL


@pytest.mark.parametrize("pbc", [True, [True], [True, False, True], torch.ones(1, 3, dtype=torch.bool)])
def test_one_choice_of_periods_is_for_all(pbc):
    batch = torch.tensor([0, 1, 1])
    data = CrystalData.from_tensors(Z, POS, batch, CELL.repeat(2, 1, 1), pbc)
    expected = torch.as_tensor(pbc).broadcast_to(2, 3)
    assert torch.equal(data.pbc, expected)
    data.pbc[0, 0] = False
    assert data.pbc[1, 0], "structures do not share memory"


def test_molecules_of_a_batch_are_counted():
    data = CrystalData.from_tensors(Z, POS, torch.tensor([0, 0, 1]))
    batch, n_structures = structure_index(data)
    assert (batch.tolist(), n_structures) == ([0, 0, 1], 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pos": POS[:2]}, r"pos \[N, 3\]; got \[3\] and \[2, 3\]"),
        ({"pos": POS[:, :2]}, r"got \[3\] and \[3, 2\]"),
        ({"z": Z.view(1, 3)}, r"z must be \[N\]"),
        ({"batch": torch.tensor([0, 0])}, r"batch must be \[N\] like z; got \[2\] and \[3\]"),
        ({"batch": torch.tensor([1, 0, 0])}, "ascending"),
        ({"cell": torch.eye(3)}, r"cell must be \[B, 3, 3\].*got \[3, 3\]"),
        ({"cell": CELL.repeat(2, 1, 1)}, "2 cells but no batch"),
        ({"cell": CELL, "batch": torch.tensor([0, 0, 1])}, "batch names structure 1, but there are 1 cells"),
        ({"cell": CELL, "pbc": [True, False]}, r"pbc must be \[B, 3\], three bools or one; got \[2\]"),
        ({"cell": CELL, "pbc": torch.ones(2, 3)}, r"got \[2, 3\]"),
    ],
)
def test_tensors_that_do_not_fit(arguments, message):
    with pytest.raises(GraphError, match=message):
        CrystalData.from_tensors(**{"z": Z, "pos": POS, **arguments})
