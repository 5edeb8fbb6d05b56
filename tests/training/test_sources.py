"""What the sources of a training are read from."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from torch_gptff.datasets import NAMED, LMDBCrystalDataset, Source
from torch_gptff.training.config import SourceSettings
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
