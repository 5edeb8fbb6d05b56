"""The published checkpoints against the values of their published code, on 24 systems."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from torch_geometric.data import Batch

from torch_gptff.graph import CrystalData
from torch_gptff.io.published import load_published
from torch_gptff.potential import Potential, Prediction

N_SYSTEMS = 24


@cache
def read(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "golden" / "published_checkpoints.json").read_text())["systems"]


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def published(path: Path) -> Potential:
    return load_published(path).double()


@pytest.fixture
def potential(shared_data: Path, version: str) -> Potential:
    return published(shared_data / "pretrained" / f"gptff_{version}.pth")


@pytest.fixture
def systems(shared_data: Path) -> list[dict[str, Any]]:
    systems = read(shared_data)
    assert len(systems) == N_SYSTEMS
    return systems


def record(system: dict[str, Any]) -> CrystalData:
    atoms = Atoms(system["numbers"], system["positions"], cell=system["cell"], pbc=system["pbc"])
    return CrystalData.from_ase(atoms)


def assert_golden(found: Prediction, golden: dict[str, Any], energy: float, forces: float, stress: float) -> None:
    """Within tolerances in eV, eV/Å and eV/Å³; the golden stress is not symmetrised, ours is."""
    expected = np.array(golden["stress"])
    expected = (expected + expected.T) / 2
    assert found.energy.item() == pytest.approx(golden["energy"], abs=energy, rel=0)
    assert np.abs(found.forces.double().numpy() - np.array(golden["forces"])).max() <= forces
    assert np.abs(found.stress[0].numpy() - expected).max() <= stress


@pytest.mark.parametrize("number", range(N_SYSTEMS))
def test_one_by_one(potential, version, systems, number):
    golden = systems[number][version]
    graph = potential.model.build_graph(record(systems[number]))
    assert graph.edge_index.size(1) == golden["n_bonds"]
    assert graph.angle_index.size(1) == golden["n_angles"]
    assert_golden(potential(graph), golden, energy=1e-8, forces=1e-8, stress=1e-9)


def test_one_batch_of_all(potential, version, systems):
    records = [record(system) for system in systems]
    graph = potential.model.build_graph(Batch.from_data_list(records))
    assert graph.edge_index.size(1) == sum(system[version]["n_bonds"] for system in systems)
    assert graph.angle_index.size(1) == sum(system[version]["n_angles"] for system in systems)
    found = potential(graph).split([len(data.z) for data in records])
    for system, prediction in zip(systems, found, strict=True):
        assert_golden(prediction, system[version], energy=1e-8, forces=1e-8, stress=1e-9)


def test_layer_by_layer(potential, version, systems, monkeypatch):
    """By autograd through the layers, and not in one call."""
    monkeypatch.setattr(type(potential.model), "energies_and_gradient", lambda *_: None)
    found = potential.predict([record(system) for system in systems])
    for system, prediction in zip(systems, found, strict=True):
        assert_golden(prediction, system[version], energy=1e-8, forces=1e-8, stress=1e-9)


def test_predict(potential, version, systems):
    found = potential.predict([record(system) for system in systems])
    for system, prediction in zip(systems, found, strict=True):
        assert_golden(prediction, system[version], energy=1e-8, forces=1e-8, stress=1e-9)


def test_energy_of_the_model_alone(potential, version, systems):
    """Called as models of PyG are; the elements' reference energies are the potential's."""
    for system in systems[:4]:
        data = record(system)
        energy = potential.model(data.z, data.pos, cell=data.cell, pbc=data.pbc)
        expected = system[version]["energy"] - potential.element_energies(data.z).sum()
        torch.testing.assert_close(energy, expected.view(1, 1), atol=1e-8, rtol=0)


def test_float32(potential, version, systems):
    """2e-6 eV per atom and 1e-5 eV/Å; in the one system of unphysical forces (1,200 eV/Å), relative to the largest."""
    found = deepcopy(potential).float().predict([record(system) for system in systems])
    for system, prediction in zip(systems, found, strict=True):
        golden = system[version]
        assert prediction.forces.dtype == torch.float32
        energy, forces = 2e-6 * len(system["numbers"]), 1e-5
        largest = np.abs(golden["forces"]).max()
        if largest > 100:
            assert system["name"] == "Li3YCl6_like"
            energy, forces = 1e-6 * abs(golden["energy"]), 1e-4 * largest
        assert_golden(prediction, golden, energy=energy, forces=forces, stress=forces)
