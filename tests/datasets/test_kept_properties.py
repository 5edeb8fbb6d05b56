"""Labels beside energy, forces and stress: kept by name from files and from datasets of PyG."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import write
from torch_geometric.data import Data, InMemoryDataset

from torch_gptff.datasets import (
    CrystalDataset,
    LMDBCrystalDataset,
    PyGSource,
    Source,
    frames_of_pyg,
    open_dataset,
    read_frames,
)
from torch_gptff.errors import LabelError, NoLabelsError, UnknownFormatError

OPTIONS = {"keep": "band_gap?, hull=e_above_hull", "keep_per_atom": "magmoms=abs(magmom)?"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three frames: with everything, without a band gap, and without moments."""
    listed = []
    for number in range(3):
        atoms = Atoms("FeO", positions=[[0, 0, 0], [2, 2, 2 + 0.1 * number]], cell=[4, 4, 4], pbc=True)
        atoms.info = {"energy": -10.0 - number, "e_above_hull": 0.1 * number}
        if number != 1:
            atoms.info["band_gap"] = 2.5 + number
        if number != 2:
            atoms.arrays["magmom"] = np.array([-3.5, 0.25 * number])
        listed.append(atoms)
    write(tmp_path / "moments.extxyz", listed, format="extxyz")
    return tmp_path / "moments.extxyz"


def check(frames: Any) -> None:
    first, second, third = frames
    assert first.band_gap.tolist() == [2.5]
    assert bool(second.band_gap.isnan().all())
    assert third.hull.tolist() == pytest.approx([0.2])
    assert first.magmoms.tolist() == [3.5, 0.0]
    assert second.magmoms.tolist() == [3.5, 0.25]
    assert third.magmoms.shape == (2,)
    assert bool(third.magmoms.isnan().all())
    assert second.energy.item() == -11.0


def test_keys_of_extended_xyz(file: Path) -> None:
    check(list(read_frames(file, **OPTIONS)))
    assert "band_gap" not in next(read_frames(file))


def test_in_stored_datasets(file: Path, tmp_path: Path) -> None:
    source = Source(file, options=OPTIONS)
    check(open_dataset(source))
    for kind in (CrystalDataset, LMDBCrystalDataset):
        kind(tmp_path / kind.__name__, source, log=False)
        check(open_dataset(tmp_path / kind.__name__))


def test_a_file_of_properties_alone(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    atoms.info["gap"] = 7.0
    write(tmp_path / "gaps.extxyz", [atoms, atoms], format="extxyz")
    dataset = open_dataset(Source(tmp_path / "gaps.extxyz", options={"keep": "gap"}))
    assert dataset[1].gap.tolist() == [7.0]
    with pytest.raises(NoLabelsError):
        open_dataset(tmp_path / "gaps.extxyz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "energy"}, "no field of a record can be called 'energy'"),
        ({"keep": "gap==x"}, "keep and keep_per_atom name keys, as in band_gap"),
        ({"keep": "a, a=b"}, "two fields of a record would be called 'a'"),
        ({"keep": "e-hull"}, "give it a name, as in target=e-hull"),
    ],
)
def test_options_that_are_refused(file: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownFormatError, match=message):
        list(read_frames(file, **options))


def test_a_key_that_some_frames_lack_is_marked(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LabelError, match=r"frame 1: there is no 'band_gap' to keep; .*\(band_gap\? leaves it unknown"):
        list(read_frames(file, keep="band_gap"))
    with caplog.at_level(logging.INFO, "torch_gptff"):
        list(read_frames(file, keep="gap=band_gap?"))
    assert "kept: gap from band_gap in 2 of 3 frames" in caplog.text


def test_a_text_is_no_number(file: Path) -> None:
    frames = file.with_name("texts.extxyz")
    frames.write_text(file.read_text().replace("band_gap=", "band_gap=about_"))
    assert next(read_frames(frames, keep="band_gap")).band_gap == "about_2.5"
    with pytest.raises(LabelError, match=r"'band_gap' cannot be kept as numbers: it is the text 'about_2\.5'"):
        list(read_frames(frames, keep="band_gap?"))


def test_a_value_for_every_atom_is_asked_for(file: Path) -> None:
    with pytest.raises(LabelError, match=r"frame 0: band_gap has the shape \[\], and there are 2 atoms"):
        list(read_frames(file, keep_per_atom="band_gap"))


