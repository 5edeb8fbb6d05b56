"""Energy and gradient in one call, against autograd through the layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ase.build import bulk
from one_call import Calls, assert_follows, assert_same, by_autograd, graphs_of, structures, untrained

from torch_gptff import CrystalData, GPTFFConfig, Potential
from torch_gptff.ops.native import geometric

CONFIGS = {
    "recommended": GPTFFConfig(repulsion=True, num_readouts=3, channels=32, heads=2),
    "one layer": GPTFFConfig(num_layers=1, channels=32, heads=1, feedforward_channels=64),
    "degree 3": GPTFFConfig(degree=3, channels=64, heads=4, num_layers=4),
}


def potential_of(config: GPTFFConfig, dtype: torch.dtype) -> Potential:
    if not geometric.is_available(dtype, config.degree):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    return untrained(config, dtype)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_one_call_gives_what_autograd_gives(name: str, dtype: torch.dtype) -> None:
    potential = potential_of(CONFIGS[name], dtype)
    batch = graphs_of(potential, structures())
    wanted = {"energies": True, "energy_std": CONFIGS[name].num_readouts > 1}
    found = potential.evaluate(batch, **wanted)
    rounding = 2e-5 if dtype == torch.float32 else 1e-11
    assert_same(found, by_autograd(potential, batch, **wanted), rounding)
    vectors = potential.model.bond_vectors(batch)
    features = potential.model.energies_and_gradient(batch, vectors)[2]
    expected_features = potential.model.node_features(batch, vectors)
    torch.testing.assert_close(features, expected_features, rtol=rounding, atol=rounding)
    assert not found.energy.requires_grad
    assert not found.forces.requires_grad


def test_it_is_the_way_of_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it being asked for, and not where something else has to see the layers."""
    potential = potential_of(CONFIGS["recommended"], torch.float64)
    data = CrystalData.from_ase(bulk("Cu"))
    layers = Calls(monkeypatch, potential, data)
    assert not layers.happen()
    potential.train()
    assert layers.happen()
    potential.eval()
    handle = potential.model.norm.register_forward_hook(lambda *_: None)
    assert layers.happen()
    handle.remove()
    potential.model.layers[1].attention.fuse = False
    assert layers.happen()
    potential.model.layers[1].attention.fuse = True
    assert not layers.happen()
    assert potential(data, create_graph=True).energy.requires_grad


def test_it_follows_the_parameters() -> None:
    potential = potential_of(CONFIGS["recommended"], torch.float64)
    after = assert_follows(potential, potential.model.layers[1].lin1.weight)
    single = potential.float()(CrystalData.from_ase(bulk("Cu"))).energy
    torch.testing.assert_close(single, after, rtol=1e-5, atol=1e-5)


def test_it_does_not_depend_on_the_number_of_threads(threads: Callable[[int], None]) -> None:
    potential = potential_of(CONFIGS["degree 3"], torch.float64)
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=0)
    data = CrystalData.from_ase(atoms)
    results = []
    for number in (1, 3):
        threads(number)
        results.append(potential(data).forces)
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
