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