def test_moments_of_mptrj(tmp_path: Path) -> None:
    def entry(magmom: Any) -> dict[str, Any]:
        lattice = {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]}
        sites = [{"species": [{"element": "Fe", "occu": 1}], "abc": [0, 0, 0]}]
        return {"structure": {"lattice": lattice, "sites": sites}, "corrected_total_energy": -8.0, "force": [[0, 0, 0]],
                "stress": [[0, 0, 0]] * 3, "magmom": magmom, "bandgap": 0.5}  # fmt: skip

    path = tmp_path / "MPtrj.json"
    path.write_text(json.dumps({"mp-1": {"a": entry([-2.5]), "b": entry(None)}}))
    first, second = read_frames(path, format="mptrj", keep="band_gap=bandgap", keep_per_atom="magmoms=abs(magmom)")
    assert first.magmoms.tolist() == [2.5]
    assert first.band_gap.tolist() == [0.5]
    assert bool(second.magmoms.isnan().all())


class Molecules(InMemoryDataset):
    """As QM9 and MD17 lay out their records."""

    def __init__(self) -> None:
        super().__init__()
        listed = []
        for number, name in enumerate(("H2O", "CH4", "NH3")):
            atoms = molecule(name)
            y = torch.arange(19.0).unsqueeze(0) + 100 * number
            listed.append(
                Data(
                    z=torch.tensor(atoms.numbers),
                    pos=torch.tensor(atoms.positions).float(),
                    y=y,
                    energy=torch.tensor([-100.0 * number]),
                    force=torch.full((len(atoms), 3), 23.0),
                    q=torch.ones(len(atoms), 1),
                )
            )
        self.data, self.slices = self.collate(listed)


class TestDatasetsOfPyG:
    def test_fields_and_columns(self) -> None:
        frames = list(
            frames_of_pyg(
                Molecules(), energy="y[:, 7]", forces="force", target={"gap": "y[:, 4]", "charge": "q", "all": "y"}
            )
        )
        assert [frame.energy.item() for frame in frames] == [7.0, 107.0, 207.0]
        assert frames[1].gap.tolist() == [104.0]
        assert frames[1].charge.shape == (5,)
        assert frames[1]["all"].shape == (1, 19)
        assert not frames[0].pbc.any()
        assert frames[2].material == "H3N"

    def test_units_are_converted(self) -> None:
        frame = list(frames_of_pyg(Molecules(), energy="energy", forces="force", energy_unit="kcal/mol"))[1]
        assert frame.energy.item() == pytest.approx(-100 * 0.0433641, rel=1e-5)
        assert frame.forces[0, 0].item() == pytest.approx(23 * 0.0433641, rel=1e-5)
        one = next(frames_of_pyg(Molecules(), energy="y[:, 1]", energy_unit="hartree"))
        assert one.energy.item() == pytest.approx(27.2113862, rel=1e-7)

    def test_stored_as_a_source(self, tmp_path: Path) -> None:
        source = PyGSource("QM", dataset=Molecules(), energy="y[:, 7]", target={"gap": "y[:, 4]"})
        CrystalDataset(tmp_path, source, log=False)
        again = open_dataset(tmp_path)
        assert again[2].gap.tolist() == [204.0]
        assert again[2].source == "QM"
        assert again[2].frame_id == "QM@2"

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({"energy": "u0"}, "record 0 of Molecules has no 'u0'; it has"),
            ({"energy": "y[:, 30]"}, r"y has the shape \[1, 19\], and no column 30"),
        ],
    )
    def test_fields_that_are_not_there(self, labels: dict[str, Any], message: str) -> None:
        with pytest.raises(LabelError, match=message):
            list(frames_of_pyg(Molecules(), **labels))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({"energy": "y[0]"}, "a field is named as"),
            ({"energy_unit": "J"}, "energy_unit is one of eV, meV, kcal/mol, hartree"),
            ({"target": {"forces": "force"}}, "a target cannot be called 'forces'"),
        ],
    )
    def test_names_that_are_refused(self, labels: dict[str, Any], message: str) -> None:
        with pytest.raises(UnknownFormatError, match=message):
            list(frames_of_pyg(Molecules(), **labels))
