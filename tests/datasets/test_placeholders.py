"""Labels that stand for "not computed"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, graphene, molecule

from torch_gptff.datasets import dataset_statistics, read_frames
from torch_gptff.datasets.placeholders import check_placeholders, forces_may_act
from torch_gptff.graph import CrystalData


def rattled(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.rattle(0.05, seed=3)
    return copy


@pytest.mark.parametrize(
    ("atoms", "may_act"),
    [
        (bulk("Cu", cubic=True), False),
        (bulk("NaCl", "rocksalt", a=5.6), False),
        (bulk("Si"), False),
        (bulk("Ti", "hcp", a=2.95, c=4.68), False),
        (bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.38), True),  # u may change
        (graphene(vacuum=8), False),
        (molecule("O2"), True),  # along the bond
        (molecule("H2O"), True),
        (rattled(bulk("Cu", cubic=True)), True),
        (rattled(graphene(size=(2, 2, 1), vacuum=8)), True),
    ],
)
def test_where_symmetry_lets_forces_act(atoms: Atoms, may_act: bool) -> None:
    assert forces_may_act(CrystalData.from_ase(atoms)) == may_act


@pytest.mark.parametrize("label", ["energy", "forces", "stress"])
def test_zeros(frames: list[CrystalData], label: str) -> None:
    assert check_placeholders(frames) == []
    frames[0][label] = frames[0][label] * 0
    assert check_placeholders(frames) == []
    for frame in frames[:3]:
        frame[label] = frame[label] * 0
    (sentence,) = check_placeholders(frames)
    verb = "are" if label == "forces" else "is"
    assert sentence.startswith("one: the")
    assert f"the {label} of 3 of 6 frames {verb} exactly zero" in sentence
    assert dataset_statistics(frames).suspicions == (sentence,)


def test_forces_that_symmetry_makes_zero(
    emt_labelled: Callable[[Atoms], Atoms], to_frame: Callable[..., CrystalData]
) -> None:
    """An equation of state of a perfect crystal."""
    frames = [to_frame(emt_labelled(bulk("Cu", cubic=True, a=a))) for a in np.linspace(3.5, 3.8, 12)]
    for frame in frames:
        frame.forces = torch.zeros_like(frame.forces)
    assert check_placeholders(frames) == []


def test_one_energy_for_all(frames: list[CrystalData]) -> None:
    for frame in frames:
        frame.source, frame.energy = "one", torch.tensor([-1.0], dtype=torch.float64)
    (sentence,) = check_placeholders(frames)
    assert "12 of 12 frames have exactly the same energy (-1 eV)" in sentence


def test_real_data_have_none(shared_data: Path) -> None:
    for element in ("Mo", "Li"):
        assert check_placeholders(read_frames(shared_data / f"data/mlearn/{element}")) == []
