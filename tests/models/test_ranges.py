"""A graph computed a range of centres at a time gives what it gives as a whole."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk
from torch_geometric.data import Batch

from torch_gptff.graph.convert import from_ase
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.models.geometry import ranges_of_centres
from torch_gptff.potential import Potential


@pytest.fixture
def batch() -> Batch:
    structures = [bulk("NaCl", "rocksalt", a=5.64) * (2, 1, 1), bulk("Ti") * (2, 2, 1), bulk("Si")]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
    return Batch.from_data_list([from_ase(atoms) for atoms in structures])


@pytest.mark.parametrize("config", [GPTFFConfig(channels=4), GPTFFConfig.paper(channels=4)], ids=["geometric", "paper"])
@pytest.mark.parametrize("max_bonds", [1, 50, 173, 10_000])
def test_ranges_cover_everything_once(batch, max_bonds, config):
    graph = GPTFF(config).build_graph(batch)
    angle_index = graph.get("angle_index", torch.empty(2, 0))
    ranges = ranges_of_centres(graph, max_bonds, len(graph.z))
    for kind, size in enumerate((len(graph.z), graph.edge_index.size(1), angle_index.size(1))):
        pieces = [cut[kind] for cut in ranges]
        assert [piece.start for piece in pieces] == [0, *(piece.stop for piece in pieces[:-1])]
        assert pieces[-1].stop == size
    for atoms, bonds, angles in ranges:
        assert bonds.stop - bonds.start <= max_bonds or atoms.stop - atoms.start == 1
        centre = graph.edge_index[1, bonds]
        assert centre.min() >= atoms.start
        assert centre.max() < atoms.stop
        index = angle_index[:, angles]
        assert index.numel() == 0 or (index.min() >= bonds.start and index.max() < bonds.stop)


CONFIGS = {
    f"{transformer}-{angles}": GPTFFConfig.paper(
        channels=32, num_layers=2, transformer=transformer, angle_update=angles
    )
    for transformer in ("none", "local", "global")
    for angles in ("explicit", "harmonic")
} | {
    "geometric": GPTFFConfig(channels=64, num_layers=2),
    "geometric, without kernels": GPTFFConfig(channels=8, num_layers=2),
    "geometric, one layer": GPTFFConfig(channels=32, num_layers=1, heads=2, degree=2, num_readouts=2, repulsion=True),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_predictions_do_not_depend_on_the_ranges(batch, config):
    potential = Potential(GPTFF(config)).double().eval()
    whole = potential(batch, create_graph=True)  # layer by layer, not in one call of a kernel
    potential.model.max_bonds = 100
    pieces = potential(batch, create_graph=True)
    torch.testing.assert_close(pieces.energy, whole.energy, atol=1e-11, rtol=0)
    torch.testing.assert_close(pieces.forces, whole.forces, atol=1e-11, rtol=0)
    torch.testing.assert_close(pieces.stress, whole.stress, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        GPTFFConfig.paper(channels=8, num_layers=2),
        GPTFFConfig(channels=8, num_layers=2),
        GPTFFConfig(channels=32, num_layers=2, heads=2),
    ],
    ids=["paper", "geometric, without kernels", "geometric"],
)
def test_training_gradients_do_not_depend_on_the_ranges(batch, config):
    potential = Potential(GPTFF(config)).double()

    def gradients():
        prediction = potential(batch, create_graph=True)
        loss = prediction.forces.square().sum() + prediction.energy.sum()
        return torch.autograd.grad(loss, list(potential.parameters()))

    whole = gradients()
    potential.model.max_bonds = 100
    for piece, expected in zip(gradients(), whole, strict=True):
        torch.testing.assert_close(piece, expected, atol=1e-10, rtol=1e-8)
