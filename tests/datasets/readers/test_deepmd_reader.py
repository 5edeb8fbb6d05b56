"""DeePMD-kit's npy systems."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from torch_gptff.datasets import detect_format, is_known, read_frames
from torch_gptff.errors import LabelError, UnreadableDataError


@pytest.fixture
def system(tmp_path: Path, metals: list[Atoms]) -> Path:
    """The same four atoms at six places, in two sets, in a folder ``data/run``."""
    folder = tmp_path / "data" / "run"
    atoms = [each for each in metals if len(each) == 4]
    symbols = sorted({symbol for each in atoms for symbol in each.symbols})
    folder.mkdir(parents=True)
    (folder / "type_map.raw").write_text("\n".join(symbols))
    (folder / "type.raw").write_text(" ".join(str(symbols.index(symbol)) for symbol in atoms[0].symbols))
    for number, part in enumerate((atoms[:4], atoms[4:])):
        batch = folder / f"set.{number:03d}"
        batch.mkdir()
        volumes = np.array([each.get_volume() for each in part])
        stress = np.stack([each.get_stress(voigt=False) for each in part])
        arrays = {
            "coord": np.stack([each.positions.ravel() for each in part]),
            "box": np.stack([each.cell.array.ravel() for each in part]),
            "energy": np.array([each.get_potential_energy() for each in part]),
            "force": np.stack([each.get_forces().ravel() for each in part]),
            "virial": (-volumes[:, None, None] * stress).reshape(-1, 9),
        }
        for name, array in arrays.items():
            np.save(batch / f"{name}.npy", array)
    return folder


def test_units_and_signs(system: Path, metals: list[Atoms]) -> None:
    frames = list(read_frames(system))
    atoms = [each for each in metals if len(each) == 4]
    assert len(frames) == 6
    for frame, each in zip(frames, atoms, strict=True):
        assert frame.energy.item() == pytest.approx(each.get_potential_energy())
        np.testing.assert_allclose(frame.stress[0], each.get_stress(voigt=False), atol=1e-12)
        np.testing.assert_allclose(frame.forces, each.get_forces(), atol=1e-12)
    assert frames[5].frame_id == "set.001@1"


def test_a_folder_and_an_archive_of_systems(system: Path, tmp_path: Path) -> None:
    for name in ("data.tar.gz", "data.tar.xz", "data.tar"):
        with tarfile.open(tmp_path / name, f"w:{'' if name == 'data.tar' else name.split('.')[-1]}") as archive:
            archive.add(tmp_path / "data", "data")
        assert detect_format(tmp_path / name) == "deepmd"
        frames = list(read_frames(tmp_path / name))
        assert [frame.frame_id for frame in frames][:5:4] == ["data/run/set.000@0", "data/run/set.001@0"]
        assert frames[0].source == "data"
    assert detect_format(tmp_path / "data") == "deepmd"
    assert len(list(read_frames(tmp_path / "data"))) == 6


def test_a_missing_virial_is_unknown_and_a_molecule_has_no_cell(system: Path) -> None:
    (system / "set.000" / "virial.npy").unlink()
    assert [bool(is_known(frame, "stress")) for frame in read_frames(system)] == [False] * 4 + [True] * 2
    (system / "set.001" / "virial.npy").unlink()
    (system / "nopbc").touch()
    frame = next(read_frames(system))
    assert not frame.pbc.any()
    assert frame.cell.abs().max() == 0


def test_what_does_not_fit_is_named(system: Path) -> None:
    force = np.load(system / "set.001" / "force.npy")
    np.save(system / "set.001" / "force.npy", force[:1])
    with pytest.raises(UnreadableDataError, match=r"run/set.001: force.npy has 1 frames, and coord.npy 2"):
        list(read_frames(system))
    force[1, 3] = np.nan
    np.save(system / "set.001" / "force.npy", force)
    with pytest.raises(LabelError, match=r"run/set.001, frame 1: the forces are not finite"):
        list(read_frames(system))
    np.save(system / "set.001" / "force.npy", force[:, :9])
    with pytest.raises(LabelError, match=r"forces have the shape \[3, 3\], and must have \[4, 3\]"):
        list(read_frames(system))
    (system / "set.001" / "box.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UnreadableDataError, match=r"set.001: box.npy is missing or damaged"):
        list(read_frames(system))
    (system / "type.raw").write_text("0 1")
    with pytest.raises(UnreadableDataError, match=r"type.raw 2 atoms"):
        list(read_frames(system))
    (system / "type.raw").write_text("0 1 7 0")
    with pytest.raises(UnreadableDataError, match=r"type.raw has the types 0 to 7, and the type map"):
        list(read_frames(system))
    (system / "type_map.raw").unlink()
    with pytest.raises(UnreadableDataError, match=r"no type_map.raw: say which elements the types 0 to 7 are"):
        list(read_frames(system))


def test_pickles_are_not_loaded(system: Path) -> None:
    np.save(system / "set.000" / "energy.npy", np.array([{"a": 1}] * 4, dtype=object))
    with pytest.raises(UnreadableDataError, match=r"energy.npy is missing or damaged"):
        list(read_frames(system))


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("nothing")
    with tarfile.open(tmp_path / "notes.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes", "notes")
    with pytest.raises(UnreadableDataError, match=r"notes.tar.gz: no system of DeePMD-kit"):
        list(read_frames(tmp_path / "notes.tar.gz"))
    (tmp_path / "broken.tar.gz").write_bytes((tmp_path / "notes.tar.gz").read_bytes()[:50])
    with pytest.raises(UnreadableDataError, match=r"broken.tar.gz: not a tar archive, or truncated"):
        list(read_frames(tmp_path / "broken.tar.gz"))


@pytest.mark.slow
def test_lgps(shared_data: Path) -> None:
    n_frames, n_atoms, without = Counter[int](), 0, Counter[str]()
    for frame in read_frames(shared_data / "data/lgps", type_map=["Li", "Ge", "P", "S"]):
        n_frames[len(frame.z)] += 1
        n_atoms += len(frame.z)
        if not bool(is_known(frame, "stress")):
            without[frame.frame_id.split("/set")[0]] += 1
        assert frame.material == "Li10Ge(PS6)2"
        assert -4.3144 <= round(float(frame.energy) / len(frame.z), 4) <= -3.9970
    assert n_frames == {50: 3260, 400: 3290}
    assert n_atoms == 1_479_000
    assert without == {"data.init/LiGePS-init.system": 590}


@pytest.mark.parametrize(
    ("name", "n_frames"),
    [
        ("Re_org0.tar.gz", 974),
        ("Ni_org0.tar.gz", 1103),
        ("Nb_org1.tar.gz", 389),
        ("Zr_org2.tar.gz", 323),
        ("Zr_org0c5.tar.gz", 140),
    ],
)
def test_single_elements(shared_data: Path, name: str, n_frames: int) -> None:
    element = name[:2]
    frames = list(read_frames(shared_data / "data/saidi_elements" / name, type_map=[element]))
    assert len(frames) == n_frames
    assert {frame.material for frame in frames} == {element}
    assert all(bool(is_known(frame, "stress")) for frame in frames)
