"""Crystals turned as a whole, and PyG's transforms that turn their atoms alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T
from ase.build import bulk, molecule
from torch_geometric.data import Batch, Data

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential
from torch_gptff.errors import PositionsAloneWarning
from torch_gptff.graph import RandomRotation

PYG = (
    T.RandomRotate((40, 40), axis=2),
    T.RandomFlip(0, p=1.0),
    T.RandomScale((1.1, 1.1)),
    T.RandomShear(0.1),
    T.LinearTransformation(2 * torch.eye(3)),
    T.NormalizeRotation(),
    T.Compose([T.Center(), T.RandomFlip(0, p=1.0)]),
)


@pytest.fixture
def potential() -> Potential:
    config = GPTFFConfig(channels=8, num_layers=1, num_radial=4, feedforward_channels=8)
    return Potential(GPTFF(config)).double().eval()


def labelled(potential: Potential, symbol: str = "Si") -> CrystalData:
    """A crystal with its bonds, whose labels are what the potential says."""
    atoms = bulk(symbol) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    data = potential.model.build_graph(CrystalData.from_ase(atoms))
    prediction = potential(data)
    data.energy, data.forces, data.stress = prediction.energy, prediction.forces, prediction.stress
    return data


def assert_labels_are_right(data: Data, potential: Potential) -> None:
    graph = CrystalData(**{key: data[key] for key in ("z", "pos", "cell", "pbc")})
    if "batch" in data:
        graph.batch = data.batch
    for prediction in (potential(data), potential(graph)):  # with the bonds that there were, and with new ones
        torch.testing.assert_close(prediction.energy, data.energy, atol=1e-10, rtol=0)
        torch.testing.assert_close(prediction.forces, data.forces, atol=1e-10, rtol=0)
        torch.testing.assert_close(prediction.stress, data.stress, atol=1e-12, rtol=0)


@pytest.mark.parametrize("reflections", [False, True])
def test_labels_turn_with_the_crystal(reflections: bool, potential: Potential) -> None:
    data = labelled(potential)
    turned = RandomRotation(reflections)(data)
    assert (turned.forces - data.forces).abs().max() > 1e-4
    assert (turned.stress - data.stress).abs().max() > 1e-6
    assert_labels_are_right(turned, potential)


def test_every_structure_of_a_batch_turns_by_itself(potential: Potential) -> None:
    batch = Batch.from_data_list([labelled(potential), labelled(potential), labelled(potential, "Ge")])
    turned = RandomRotation()(batch)
    assert (turned.cell[0] - turned.cell[1]).abs().max() > 0.1
    assert_labels_are_right(turned, potential)


def test_rotations_do_not_mirror_and_reflections_do() -> None:
    cell = torch.eye(3, dtype=torch.float64).expand(200, 3, 3)
    crystals = CrystalData(z=torch.arange(200), pos=cell[:, 0], cell=cell, batch=torch.arange(200))
    rotations = torch.linalg.det(RandomRotation()(crystals).cell)
    torch.testing.assert_close(rotations, torch.ones_like(rotations))
    mirrored = int((torch.linalg.det(RandomRotation(reflections=True)(crystals).cell) < 0).sum())
    assert 60 < mirrored < 140
    directions = RandomRotation()(crystals).pos.mean(dim=0).abs()
    assert bool((directions < 0.2).all()), "every direction alike"


def test_a_plain_molecule() -> None:
    atoms = molecule("CH3OH")
    positions = torch.tensor(atoms.positions, dtype=torch.float32)
    turned = RandomRotation()(Data(z=torch.tensor(atoms.numbers), pos=positions, force=positions))
    assert turned.pos.dtype == torch.float32
    torch.testing.assert_close(torch.cdist(turned.pos, turned.pos), torch.cdist(positions, positions))
    assert torch.equal(turned.force, turned.pos)
    assert not torch.equal(turned.pos, positions)


@pytest.mark.parametrize("transform", PYG, ids=lambda transform: type(transform).__name__)
def test_a_transform_of_positions_alone_warns(transform: T.BaseTransform) -> None:
    crystal = CrystalData.from_ase(bulk("Si"))
    with pytest.warns(PositionsAloneWarning, match="leaves cell as") as warned:
        transform(crystal)
    assert len(warned) == 1
    with pytest.warns(PositionsAloneWarning, match="RandomRotation of torch_gptff"):
        transform(Batch.from_data_list([crystal, crystal]))
    water = CrystalData.from_ase(molecule("H2O"))
    transform(water)  # warnings are errors: a molecule without labels has nothing else to turn
    water.forces = water.pos
    with pytest.warns(PositionsAloneWarning, match="leaves forces as"):
        transform(water)


def test_what_moves_nothing_or_everything_does_not_warn() -> None:
    crystal = CrystalData.from_ase(bulk("Si"))
    for transform in (T.Center(), T.Compose([RandomRotation()]), T.ToDevice("cpu")):
        transform(crystal)
    copy.copy(crystal)
    copy.deepcopy(crystal)
    crystal.clone()


def test_repr() -> None:
    assert repr(RandomRotation(reflections=True)) == "RandomRotation(reflections=True)"
