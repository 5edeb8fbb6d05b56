"""Energy and gradient of the layers of the paper in one call, against autograd through the layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from one_call import Calls, assert_follows, assert_same, by_autograd, graphs_of, structures, untrained
from torch_geometric.data import Batch

from torch_gptff import CrystalData, GPTFFConfig, Potential
from torch_gptff.errors import GraphError
from torch_gptff.io.published import load_published
from torch_gptff.models import paper_inference
from torch_gptff.models.exchange import Exchange
from torch_gptff.ops import native
from torch_gptff.testing import structures as difficult

CONFIGS = {
    "local": GPTFFConfig.paper(repulsion=True, num_readouts=3, feedforward_channels=64),
    "none": GPTFFConfig.v1(),
    "global": GPTFFConfig.v2(),
    "one layer": GPTFFConfig.paper(
        num_layers=1, heads=1, num_radial=4, feedforward_channels=32, std=1.7, mean=0.3,
        atomref=tuple(0.1 * z for z in range(95)),
    ),
    "pooled": GPTFFConfig.paper(readout="pooled", repulsion=True, feedforward_channels=32, std=0.6),
}  # fmt: skip
DIFFICULT = [
    difficult.rattled_crystal(),
    difficult.one_atom_cell(),
    difficult.crystal_without_angles(),
    difficult.linear_molecule(),
    difficult.slab(),
    difficult.layer_without_third_vector(),
    difficult.wire(),
    difficult.skewed_cell(),
    difficult.left_handed_cell(),
]


def potential_of(config: GPTFFConfig, dtype: torch.dtype) -> Potential:
    if not native.is_available(dtype, config.channels):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    return untrained(config, dtype)


def random_crystals(number: int) -> list[Atoms]:
    """Cells of any shape and periodicity, with atoms anywhere in them but for the last 1.2 Å between two."""
    random = np.random.default_rng(0)
    found: list[Atoms] = []
    while len(found) < number:
        size = int(random.integers(1, 9))
        cell = np.diag(random.uniform(3, 6, 3)) + random.uniform(-0.8, 0.8, (3, 3))
        atoms = Atoms(random.integers(1, 90, size), cell=cell, pbc=random.random(3) < 0.7)
        atoms.set_scaled_positions(random.random((size, 3)))
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(size, 1)]
        if (distances > 1.2).all():
            found.append(atoms)
    return found


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "computed again"])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_one_call_gives_what_autograd_gives(
    name: str, dtype: torch.dtype, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:  # as in large structures
        monkeypatch.setattr(paper_inference, "MAX_KEPT_OF_BONDS", 0)
        monkeypatch.setattr(paper_inference, "MAX_KEPT_OF_ANGLES", 0)
    potential = potential_of(CONFIGS[name], dtype)
    batch = graphs_of(potential, [*structures(), *DIFFICULT, *random_crystals(12)])
    wanted = {"energies": potential.model.is_atomwise, "energy_std": CONFIGS[name].num_readouts > 1}
    found, expected = potential.evaluate(batch, **wanted), by_autograd(potential, batch, **wanted)
    largest = max(1.0, float(expected.energy.abs().max()), float(expected.forces.abs().max()))
    assert_same(found, expected, (3e-6 if dtype == torch.float32 else 1e-13) * largest)
    assert not found.energy.requires_grad
    assert not found.forces.requires_grad


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_of_the_published_checkpoints(version: str, shared_data: Path) -> None:
    potential = load_published(shared_data / "pretrained" / f"gptff_{version}.pth").double()
    for atoms in (*DIFFICULT, *random_crystals(4)):
        graph = potential.model.build_graph(CrystalData.from_ase(atoms))
        assert_same(potential.evaluate(graph), by_autograd(potential, graph), 1e-10)


def test_it_is_the_way_of_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it being asked for, and not where something else has to see the layers."""
    potential = potential_of(CONFIGS["local"], torch.float64)
    model, data = potential.model, CrystalData.from_ase(bulk("Cu"))
    layers = Calls(monkeypatch, potential, data)
    assert not layers.happen()
    potential.train()
    assert layers.happen()
    potential.eval()
    handle = model.layers[1].bond.register_forward_hook(lambda *_: None)
    assert layers.happen()
    handle.remove()
    for module in (
        model.layers[0].angle,
        model.layers[1].bond,
        model.layers[2].atom,
        model.layers[0].transformer.attention,
    ):
        module.fuse = False
        assert layers.happen()
        module.fuse = True
    max_bonds, model.max_bonds = model.max_bonds, 10
    assert layers.happen()
    model.max_bonds = max_bonds
    assert layers.happen(forces_std=True)
    assert not layers.happen()
    assert potential(data, create_graph=True).energy.requires_grad


def test_not_of_other_layers_or_widths() -> None:
    for config in (
        GPTFFConfig.paper(angle_update="harmonic"),
        GPTFFConfig.paper(feedforward_channels=48),
        GPTFFConfig.paper(transformer="global", heads=4),
        GPTFFConfig.paper(readout="mean"),
    ):
        potential = untrained(config, torch.float64)
        graph = potential.model.build_graph(CrystalData.from_ase(bulk("Cu")))
        assert potential.model.energies_and_gradient(graph, potential.model.bond_vectors(graph)) is None


def test_not_of_a_part_of_the_atoms() -> None:
    potential = potential_of(CONFIGS["local"], torch.float64)
    graph = potential.model.build_graph(CrystalData.from_ase(bulk("Cu")))
    vectors = potential.model.bond_vectors(graph)
    assert potential.model.energies_and_gradient(graph, vectors) is not None
    assert potential.model.energies_and_gradient(graph, vectors, Exchange()) is None


def test_a_pooled_readout_has_no_energies_of_atoms() -> None:
    potential = potential_of(CONFIGS["none"], torch.float64)
    with pytest.raises(NotImplementedError):
        potential(CrystalData.from_ase(bulk("Cu")), energies=True)


def test_it_follows_the_parameters() -> None:
    potential = potential_of(CONFIGS["local"], torch.float64)
    assert_follows(potential, potential.model.layers[1].bond.lin_out.weight)


@pytest.mark.parametrize("name", ["local", "global"])
def test_it_does_not_depend_on_the_number_of_threads(name: str, threads: Callable[[int], None]) -> None:
    potential = potential_of(CONFIGS[name], torch.float64)
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=0)
    graph = Batch.from_data_list(
        [potential.model.build_graph(CrystalData.from_ase(each)) for each in (atoms, molecule("CH3OH"))]
    )
    results = []
    for number in (1, 3):
        threads(number)
        results.append(potential.evaluate(graph))
    assert_same(*results, 1e-11)


@pytest.mark.parametrize("field", ["z", "edge_index", "angle_index"])
def test_an_index_that_points_to_nothing(field: str) -> None:
    potential = potential_of(CONFIGS["none"], torch.float64)
    graph = potential.model.build_graph(CrystalData.from_ase(bulk("Cu")))
    vectors = potential.model.bond_vectors(graph)
    values = graph[field].clone()
    values[..., -1] = 100_000
    graph[field] = values
    with pytest.raises(GraphError, match="does not exist"):
        potential.model.energies_and_gradient(graph, vectors)
