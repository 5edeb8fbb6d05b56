"""VASP's output, against what another program made of the same calculations, and against EMT."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from torch_gptff.datasets import detect_format, read_frames
from torch_gptff.errors import UnreadableDataError
from torch_gptff.graph import CrystalData
from torch_gptff.units import KBAR_PER_EV_PER_ANGSTROM3

CALCULATION = "4_mp-1056376/elastic/B222_dist03_6"


@pytest.fixture(scope="module")
def zirconium(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A relaxation of a sheared cell: vasprun.xml, and the DeePMD system that was made of it."""
    folder = tmp_path_factory.mktemp("zr")
    with tarfile.open(shared_data / "data/saidi_elements/Zr_org0c5.tar.gz") as archive:
        wanted = [member for member in archive if member.name.startswith(f"{CALCULATION}/")]
        archive.extractall(folder, wanted, filter="data")
    return folder / CALCULATION


def test_vasprun_says_what_deepmd_says(zirconium: Path) -> None:
    """Two formats with different units and signs of stress, read by different code, are one calculation."""
    assert detect_format(zirconium / "vasprun.xml") == "vasp"
    options = {"energy_key": "free_energy", "unconverged": True}
    by_vasp = sorted(read_frames(zirconium / "vasprun.xml", **options), key=by_energy)
    by_deepmd = sorted(read_frames(zirconium, format="deepmd", type_map=["Zr"]), key=by_energy)
    assert len(by_vasp) == len(by_deepmd) == 20
    for one, other in zip(by_vasp, by_deepmd, strict=True):
        torch.testing.assert_close(one.energy, other.energy, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.forces, other.forces, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.stress, other.stress, atol=1e-6, rtol=0)
        torch.testing.assert_close(one.cell, other.cell, atol=1e-5, rtol=0)
    assert one.stress.abs().max() > 1e-3


def by_energy(frame: CrystalData) -> float:
    return float(frame.energy)


def test_the_energy_without_entropy_is_the_default(zirconium: Path) -> None:
    file = zirconium / "vasprun.xml"
    energies = [float(frame.energy) for frame in read_frames(file, unconverged=True)]
    free = [float(frame.energy) for frame in read_frames(file, energy_key="free_energy", unconverged=True)]
    differences = np.subtract(energies, free)
    assert 1e-4 < np.abs(differences).max() < 1e-2


def test_a_folder_of_calculations(zirconium: Path, tmp_path: Path, metals: list[Atoms]) -> None:
    for name in ("a", "b/deep"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "vasprun.xml").symlink_to(zirconium / "vasprun.xml")
    (tmp_path / "a" / "OUTCAR").write_text(outcar(metals[:1]))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "OUTCAR").write_text(outcar(metals[:1]))
    assert detect_format(tmp_path) == "vasp"
    frames = list(read_frames(tmp_path, unconverged="yes"))
    assert [frame.frame_id for frame in frames][::20] == ["a/vasprun.xml@0", "b/deep/vasprun.xml@0", "c/OUTCAR@0"]
    assert {frame.source for frame in frames} == {tmp_path.name}


