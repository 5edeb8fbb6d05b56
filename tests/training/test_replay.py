"""Replay sets by name: the crystals, their labels, and how much less a model changes on them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.io import write
from emt_frames import MODEL, emt_frames

from torch_gptff import GPTFF, GPTFFConfig, Potential, load, save
from torch_gptff.datasets import open_dataset
from torch_gptff.errors import ConfigError
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.config import DataSettings, SourceSettings
from torch_gptff.training.replay import known_crystals, replay_set, with_replay_sets

pytestmark = pytest.mark.filterwarnings("ignore:.*(the (forces|stresses) are|another reference)")  # it knows nothing

METALS = (29, 47, 79)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small model of random weights, which knows three metals; and a cache of its own."""
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(**MODEL))
    with torch.no_grad():
        model.readout.fc_out.weight.mul_(300)  # forces of a tenth of an eV/Å
    potential = Potential(model, dict.fromkeys(METALS, -3.0))
    potential.model.elements = frozenset(METALS)
    potential.seen_pairs = frozenset({(29, 79), (47, 79)})
    save(potential, tmp_path / "start.safetensors")
    return str(tmp_path / "start.safetensors")


def test_crystals_are_of_known_elements_and_pairs_and_always_the_same(checkpoint: str) -> None:
    potential = load(checkpoint)
    crystals = known_crystals(potential)
    assert [seed.name for seed in crystals] == [seed.name for seed in known_crystals(potential)]
    elements = {frozenset(seed.atoms.numbers.tolist()) for seed in crystals}
    assert {29, 47, 79} == set().union(*elements)
    assert frozenset({29, 79}) in elements
    assert all((29, 47) not in combinations(sorted(each), 2) for each in elements), "never trained on together"
    assert all(seed.atoms.pbc.all() for seed in crystals)


def test_labels_are_those_of_the_checkpoint_and_are_made_once(checkpoint: str) -> None:
    folder = replay_set(checkpoint)
    written = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    frames = list(open_dataset(folder))
    potential = load(checkpoint)
    some = frames[:: max(1, len(frames) // 10)]
    for frame, found in zip(some, potential.predict(some), strict=True):
        assert frame.energy.item() == pytest.approx(found.energy.item(), abs=1e-5)
        np.testing.assert_allclose(frame.forces.numpy(), found.forces.numpy(), atol=1e-5)
    assert max(float(frame.forces.norm(dim=1).max()) for frame in frames) > 1e-3, "copies are out of equilibrium"
    assert replay_set(checkpoint) == folder
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == written
    assert [file.name for file in folder.parent.iterdir()] == [folder.name], "nothing else is left in the cache"
    with torch.no_grad():
        potential.model.readout.fc_out.weight.mul_(2)
    save(potential, checkpoint)
    assert replay_set(checkpoint) != folder, "other weights have other labels"


def test_replay_keeps_what_the_new_frames_say_nothing_of(checkpoint: str, tmp_path: Path) -> None:
    write(tmp_path / "copper.extxyz", emt_frames(16, seed=1, symbols=("Cu",)))
    known = []
    for number, symbol in enumerate(["Au", "Ag", "Au", "Ag"]):
        atoms = bulk(symbol, "fcc", a=4.1, cubic=True)
        atoms.rattle(0.1, seed=number)
        known.append(atoms)
    before = load(checkpoint).predict(known)
    base = TrainingConfig.from_dict(
        {
            "preset": "fine-tune",
            "model": {"checkpoint": checkpoint},
            "data": {
                "train": [str(tmp_path / "copper.extxyz")],
                "split": "random",
                "validation_fraction": 0.25,
                "replay_fraction": 0.5,
            },
            "optimizer": {"lr": 1e-2, "ema": 0.0},
            "epochs": 8,
        }
    )
    changes = {}
    for name, replayed in {"plain": (), "replay": (SourceSettings("universal"),)}.items():
        config = replace(base, data=replace(base.data, replay=replayed))
        tuned = load(train(config, tmp_path / name, accelerator="cpu", report=False).best)
        changes[name] = np.sqrt(
            np.mean(
                [
                    float((new.forces - old.forces).square().mean())
                    for new, old in zip(tuned.predict(known), before, strict=True)
                ]
            )
        )
    assert changes["replay"] < 0.7 * changes["plain"]


def test_a_set_by_name_needs_a_checkpoint_and_files_of_that_name_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataSettings(replay=(SourceSettings("universal"),))
    with pytest.raises(ConfigError, match="labelled by the checkpoint that is trained further: name one"):
        with_replay_sets(data, None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "universal").mkdir()
    assert with_replay_sets(data, None) == data


def test_the_name_of_the_set_is_that_of_its_source(checkpoint: str) -> None:
    source = SourceSettings("universal", weight=0.5)
    (found,) = with_replay_sets(DataSettings(replay=(source,)), checkpoint).replay
    assert (found.title, found.weight) == ("universal", 0.5)
    assert len(open_dataset(found.path)) > 10
