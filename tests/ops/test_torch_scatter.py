"""With torch-scatter installed, PyG takes it for some sums and maxima: numbers and derivatives stay the same."""

from __future__ import annotations

import pytest
import torch
import torch_geometric.typing
from ase.build import bulk
from torch_geometric.utils import segment, softmax

from torch_gptff import CrystalData
from torch_gptff.graph import neighbor_list
from torch_gptff.nn import AtomConv

pytest.importorskip("torch_scatter")


@pytest.fixture(params=[True, False], ids=["with", "without"])
def scatter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether PyG takes torch-scatter."""
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", request.param)
    return request.param


def bonds() -> tuple[torch.Tensor, int]:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    data = CrystalData.from_ase(atoms)
    return neighbor_list(data, 4.0)[0], len(atoms)


@pytest.mark.parametrize("aggr", ["add", "max", "mean", "softmax"])
def test_layers_have_right_derivatives_of_first_and_second_order(aggr: str, scatter: bool) -> None:
    edge_index, n_atoms = bonds()
    layer = AtomConv(4, 3, aggr=aggr).double()
    x, e, radial = (torch.randn(n, k, dtype=torch.float64) for n, k in ((n_atoms, 4), (edge_index.size(1), 4),
                                                                        (edge_index.size(1), 3)))  # fmt: skip
    assert torch.autograd.gradcheck(lambda x: layer(x, edge_index, e, radial), x.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda x: layer(x, edge_index, e, radial), x)


def test_sums_maxima_and_softmax_are_those_of_torch(scatter: bool) -> None:
    edge_index, n_atoms = bonds()
    centre = edge_index[1]
    starts = torch.searchsorted(centre, torch.arange(n_atoms + 1))
    x = torch.randn(len(centre), 2, dtype=torch.float64)
    of_atom = [x[centre == atom] for atom in range(n_atoms)]
    expected = {"sum": [each.sum(0) for each in of_atom], "max": [each.amax(0) for each in of_atom]}
    for reduce, values in expected.items():
        torch.testing.assert_close(segment(x, starts, reduce), torch.stack(values))
    torch.testing.assert_close(softmax(x, centre), torch.cat([each.softmax(0) for each in of_atom]))


@pytest.mark.parametrize("aggr", ["max", "min"])
def test_extremes_are_those_of_each_atom_with_and_without(aggr: str, scatter: bool) -> None:
    """Also of atoms without bonds, and where targets do not ascend."""
    edge_index, n_atoms = bonds()
    layer = AtomConv(4, 3, aggr=aggr).double()
    messages = torch.randn(edge_index.size(1), 4, dtype=torch.float64, requires_grad=True)
    found = layer.aggregate(messages, edge_index[1], dim_size=n_atoms + 2)
    extremes = [getattr(messages[edge_index[1] == atom], f"a{aggr}")(0) for atom in range(n_atoms)]
    expected = torch.stack([*extremes, torch.zeros(4), torch.zeros(4)])
    torch.testing.assert_close(found, expected)
    order = torch.randperm(edge_index.size(1))
    torch.testing.assert_close(layer.aggregate(messages[order], edge_index[1][order], dim_size=n_atoms + 2), expected)


def test_only_extremes_of_ascending_targets_are_taken_by_torch_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(
        "torch_gptff.nn.segments.segment", lambda x, ptr, reduce: taken.append(reduce) or segment(x, ptr, reduce)
    )
    edge_index, n_atoms = bonds()
    messages = torch.randn(edge_index.size(1), 4)
    for aggr in ("max", "min", "mean", "add", "softmax"):
        AtomConv(4, 3, aggr=aggr).aggregate(messages, edge_index[1], dim_size=n_atoms)
    AtomConv(4, 3, aggr="max").aggregate(messages, edge_index[1].flip(0), dim_size=n_atoms)
    assert taken == ["max", "min"]
