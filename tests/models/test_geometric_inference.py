"""Energy and gradient in one call, against autograd through the layers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_geometric.data import Batch

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, Prediction
from torch_gptff.ops.native import geometric

CONFIGS = {
    "recommended": GPTFFConfig(repulsion=True, num_readouts=3, channels=32, heads=2),
    "one layer": GPTFFConfig(num_layers=1, channels=32, heads=1, feedforward_channels=64),
    "degree 3": GPTFFConfig(degree=3, channels=64, heads=4, num_layers=4),
}


def structures() -> list[Atoms]:
    """A salt, a metal of one atom, molecules, an atom alone, and atoms that collide."""
    salt = bulk("NaCl", "rocksalt", a=5.6) * (2, 2, 1)
    far = molecule("H2", vacuum=8)
    far.positions[1] += 20
    near = Atoms("Si2", [[0, 0, 0], [0, 0, 1.4]], pbc=False)
    found = [salt, bulk("Cu"), molecule("H2O", vacuum=5), far, Atoms("O"), near]
    for atoms in found:
        atoms.rattle(0.05, seed=1)
    return found


def potential_of(config: GPTFFConfig, dtype: torch.dtype) -> Potential:
    if not geometric.is_available(dtype, config.degree):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    torch.manual_seed(0)
    potential = Potential(GPTFF(config), torch.randn(95)).to(dtype).eval()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return potential


def by_autograd(potential: Potential, batch: Batch, **wanted: bool) -> Prediction:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(potential.model), "energies_and_gradient", lambda *_: None)
        return potential.evaluate(batch, **wanted)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_one_call_gives_what_autograd_gives(name: str, dtype: torch.dtype) -> None:
    potential = potential_of(CONFIGS[name], dtype)
    batch = Batch.from_data_list([potential.model.build_graph(CrystalData.from_ase(each)) for each in structures()])
    wanted = {"energies": True, "energy_std": CONFIGS[name].num_readouts > 1}
    found, expected = potential.evaluate(batch, **wanted), by_autograd(potential, batch, **wanted)
    rounding = 2e-5 if dtype == torch.float32 else 1e-11
    for field in ("energy", "forces", "stress", "energies", "energy_std"):
        a, b = getattr(found, field), getattr(expected, field)
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=rounding, atol=rounding, equal_nan=True)
    vectors = potential.model.bond_vectors(batch)
    features = potential.model.energies_and_gradient(batch, vectors)[2]
    expected_features = potential.model.node_features(batch, vectors)
    torch.testing.assert_close(features, expected_features, rtol=rounding, atol=rounding)
    assert not found.energy.requires_grad
    assert not found.forces.requires_grad


def test_it_is_the_way_of_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it being asked for, and not where something else has to see the layers."""
    potential = potential_of(CONFIGS["recommended"], torch.float64)
    data, calls = CrystalData.from_ase(bulk("Cu")), []
    layer = type(potential.model.layers[0])
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda *arguments: calls.append(1) or forward(*arguments))

    def layers_are_called(change: Callable[[], object], undo: Callable[[], object]) -> bool:
        change()
        calls.clear()
        potential(data)
        undo()
        return bool(calls)

    assert not layers_are_called(lambda: None, lambda: None)
    assert layers_are_called(potential.train, potential.eval)
    handles = []
    assert layers_are_called(
        lambda: handles.append(potential.model.norm.register_forward_hook(lambda *_: None)), lambda: handles[0].remove()
    )
    attention = potential.model.layers[1].attention
    assert layers_are_called(lambda: setattr(attention, "fuse", False), lambda: setattr(attention, "fuse", True))
    assert potential(data, create_graph=True).energy.requires_grad


def test_it_follows_the_parameters() -> None:
    potential = potential_of(CONFIGS["recommended"], torch.float64)
    data = CrystalData.from_ase(bulk("Cu"))
    before = potential(data).energy
    again = pickle.loads(pickle.dumps(copy.deepcopy(potential)))
    with torch.no_grad():
        potential.model.layers[1].lin1.weight *= 1.5
    after = potential(data)
    assert float(after.energy) != float(before)
    torch.testing.assert_close(after.energy, by_autograd(potential, potential.model.build_graph(data)).energy)
    torch.testing.assert_close(again(data).energy, before, rtol=0, atol=0)
    single = potential.float()(data).energy
    torch.testing.assert_close(single, after.energy, rtol=1e-5, atol=1e-5)


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
