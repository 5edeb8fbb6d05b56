"""What the errors of a trained model tell of the reference energies of the elements, and what they do not."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from emt_frames import MODEL, emt_frames
from numpy.typing import NDArray

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, load, save
from torch_gptff.errors import NoLabelsError
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.config import DataSettings, ModelSettings, SourceSettings
from torch_gptff.training.references import refitted, significant_moves

NOISE = 0.03
"""Standard deviation of the errors of a model, eV/atom."""


def compositions(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Fractions of five elements in frames of one to three of them, ``[M, 5]``."""
    counts = np.zeros((number, 5))
    for row in counts:
        row[rng.choice(5, size=rng.integers(1, 4), replace=False)] = 1
        row *= rng.integers(1, 4, size=5)
    return counts / counts.sum(axis=1, keepdims=True)


def errors_of(fractions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(0, NOISE, len(fractions))


def test_a_few_frames_with_huge_errors_do_not_move_their_element() -> None:
    """Such as atoms of it pressed together, 10 eV/atom off; least squares would move it by 0.4 eV."""
    rng = np.random.default_rng(0)
    fractions = compositions(400, rng)
    errors = errors_of(fractions, rng)
    alone = np.flatnonzero(fractions[:, 2] == 1)
    errors[alone[:4]] += 10.0
    assert np.linalg.lstsq(fractions, errors)[0][2] > 0.4
    assert not significant_moves(fractions, errors).any()


def test_another_reference_is_found_to_within_its_standard_error() -> None:
    rng = np.random.default_rng(1)
    fractions = compositions(400, rng)
    shift = np.array([0.0, 0.5, 0.0, 0.0, -0.08])
    moves = significant_moves(fractions, errors_of(fractions, rng) + fractions @ shift)
    assert moves[[0, 2, 3]].tolist() == [0, 0, 0]
    standard_errors = NOISE * np.sqrt(np.diagonal(np.linalg.inv(fractions.T @ fractions)))
    assert standard_errors.max() < 0.01
    assert (np.abs(moves - shift) < 1.5 * standard_errors).all()


def test_chance_moves_one_element_in_hundreds() -> None:
    rng = np.random.default_rng(2)
    fractions = compositions(100, rng)
    moved = sum(np.count_nonzero(significant_moves(fractions, errors_of(fractions, rng))) for _ in range(60))
    assert moved <= 3, "of 300: three standard errors"


def test_without_a_known_energy_there_is_no_reference_to_move() -> None:
    potential = Potential(GPTFF(GPTFFConfig(**MODEL)), {29: -3.7, 79: -3.2})
    frame = CrystalData(z=torch.tensor([29]), energy=torch.tensor([torch.nan]), source="mine")
    prediction = potential.predict([Atoms("Cu", cell=[3, 3, 3], pbc=True)])
    with pytest.raises(NoLabelsError, match="no frame has a known energy"):
        refitted(potential, [frame], prediction, "mine")


def test_the_smallest_solution_where_compositions_leave_one_open() -> None:
    """Of AB alone, both elements move alike; of A2B alone, twice as much for A; an element of no frame stays."""
    nothing = np.zeros(40)
    for fractions, expected in (((0.5, 0.5, 0), (0.2, 0.2, 0)), ((2 / 3, 1 / 3, 0), (0.24, 0.12, 0))):
        moves = significant_moves(np.tile(fractions, (40, 1)), nothing + 0.2)
        assert moves == pytest.approx(np.array(expected), abs=1e-9)
        assert not significant_moves(np.tile(fractions, (40, 1)), nothing).any()


def labelled_by(potential: Potential, gold: float, rng: np.random.Generator) -> list[Atoms]:
    """Frames with energies of the potential, noise, and so much more for each atom of gold; two are far off."""
    frames = emt_frames(40, seed=3)
    for number, (atoms, found) in enumerate(zip(frames, potential.predict(frames), strict=True)):
        energy = found.energy.item() + NOISE * rng.normal() * len(atoms) + gold * list(atoms.symbols).count("Au")
        energy += 40.0 * (number < 2)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=found.forces.numpy())
    return frames


@pytest.mark.parametrize("gold", [0.0, 0.4])
def test_a_training_that_goes_on_with_its_own_source_keeps_its_references(
    config: TrainingConfig, tmp_path: Path, gold: float
) -> None:
    """To the last bit, where frames have no other reference; gold alone moves where it has."""
    torch.manual_seed(0)
    energies = {29: -3.7, 79: -3.2}
    potential = Potential(GPTFF(GPTFFConfig(**MODEL)), energies)
    save(potential, tmp_path / "before.safetensors")
    write(tmp_path / "own.extxyz", labelled_by(potential, gold, np.random.default_rng(0)))
    again = replace(
        config,
        epochs=1,
        model=ModelSettings(checkpoint=str(tmp_path / "before.safetensors")),
        data=DataSettings(train=(SourceSettings(str(tmp_path / "own.extxyz")),), split="random"),
        loss=replace(config.loss, stress=0.0),
    )
    told = pytest.warns(UserWarning, match=r"another reference .* \(\+0.40 eV for Au") if gold else nullcontext()
    with told:
        run = train(again, tmp_path / "run", accelerator="cpu", report=False)
    after = load(run.best).element_energies.energies
    assert after[29] == energies[29]
    assert after[79] == (energies[79] if gold == 0 else pytest.approx(energies[79] + gold, abs=0.05))
    torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)  # what a resumed run loads: numbers of Python alone
