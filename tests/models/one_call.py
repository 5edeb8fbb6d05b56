"""What the tests of models as one call of a kernel share: structures, and the same results by autograd."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor
from torch_geometric.data import Batch, Data

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, Prediction


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


def untrained(config: GPTFFConfig, dtype: torch.dtype) -> Potential:
    """A potential of random weights and reference energies."""
    torch.manual_seed(0)
    potential = Potential(GPTFF(config), torch.randn(95)).to(dtype).eval()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return potential


def graphs_of(potential: Potential, atoms: list[Atoms]) -> Batch:
    """One batch of structures with their graphs."""
    return Batch.from_data_list([potential.model.build_graph(CrystalData.from_ase(each)) for each in atoms])


def by_autograd(potential: Potential, graph: Data, **wanted: bool) -> Prediction:
    """As :meth:`Potential.evaluate` gives where the model has no kernel of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(potential.model), "energies_and_gradient", lambda *_: None)
        return potential.evaluate(graph, **wanted)


def assert_same(found: Prediction, expected: Prediction, tolerance: float) -> None:
    """The same numbers, relatively or absolutely, in the same places."""
    for field in ("energy", "forces", "stress", "energies", "energy_std"):
        a, b = getattr(found, field), getattr(expected, field)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def assert_follows(potential: Potential, weight: Tensor) -> Tensor:
    """The energy of a crystal follows a parameter that changes, and that of a copy does not; the new energy."""
    data = CrystalData.from_ase(bulk("Cu"))
    before = potential(data).energy
    again = pickle.loads(pickle.dumps(copy.deepcopy(potential)))
    with torch.no_grad():
        weight *= 1.5
    after = potential(data).energy
    assert float(after) != float(before)
    torch.testing.assert_close(after, by_autograd(potential, potential.model.build_graph(data)).energy)
    torch.testing.assert_close(again(data).energy, before, rtol=0, atol=0)
    return after


class Calls:
    """Whether the layers of a model are called in an evaluation."""

    def __init__(self, patch: pytest.MonkeyPatch, potential: Potential, data: Any) -> None:
        self.potential, self.data = potential, data
        self.number = 0
        layer = type(potential.model.layers[0])
        forward = layer.forward

        def counted(*arguments: Any) -> Any:
            self.number += 1
            return forward(*arguments)

        patch.setattr(layer, "forward", counted)

    def happen(self, **wanted: bool) -> bool:
        before = self.number
        self.potential(self.data, **wanted)
        return self.number > before
