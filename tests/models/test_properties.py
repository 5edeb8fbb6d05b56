"""Properties beside the energy: their shapes, how they turn and grow, checkpoints, and the calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_geometric.data import Batch

from torch_gptff import GPTFF, CrystalData, GPTFFCalculator, Potential, load, save
from torch_gptff.errors import ConfigError
from torch_gptff.models import DimeNetPlusPlus, SchNet, ViSNet
from torch_gptff.models.properties import traceless
from torch_gptff.ops.harmonics import closed_forms

SMALL: dict[str, Any] = {"hidden_channels": 32, "num_layers": 2, "num_rbf": 4, "feedforward_channels": 32}
EVERY = {"magmoms": "atom", "volume_like": "sum", "band_gap": "mean", "dipole_moment": "vector", "alpha": "tensor"}
SCALARS = {name: kind for name, kind in EVERY.items() if kind not in ("vector", "tensor")}


def potential(properties: dict[str, str] = EVERY, **settings: Any) -> Potential:
    torch.manual_seed(0)
    return Potential(GPTFF(**SMALL | settings, properties=properties).double(), {8: -3.0}).eval()


def methanol() -> Atoms:
    atoms = molecule("CH3OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def test_shapes_of_a_batch_and_of_one_structure() -> None:
    each = potential()
    molecules = [CrystalData.from_ase(atoms) for atoms in (methanol(), molecule("H2O"))]
    together = each(Batch.from_data_list(molecules), properties=True, stress=False)
    assert {name: tuple(value.shape) for name, value in together.properties.items()} == {
        "volume_like": (2,),
        "band_gap": (2,),
        "dipole_moment": (2, 3),
        "alpha": (2, 3, 3),
    }
    assert together.atom_properties["magmoms"].shape == (9,)
    for split, data in zip(together.split([6, 3]), molecules, strict=True):
        alone = each(data, properties=True, stress=False)
        torch.testing.assert_close(dict(split.properties), dict(alone.properties))
        torch.testing.assert_close(dict(split.atom_properties), dict(alone.atom_properties))
        torch.testing.assert_close(split.energy, alone.energy)
        torch.testing.assert_close(alone.forces, each(data, stress=False).forces)
    assert not each(molecules[0], stress=False).properties


def test_vectors_and_tensors_turn_with_the_molecule() -> None:
    each = potential()
    before = each(CrystalData.from_ase(methanol()), properties=True, stress=False)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]  # a reflection, half of the time
    turned = CrystalData.from_ase(methanol())
    turned.pos = turned.pos @ turn.T
    after = each(turned, properties=True, stress=False)
    vector, tensor = before.properties["dipole_moment"], before.properties["alpha"]
    assert vector.abs().max() > 1e-3
    assert (tensor - tensor.mT).abs().max() < 1e-12
    assert (tensor[0] - torch.eye(3).double() * tensor[0].trace() / 3).abs().max() > 1e-3
    torch.testing.assert_close(after.properties["dipole_moment"], vector @ turn.T)
    torch.testing.assert_close(after.properties["alpha"], turn @ tensor @ turn.T)
    for name in ("volume_like", "band_gap"):
        torch.testing.assert_close(after.properties[name], before.properties[name])
    torch.testing.assert_close(after.atom_properties["magmoms"], before.atom_properties["magmoms"])


def test_matrices_of_degree_two_are_those_of_the_harmonics() -> None:
    direction = torch.nn.functional.normalize(torch.randn(7, 3, dtype=torch.float64), dim=-1)
    found = torch.einsum("ni,mij,nj->nm", direction, traceless(), direction)
    torch.testing.assert_close(found, closed_forms(direction)[:, 4:9])


@pytest.mark.parametrize("settings", [{}, {"transformer": "local"}], ids=["recommended", "paper"])
def test_sums_grow_with_the_crystal_and_means_do_not(settings: dict[str, Any]) -> None:
    each = potential(SCALARS, **settings)
    cell = bulk("NaCl", "rocksalt", a=5.64)
    one, two = (each(CrystalData.from_ase(atoms), properties=True) for atoms in (cell, cell * (2, 1, 1)))
    torch.testing.assert_close(two.properties["volume_like"], 2 * one.properties["volume_like"])
    torch.testing.assert_close(two.properties["band_gap"], one.properties["band_gap"])
    torch.testing.assert_close(two.atom_properties["magmoms"], one.atom_properties["magmoms"].repeat(2))


def test_through_a_checkpoint_to_a_calculator(tmp_path: Path) -> None:
    each = potential()
    save(each, tmp_path / "model.safetensors")
    atoms = methanol()
    atoms.calc = GPTFFCalculator(load(tmp_path / "model.safetensors"))
    expected = each.predict([atoms], properties=True)[0]
    atoms.get_forces()
    assert "magmoms" not in atoms.calc.results  # nobody asked
    np.testing.assert_allclose(atoms.get_magnetic_moments(), expected.atom_properties["magmoms"], rtol=1e-9)
    assert atoms.calc.get_property("band_gap", atoms) == pytest.approx(expected.properties["band_gap"].item(), rel=1e-9)
    np.testing.assert_allclose(atoms.calc.get_property("alpha", atoms), expected.properties["alpha"][0], rtol=1e-7)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item())


def test_gradients_reach_heads_and_body() -> None:
    each = potential().train()
    prediction = each(CrystalData.from_ase(methanol()), properties=True, create_graph=True, stress=False)
    values = [*prediction.properties.values(), *prediction.atom_properties.values()]
    sum(value.square().sum() for value in values).backward()
    for name, parameter in each.model.named_parameters():
        if name.startswith(("heads.", "layers.1.lin_product", "embedding")):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_the_energy_is_that_of_the_model_without_scalar_properties() -> None:
    """Heads of numbers leave the layers as they are."""
    with_heads = potential(SCALARS)
    plain = potential({})
    plain.model.load_state_dict({k: v for k, v in with_heads.model.state_dict().items() if not k.startswith("heads")})
    data = CrystalData.from_ase(methanol())
    for create_graph in (False, True):
        found, expected = (each(data, create_graph=create_graph, stress=False) for each in (with_heads, plain))
        torch.testing.assert_close(found.energy, expected.energy)
        torch.testing.assert_close(found.forces, expected.forces)


def test_features_of_atoms_for_a_head_of_ones_own() -> None:
    z, pos = torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    for model, width in ((GPTFF(**SMALL), 32), (SchNet(hidden_channels=8, num_interactions=1), 8),
                         (ViSNet(hidden_channels=8, num_heads=2, num_layers=2), 8)):  # fmt: skip
        x = model.embed(z, pos)
        assert x.shape == (3, width)
        torch.testing.assert_close(x[1], model.embed(z, pos - 1.0)[1])
        assert not torch.allclose(x[1], model.embed(z[:2], pos[:2])[1])
    with pytest.raises(NotImplementedError, match="DimeNetPlusPlus has no features of atoms"):
        DimeNetPlusPlus(num_blocks=1).embed(z, pos)
    x = GPTFF(**SMALL).embed(z, pos)
    torch.nn.Linear(32, 5)(x).sum().backward()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"properties": {"band gap": "mean"}}, "a property cannot be called 'band gap'"),
        ({"properties": {"forces": "atom"}}, "a property cannot be called 'forces'"),
        ({"properties": {"gap": "median"}}, "properties.gap must be one of atom, sum, mean, vector, tensor"),
        ({"properties": {"mu": "vector"}, "transformer": "local"}, "a vector is made of features that turn"),
        ({"properties": {"alpha": "tensor"}, "lmax": 1}, "a degree of 2 or more"),
    ],
)
def test_properties_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GPTFF(**settings)