def test_a_truncated_vasprun(zirconium: Path, tmp_path: Path) -> None:
    whole = (zirconium / "vasprun.xml").read_bytes()
    (tmp_path / "vasprun.xml").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"vasprun.xml: the calculation was broken off; its complete steps are taken"):
        frames = list(read_frames(tmp_path / "vasprun.xml", unconverged=True))
    assert 0 < len(frames) < 20
    (tmp_path / "vasprun.xml").write_bytes(whole[: len(whole) // 2] + b"</kpoints>" + whole[len(whole) // 2 :])
    with pytest.raises(UnreadableDataError, match=r"vasprun.xml: damaged behind frame \d+ of 20"):
        list(read_frames(tmp_path / "vasprun.xml", unconverged=True))
    (tmp_path / "vasprun.xml").write_bytes(whole[:200] + b"</kpoints>" + whole[200:])
    with pytest.raises(UnreadableDataError, match=r"vasprun.xml: not a vasp-xml file, or damaged"):
        list(read_frames(tmp_path / "vasprun.xml", unconverged=True))


def test_steps_that_did_not_converge_are_left_out(zirconium: Path) -> None:
    """Three of its twenty steps have as many electronic steps as NELM allows."""
    with pytest.warns(UserWarning, match=r"3 of 20 ionic steps are left out, whose electronic .*\(unconverged=yes"):
        frames = list(read_frames(zirconium / "vasprun.xml"))
    assert [frame.frame_id for frame in frames[:3]] == ["vasprun.xml@2", "vasprun.xml@4", "vasprun.xml@5"]
    assert len(frames) == 17


def test_electronic_steps_of_an_outcar(tmp_path: Path, metals: list[Atoms]) -> None:
    """Four steps: one that reached EDIFF in the last electronic step, one that says it did not, one that stopped at
    NELM without a word, and one of a force field."""
    head, *steps = outcar([metals[0]] * 4).split("  in kB")
    head = head.replace("   ISPIN", "   NELM   =      3;   NELMIN=  2; NELMDL= -5     # of ELM steps\n   ISPIN")
    before = [
        " Iteration      1(   3)\n aborting loop because EDIFF is reached\n",
        " Iteration      2(   2)\n aborting loop EDIFF was not reached (unconverged)\n",
        " Iteration      3(   3)\n",
        "",
    ]
    steps[3] = steps[3].replace("TOTAL-FORCE (eV/Angst)", "TOTAL-FORCE (eV/Angst) (ML)")
    text = head + "".join(f"{words}  in kB{step}" for words, step in zip(before, steps, strict=True))
    (tmp_path / "OUTCAR").write_text(text)
    with pytest.warns(UserWarning, match="steps are left out") as caught:
        (frame,) = read_frames(tmp_path / "OUTCAR")
    assert frame.frame_id == "OUTCAR@0"
    said = "\n".join(str(each.message) for each in caught)
    assert "2 of 4 ionic steps are left out, whose electronic steps did not converge" in said
    assert "1 of 4 ionic steps are left out, which a machine-learned force field predicted" in said
    assert len(list(read_frames(tmp_path / "OUTCAR", unconverged="yes", machine_learned="yes"))) == 4


def test_steps_of_a_force_field_in_the_xml(zirconium: Path, tmp_path: Path) -> None:
    """VASP writes them outside of the calculations, where ASE does not look."""
    text = (zirconium / "vasprun.xml").read_text()
    learned = ' <i type="logical" name="ML_LMLFF"> T </i>\n'
    text = text.replace(' <i type="int" name="NELM">', f'{learned} <i type="int" name="NELM">', 1)
    text = text.replace("</modeling>", " <structure>\n </structure>\n" * 2 + "</modeling>")
    (tmp_path / "vasprun.xml").write_text(text)
    with pytest.warns(UserWarning, match=r"2 steps are left out, which stand outside of the calculations"):
        assert len(list(read_frames(tmp_path / "vasprun.xml", unconverged=True))) == 20


def test_outcar(tmp_path: Path, make_atoms: Callable[..., Atoms]) -> None:
    atoms = make_atoms(2)
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    expected = make_atoms(2).calc.results
    order = np.argsort(make_atoms(2).numbers, kind="stable")
    atoms.calc = make_atoms(2).calc
    atoms.calc.results["forces"] = expected["forces"][order]
    (tmp_path / "OUTCAR").write_text(outcar([atoms]))
    (frame,) = read_frames(tmp_path / "OUTCAR")
    assert frame.energy.item() == pytest.approx(expected["energy"], abs=1e-6)
    np.testing.assert_allclose(frame.forces, expected["forces"][order], atol=1e-6)
    xx, yy, zz, yz, xz, xy = expected["stress"]
    np.testing.assert_allclose(frame.stress[0], [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-7)
    assert np.ptp([xy, yz, xz]) > 1e-4


def outcar(frames: list[Atoms]) -> str:
    """The lines of an OUTCAR that say something, in VASP's units and signs: kbar, positive under compression."""
    text = io.StringIO()
    atoms = frames[0]
    kinds, counts = np.unique(atoms.numbers, return_counts=True)
    print(" vasp.6.4.2 20Jul23 (build) complex\n", file=text)
    for kind in [*kinds, *kinds]:
        print(f" POTCAR:    PAW_PBE {Atoms([int(kind)]).symbols[0]} 01Jan2000", file=text)
    print("   ions per type =  " + " ".join(f"{count:6d}" for count in counts), file=text)
    print(f"   ISPIN  =      1\n   NIONS = {len(atoms)}\n", file=text)
    print("--------------------------------------- Iteration      1(   1)  ------", file=text)
    for atoms in frames:
        results = atoms.calc.results
        xx, yy, zz, yz, xz, xy = -results["stress"] * KBAR_PER_EV_PER_ANGSTROM3
        print("  in kB  " + " ".join(f"{value:14.8f}" for value in (xx, yy, zz, xy, yz, xz)), file=text)
        print("      direct lattice vectors                 reciprocal lattice vectors", file=text)
        for row, reciprocal in zip(atoms.cell.array, atoms.cell.reciprocal(), strict=True):
            print(" " + " ".join(f"{value:15.9f}" for value in (*row, *reciprocal)), file=text)
        print(f" POSITION{' ' * 40}TOTAL-FORCE (eV/Angst)\n {'-' * 83}", file=text)
        for position, force in zip(atoms.positions, results["forces"], strict=True):
            print(" " + " ".join(f"{value:15.9f}" for value in (*position, *force)), file=text)
        print(f" {'-' * 83}\n    total drift:  0.0 0.0 0.0\n", file=text)
        print("  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n " + "-" * 51, file=text)
        print(f"  free  energy   TOTEN  = {results['energy']:18.8f} eV\n", file=text)
        print(
            f"  energy  without entropy= {results['energy']:18.8f}  energy(sigma->0) = {results['energy']:18.8f}\n",
            file=text,
        )
    print(" General timing and accounting informations for this job:", file=text)
    return text.getvalue()
