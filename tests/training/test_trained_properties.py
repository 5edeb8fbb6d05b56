"""Training on properties beside the energy, and without one; their evaluation, and heads added to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from torch_gptff import GPTFFCalculator, load, load_pretrained, save
from torch_gptff.datasets import read_frames
from torch_gptff.errors import ConfigError
from torch_gptff.evaluation import Evaluation, evaluate
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.config import ModelSettings
from torch_gptff.training.start import starting_potential

BODY: dict[str, Any] = {
    "channels": 32,
    "num_layers": 1,
    "num_radial": 4,
    "cutoff": 3.2,
    "feedforward_channels": 32,
    "degree": 1,
}


def settings(path: Path, **changes: Any) -> TrainingConfig:
    table: dict[str, Any] = {
        "model": {"config": {**BODY, "properties": {"magmoms": "atom", "band_gap": "mean"}}},
        "data": {
            "train": [
                {"path": str(path), "options": {"keep": "band_gap?", "keep_per_atom": "magmoms=abs(magmom)"}},
            ],
            "validation_fraction": 0.2,
            "split": "random",
        },
        "loss": {"energy": 1.0, "forces": 1.0, "stress": 0.0, "properties": {"magmoms": 1.0, "band_gap": 1.0}},
        "optimizer": {"lr": 1e-2, "ema": 0.9},
        "epochs": 6,
    }
    return TrainingConfig.from_dict({**table, **changes})


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cu and Ni, whose moments are 0.2 and 1.6 with signs that mean nothing, and a gap that some frames lack."""
    rng = np.random.default_rng(0)
    listed: list[Atoms] = []
    for number in range(40):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[: number % 5] = "Ni"
        atoms.rattle(0.05, seed=number)
        calc = EMT()
        atoms.calc = calc
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["energy"] = energy
        atoms.arrays["forces"] = forces
        atoms.arrays["magmom"] = np.where(atoms.numbers == 28, 1.6, 0.2) * rng.choice([-1, 1], len(atoms))
        if number % 3:
            atoms.info["band_gap"] = 1.0 + (atoms.numbers == 28).mean()
        listed.append(atoms)
    path = tmp_path_factory.mktemp("moments") / "moments.extxyz"
    write(path, listed, format="extxyz")
    return path


def test_moments_are_learned_beside_energy_and_forces(frames: Path, tmp_path: Path, undrawn: None) -> None:
    run = train(settings(frames), tmp_path / "run")
    assert run.evaluation is not None
    scores = run.evaluation.property_scores
    assert scores["magmoms"].mae < 0.3 * scores["magmoms"].mae_of_mean
    assert scores["band_gap"].known < 8  # of eight frames, those that have one
    assert "Properties beside the energy" in (tmp_path / "run" / "report.html").read_text()

    atoms = bulk("Cu", cubic=True)
    atoms.symbols[0] = "Ni"
    atoms.calc = GPTFFCalculator(tmp_path / "run" / "best.safetensors")
    assert atoms.get_magnetic_moments()[0] > atoms.get_magnetic_moments()[1:].max() + 0.5

    again = Evaluation.load(tmp_path / "run" / "evaluation.json")
    assert again.property_scores == scores
    assert again.to_dict()["properties"]["magmoms"]["mae"] == scores["magmoms"].mae
    others = evaluate(load(run.best), read_frames(frames))
    assert others.property_scores == {}


def test_a_property_alone(frames: Path, tmp_path: Path, without_page: None) -> None:
    """Without an energy in the loss no reference of the elements is fitted, and none is needed."""
    loss = {"energy": 0.0, "forces": 0.0, "stress": 0.0, "properties": {"band_gap": 1.0}}
    run = train(settings(frames, loss=loss, epochs=20, batch={"max_frames": 8}), tmp_path / "run")
    scores = run.evaluation.property_scores["band_gap"]
    assert scores.mae < scores.mae_of_mean
    assert float(load(run.best).element_energies.energies.abs().max()) == 0.0


def test_a_property_that_the_model_does_not_have(frames: Path, tmp_path: Path) -> None:
    loss = {"properties": {"charge": 1.0}}
    with pytest.raises(ConfigError, match=r"loss\.properties names charge, and the model predicts magmoms, band_gap"):
        train(settings(frames, loss=loss), tmp_path / "run")


def test_heads_are_added_to_a_checkpoint(tmp_path: Path) -> None:
    before = load_pretrained("gptff-universal")
    started = starting_potential(
        ModelSettings(checkpoint="gptff-universal", config={"properties": {"magmoms": "atom"}}), 0
    )
    atoms = bulk("Fe", cubic=True)
    one, two = (each.predict([atoms], properties=True)[0] for each in (before, started))
    torch.testing.assert_close(two.energy, one.energy)
    torch.testing.assert_close(two.forces, one.forces)
    assert two.atom_properties["magmoms"].shape == (2,)
    save(started, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").model.property_kinds == {"magmoms": "atom"}
    vector = ModelSettings(checkpoint="gptff-universal", config={"properties": {"mu": "vector"}})
    with pytest.raises(ConfigError, match="features that turn"):
        starting_potential(vector, 0)
