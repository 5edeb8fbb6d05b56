"""Structure files that are nearly right: read, and made a graph of."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from fuzzing import Fuzz
from mutations import mutated

from torch_gptff import GPTFF, CrystalData, GPTFFConfig
from torch_gptff.datasets import read_frames
from torch_gptff.io.structures import read_structures


def crystals() -> list[Atoms]:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    salt.rattle(0.05, seed=1)
    salt.calc = SinglePointCalculator(salt, energy=-7.0, forces=salt.positions * 0.1, stress=[0.1, 0.2, 0.3, 0, 0, 0])
    slab = bulk("Al", cubic=True)
    slab.center(vacuum=5, axis=2)
    slab.pbc = [True, True, False]
    return [salt, slab, bulk("Si", cubic=True)]


def written(atoms: Atoms | list[Atoms], format: str, **options: object) -> bytes:
    if format == "cif":
        binary = io.BytesIO()
        write(binary, atoms, format=format, **options)
        return binary.getvalue()
    text = io.StringIO()
    write(text, atoms, format=format, **options)
    return text.getvalue().encode()


SYMMETRIC = b"""data_quartz
_cell_length_a   4.9134(2)
_cell_length_b   4.9134(2)
_cell_length_c   5.4052(3)
_cell_angle_alpha   90
_cell_angle_beta   90
_cell_angle_gamma   120
_symmetry_space_group_name_H-M   'P 32 2 1'
_symmetry_Int_Tables_number   154
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-y, x-y, z+2/3'
'-x+y, -x, z+1/3'
'y, x, -z'
'x-y, -y, -z+1/3'
'-x, -x+y, -z+2/3'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Si1 Si4+ 0.4697(1) 0.0000 0.0000 1.0
O1 O2- 0.4135(3) 0.2669(2) 0.1191(2) 1.0
"""
CIF = [*(written(atoms, "cif") for atoms in crystals()), SYMMETRIC]
EXTXYZ = [
    *(written(atoms, "extxyz") for atoms in crystals()),
    written(crystals(), "extxyz"),
    written(molecule("CH3OH"), "extxyz"),
]
POSCAR = [
    written(atoms, "vasp", direct=direct, vasp5=vasp5)
    for atoms in crystals()
    for direct in (False, True)
    for vasp5 in (False, True)
] + [
    b"wurtzite\n-47.6\n1 0 0\n-0.5 0.866 0\n0 0 1.6\nZn S\n1 1\nSelective dynamics\nDirect\n"
    b"0.33 0.67 0 T T F\n0.67 0.33 0.5 F F F\n"
]
MODEL = GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))


@pytest.mark.parametrize(
    ("name", "files"), [("a.cif", CIF), ("a.extxyz", EXTXYZ), ("POSCAR", POSCAR)], ids=["CIF", "extxyz", "POSCAR"]
)
def test_structures(name: str, files: list[bytes], tmp_path: Path, fuzz: Fuzz) -> None:
    path = tmp_path / name

    def use(content: bytes) -> None:
        path.write_bytes(content)
        for atoms in read_structures(path):
            MODEL.build_graph(CrystalData.from_ase(atoms))

    fuzz(mutated(files), use)


def test_labelled_extxyz(tmp_path: Path, fuzz: Fuzz) -> None:
    path = tmp_path / "frames.extxyz"

    def use(content: bytes) -> None:
        path.write_bytes(content)
        for frame in read_frames(path):
            MODEL.build_graph(frame)

    fuzz(mutated(EXTXYZ), use)
