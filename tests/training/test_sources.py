"""What the sources of a training are read from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from torch_geometric.data import Batch

from torch_gptff.datasets import NAMED, LMDBCrystalDataset, Source
from torch_gptff.errors import ConfigError
from torch_gptff.models import GPTFFConfig, build_model
from torch_gptff.training.config import SourceSettings
from torch_gptff.training.data import Part
from torch_gptff.training.graphs import GraphFrames
from torch_gptff.training.references import SIZE, References, fitted
from torch_gptff.training.sources import JoinedFrames


def test_a_folder_goes_before_the_published_dataset_of_its_name(tmp_path, monkeypatch) -> None:
    assert "acwf" in NAMED
    monkeypatch.chdir(tmp_path)
    copper = bulk("Cu")
    copper.calc = SinglePointCalculator(copper, energy=-3.7, forces=np.zeros((1, 3)))
    write("copper.extxyz", copper)
    LMDBCrystalDataset("acwf", [Source("copper.extxyz")])
    (frame,) = JoinedFrames([SourceSettings("acwf")])
    assert frame.z.tolist() == [29]
    assert frame.source == "acwf"


def copper_at(energy: float, name: str, n_atoms: int = 1) -> SourceSettings:
    copper = bulk("Cu") * (n_atoms, 1, 1)
    copper.calc = SinglePointCalculator(copper, energy=energy, forces=np.zeros((n_atoms, 3)))
    write(f"{name}.extxyz", copper)
    return SourceSettings(f"{name}.extxyz")


def test_sources_that_share_a_reference_keep_the_difference_of_their_energies(tmp_path, monkeypatch) -> None:
    """Atoms alone and a crystal, each in a file of its own: the cohesive energy is no difference of references."""
    monkeypatch.chdir(tmp_path)
    crystal, atom, other = copper_at(-3.7, "crystal"), copper_at(-0.2, "atom"), copper_at(-5.0, "other")
    frames = JoinedFrames([crystal, replace(atom, reference="crystal"), other])
    assert [frame.source for frame in frames] == ["crystal", "crystal", "other"]
    part = Part(frames, np.arange(3))
    references = fitted(iter(part), "crystal")
    energies = [float(frame.energy) for frame in part.counted_from(references)]
    assert energies[1] - energies[0] == pytest.approx(3.5)
    assert energies[2] == pytest.approx(sum(energies[:2]) / 2)
    graphs = GraphFrames(frames, np.arange(3), build_model("gptff", {}), references.shifts(part.titles))
    assert [int(graphs[place].source_number) for place in range(3)] == [0, 0, 2]


def test_a_shift_of_a_shared_reference_is_added_once() -> None:
    by = torch.zeros(3, SIZE)
    by[1, 29] = 0.5
    moved = References({"a": {29: -1.0}, "b": {29: -2.0}}, "a").moved(["a", "b", "b"], by)
    assert moved.tables == {"a": {29: -1.0}, "b": {29: -1.5}}


def test_a_reference_of_no_source_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    crystal = copper_at(-3.7, "crystal")
    with pytest.raises(ConfigError, match="'crystals', and the sources that have one of their own are crystal"):
        JoinedFrames([crystal, replace(copper_at(-0.2, "atom"), reference="crystals")])


@pytest.mark.parametrize("config", [GPTFFConfig(), GPTFFConfig.paper()], ids=["bonds", "bonds and angles"])
def test_a_batch_is_made_as_its_frames_are_one_by_one(config, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources = [copper_at(-3.7, "a"), copper_at(-0.2, "b"), copper_at(-7.4, "two", 2)]
    graphs = GraphFrames(JoinedFrames(sources), np.arange(3), build_model("gptff", config.to_dict()))
    one_by_one, together = Batch.from_data_list([graphs[place] for place in range(3)]), graphs[[0, 1, 2]]
    keys = ["z", "pos", "edge_index", "edge_shift", "energy", "batch", "weight", "source_number"]
    has_angles = config.angle_update == "explicit"
    for key in [*keys, "angle_index"] if has_angles else keys:
        assert torch.equal(one_by_one[key], together[key]), key
    costs = graphs.costs()
    assert costs.bonds.tolist() == [graphs[place].edge_index.size(1) for place in range(3)]
    angles = [graphs[place].angle_index.size(1) if has_angles else 0 for place in range(3)]
    assert costs.angles.tolist() == angles
