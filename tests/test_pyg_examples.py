"""The examples for users of PyG run on small data made here, and learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write
from ase.units import kcal, mol
from example_scripts import load_example
from torch_geometric.data import Data

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.graph import CrystalData
from torch_gptff.models import GPTFF, SchNet

pytestmark = pytest.mark.usefixtures("undrawn")
SMALL: dict[str, Any] = {"channels": 32, "num_layers": 1, "num_radial": 4, "cutoff": 4.0, "degree": 1}


def molecules(number: int) -> list[Data]:
    """Methanol, methane and water as PyG's MD17 has them, in kcal/mol, with columns as of QM9."""
    records = []
    for seed in range(number):
        atoms = molecule(("CH3OH", "CH4", "H2O")[seed % 3])
        atoms.rattle(0.08, seed=seed)
        atoms.calc = EMT()
        y = torch.zeros(1, 19)
        y[0, 4], y[0, 7] = 5.0 + float(atoms.positions[0, 0]), atoms.get_potential_energy()
        energy = torch.tensor([atoms.get_potential_energy()]) / (kcal / mol)
        force = torch.tensor(atoms.get_forces()) / (kcal / mol)
        z, pos = torch.tensor(atoms.numbers), torch.tensor(atoms.positions)
        records.append(Data(z=z, pos=pos, y=y, energy=energy, force=force))
    return records


@pytest.mark.parametrize("model", [SchNet, GPTFF])
def test_swap(model: type) -> None:
    torch.manual_seed(0)
    losses = load_example("pyg/swap").train(model(hidden_channels=32, cutoff=4.0), epochs=3)
    assert losses[-1] < losses[0]


def test_qm9(tmp_path: Path) -> None:
    run = load_example("pyg/qm9").run(molecules(12), tmp_path, epochs=2, model={**SMALL, "properties": {"gap": "mean"}})
    assert set(run.evaluation.property_scores) == {"gap"}
    assert run.evaluation.counts["energy_per_atom"] >= 1


def test_md17() -> None:
    torch.manual_seed(0)
    losses = load_example("pyg/md17").train(molecules(8), epochs=3, **SMALL)
    assert losses[-1] < losses[0]


def test_moments(tmp_path: Path) -> None:
    listed = []
    for seed in range(8):
        atoms = bulk("Ni", cubic=True)
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.info["energy"], atoms.arrays["forces"] = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.arrays["magmom"] = np.full(4, -0.6)
        listed.append(atoms)
    write(tmp_path / "moments.extxyz", listed, format="extxyz")
    model = {**SMALL, "properties": {"magmoms": "atom"}}
    run = load_example("pyg/moments").run(tmp_path / "moments.extxyz", tmp_path / "run", epochs=2, model=model)
    atoms = bulk("Ni")
    atoms.calc = GPTFFCalculator(run.best)
    assert atoms.get_magnetic_moments().shape == (1,)


def test_own_network() -> None:
    """Of invariants, and of vectors that turn with the crystal; every parameter of a network is used."""
    example = load_example("pyg/own_network")
    torch.manual_seed(0)
    crystal = example.crystal()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turned = CrystalData(z=crystal.z, pos=crystal.pos @ turn.T, cell=crystal.cell @ turn.T, pbc=crystal.pbc)
    paper, geometric = example.PaperNetwork(), example.GeometricNetwork()
    torch.testing.assert_close(paper(turned), paper(crystal), atol=1e-4, rtol=1e-3)
    vectors = geometric(crystal)
    assert vectors.abs().max() > 1e-4
    torch.testing.assert_close(geometric(turned), vectors @ turn.T.float(), atol=1e-4, rtol=1e-3)
    paper(crystal).sum().backward()
    assert all(parameter.grad is not None for parameter in paper.parameters())
    head = example.OwnHead(GPTFF(hidden_channels=32, num_layers=1), 4)
    assert head(crystal).shape == (2, 4)
