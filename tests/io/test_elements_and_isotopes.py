"""Elements that files do not name are not made up, and heavy hydrogen keeps its mass."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from pymatgen.core import DummySpecies, Lattice, Structure

from torch_gptff.datasets import read_frames
from torch_gptff.errors import UnknownElementError, UnreadableStructureError
from torch_gptff.graph import CrystalData
from torch_gptff.io.elements import element_of_mass
from torch_gptff.io.structures import read_structures, write_structures
from torch_gptff.workflows.frames import iterate_frames

CIF = """data_x
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_operation_xyz
{operations}
loop_
_atom_site_label
{columns}
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{sites}
"""

DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 3.6
0 3.6
0 3.6
ITEM: ATOMS id {columns} x y z
1 {first} 0 0 0
2 {second} 1.8 1.8 1.8
"""

DATA = """LAMMPS data file{title}

2 atoms
2 atom types
0 4.0 xlo xhi
0 4.0 ylo yhi
0 4.0 zlo zhi

{sections}Atoms # charge

1 1 1.0 0 0 0
2 2 -1.0 2 2 2
"""


def cif(sites: str, operations: str = "'x,y,z'", columns: str = "_atom_site_type_symbol") -> str:
    return CIF.format(sites=sites, operations=operations, columns=columns)


@pytest.mark.parametrize("kind", ["Va", "Vac", "X", "Wat", "OH", "M", "Du"])
def test_a_type_that_is_no_element(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.cif").write_text(cif(f"Na1 Na 0 0 0\nX1 {kind} 0.5 0.5 0.5"))
    with pytest.raises(UnknownElementError, match=rf"a.cif: the site X1 is of the type '{kind}', which is no element"):
        read_structures(tmp_path / "a.cif")


@pytest.mark.parametrize("label", ["Va1", "Vac2", "X1"])
def test_a_label_of_a_vacancy(tmp_path: Path, label: str) -> None:
    (tmp_path / "a.cif").write_text(cif(f"Na1 0 0 0\n{label} 0.5 0.5 0.5", columns="").replace("\n\n", "\n"))
    with pytest.raises(UnknownElementError, match=rf"the site {label}"):
        read_structures(tmp_path / "a.cif")


@pytest.mark.filterwarnings(
    "ignore:.*(parsed as|Cannot determine chemical composition|not a valid Element)"
)  # of pymatgen
@pytest.mark.parametrize("kind", ["V", "V5+", "V0+", "V+3", "v", "Fe3+", "FE", "O2-", "D", "Na1+"])
def test_types_that_are_elements(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.cif").write_text(cif(f"A1 {kind} 0 0 0\nCl1 Cl 0.5 0.5 0.5"))
    (atoms,) = read_structures(tmp_path / "a.cif")
    letters = "".join(each for each in kind if each.isalpha()).capitalize()
    assert atoms.get_chemical_symbols() == ["H" if letters == "D" else letters, "Cl"]


@pytest.mark.parametrize("off", [0.0002, 0.00005, 0.004])
def test_copies_by_symmetry_on_one_spot_are_one_atom(tmp_path: Path, off: float) -> None:
    sites = f"Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 {0.5 + off}"
    (tmp_path / "a.cif").write_text(cif(sites, "'x,y,z'\n'-x,-y,-z'"))
    if off > 1e-4:  # pymatgen's own tolerance
        with pytest.warns(UserWarning, match=r"Cl1 and its copy by symmetry are .* Å apart: taken as one atom"):
            (atoms,) = read_structures(tmp_path / "a.cif")
        np.testing.assert_allclose(atoms.get_scaled_positions(), [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-12)
    else:
        (atoms,) = read_structures(tmp_path / "a.cif")
    assert atoms.get_chemical_symbols() == ["Na", "Cl"]


def test_four_copies_on_an_axis_are_one_atom(tmp_path: Path) -> None:
    """Also where they lie on both sides of the border of the cell."""
    operations = "'x,y,z'\n'-x,-y,z'\n'-y,x,z'\n'y,-x,z'"
    (tmp_path / "a.cif").write_text(cif("Na1 Na 0.5 0.5 0.5\nCl1 Cl 0.001 0.0005 0.1", operations))
    with pytest.warns(UserWarning, match="taken as one atom"):
        (atoms,) = read_structures(tmp_path / "a.cif")
    assert atoms.get_chemical_symbols() == ["Na", "Cl"]
    apart = atoms.get_scaled_positions(wrap=False)[1] - [0, 0, 0.1]
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-12)


def test_copies_that_are_atoms_of_their_own_stay(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif("Na1 Na 0 0 0\nO1 O 0.5 0.5 0.65", "'x,y,z'\n'-x,-y,-z'"))
    (atoms,) = read_structures(tmp_path / "a.cif")
    assert len(atoms) == 3


def test_old_poscars(tmp_path: Path) -> None:
    """Their title may name the kinds; more names or fewer, or other words, say nothing."""
    path = tmp_path / "POSCAR"
    ase.io.write(path, bulk("NaCl", "rocksalt", a=5.6), format="vasp", vasp5=False)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["Na Cl", *lines[1:]]) + "\n")
    assert read_structures(path)[0].get_chemical_formula() == "ClNa"
    for title in ("H C N O", "NaCl", "Na", "made by hand", "", "Va Cl"):
        path.write_text("\n".join([title, *lines[1:]]) + "\n")
        with pytest.raises(
            UnreadableStructureError, match=r"POSCAR \(ASE: its line 6 has the numbers of 2 kinds of atoms"
        ):
            read_structures(path)


def test_dumps_of_lammps(tmp_path: Path) -> None:
    path = tmp_path / "a.lammpstrj"
    path.write_text("".join(DUMP.format(step=step, columns="type", first=1, second=2) for step in (0, 1)))
    for read in (read_structures, lambda file: list(iterate_frames(file)), lambda file: list(read_frames(file))):
        with pytest.raises(UnknownElementError, match=r"types of atoms, and no elements: .*dump_modify") as error:
            read(path)
        assert str(error.value).count("a.lammpstrj") == 1
    path.write_text(DUMP.format(step=0, columns="type mass", first="1 1.0", second="2 1.0"))
    with pytest.raises(UnknownElementError, match=r"atoms of the mass 1\.0, which is that of no one element"):
        read_structures(path)
    for columns, first, second in (("type element", "1 Na", "2 Cl"), ("type mass", "1 22.99", "2 35.45")):
        path.write_text("".join(DUMP.format(step=step, columns=columns, first=first, second=second) for step in (0, 1)))
        assert [atoms.get_chemical_symbols() for atoms in read_structures(path)] == [["Na", "Cl"]] * 2
        assert len(list(iterate_frames(path))) == 2


@pytest.mark.parametrize("name", ["a.data", "a.lmp"])
@pytest.mark.parametrize(
    "sections",
    [
        "Masses\n\n1 22.98977 # Na\n2 35.453 # Cl\n\n",
        "Masses\n\n1 22.98977\n2 35.453\n\n",
        "Masses\n\n1 1.0 # Na\n2 1.0 # Cl\n\n",
        "Atom Type Labels\n\n1 Na\n2 Cl\n\nMasses\n\n1 1.0\n2 1.0\n\n",
    ],
)
def test_data_files_of_lammps(tmp_path: Path, name: str, sections: str) -> None:
    (tmp_path / name).write_text(DATA.format(title="", sections=sections))
    (atoms,) = read_structures(tmp_path / name)
    assert atoms.get_chemical_symbols() == ["Na", "Cl"]
    np.testing.assert_allclose(atoms.positions, [[0, 0, 0], [2, 2, 2]])
    assert atoms.pbc.all()


def test_data_files_of_lammps_without_elements(tmp_path: Path) -> None:
    path = tmp_path / "a.data"
    for sections in ("", "Masses\n\n1 1.0\n2 1.0\n\n", "Masses\n\n1 22.99\n2 500\n\n"):
        path.write_text(DATA.format(title="", sections=sections))
        with pytest.raises(UnknownElementError, match=r"a.data: .* neither a label nor the mass of one element"):
            read_structures(path)
    path.write_text(
        DATA.format(title=" via write_data, units = electron", sections="Masses\n\n1 23.0 # Na\n2 35 # Cl\n\n")
    )
    assert read_structures(path)[0].cell[0, 0] == pytest.approx(4 * 0.529177, rel=1e-4)
    path.write_text("hello\n")
    with pytest.raises(UnreadableStructureError):
        read_structures(path)


def test_masses_of_elements() -> None:
    assert [element_of_mass(mass) for mass in (1.008, 2.014, 3.016, 55.85, 58.69, 58.93)] == [1, 1, 1, 26, 28, 27]
    assert [element_of_mass(mass) for mass in (1.0, 1.5, 40.0, 0.0, 500.0)] == [None] * 5


def test_gromacs_files_name_no_elements(tmp_path: Path) -> None:
    rows = ["    1NA     NA    1   0.000   0.000   0.000", "    2CL     CL    2   0.300   0.000   0.000"]
    text = "\n".join(["salt", "    2", *rows, " 1 1 1", ""])
    (tmp_path / "a.gro").write_text(text)
    with pytest.raises(UnknownElementError, match=r"a.gro: a GROMACS file .*'NA' is no symbol"):
        read_structures(tmp_path / "a.gro")
    (tmp_path / "a.gro").write_text(text.replace("  NA    1", "  OW    1").replace("  CL    2", " HW1    2"))
    assert read_structures(tmp_path / "a.gro")[0].get_chemical_symbols() == ["O", "H"]


def test_dummies_of_pymatgen() -> None:
    structure = Structure(Lattice.cubic(4), ["Na", DummySpecies("X")], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(UnknownElementError, match=r"site 1 is X0\+, which is no element"):
        CrystalData.from_pymatgen(structure)


@pytest.fixture
def heavy_water() -> Atoms:
    atoms = molecule("H2O", vacuum=3, pbc=True)
    atoms.set_masses([15.999, 2.014101778, 1.008])
    return atoms


@pytest.mark.parametrize("name", ["a.cif", "a.extxyz", "a.traj"])
def test_isotopes_survive_a_file(tmp_path: Path, heavy_water: Atoms, name: str) -> None:
    write_structures(tmp_path / name, [heavy_water])
    (atoms,) = read_structures(tmp_path / name)
    assert sorted(np.round(atoms.get_masses(), 3)) == [1.008, 2.014, 15.999]
    assert sorted(atoms.symbols) == ["H", "H", "O"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xyz", "3\n\nO 0 0 0\nD 1 0 0\nT 0 1 0\n" * 2),
        ("a.extxyz", '3\nProperties=pos:R:3:species:S:1 pbc="F F F"\n0 0 0 O\n1 0 0 D\n0 1 0 T\n' * 2),
        ("POSCAR", "water\n1.0\n5 0 0\n0 5 0\n0 0 5\nO D T\n1 1 1\nCartesian\n0 0 0\n1 0 0\n0 1 0\n"),
        (
            "a.json",
            Structure(Lattice.cubic(5), ["O", "Mg", "Al"], np.eye(3) / 5)
            .to_json()
            .replace("Mg", "D")
            .replace("Al", "T"),
        ),
    ],
)
def test_symbols_of_isotopes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    for atoms in read_structures(tmp_path / name):
        assert list(atoms.symbols) == ["O", "H", "H"]
        np.testing.assert_allclose(atoms.get_masses(), [15.999, 2.014, 3.016], atol=1e-3)


def test_labelled_frames_with_isotopes(tmp_path: Path) -> None:
    (tmp_path / "a.extxyz").write_text('2\nProperties=species:S:1:pos:R:3 energy=-1.0 pbc="F F F"\nO 0 0 0\nD 1 0 0\n')
    (frame,) = read_frames(tmp_path / "a.extxyz")
    assert frame.z.tolist() == [8, 1]


@pytest.mark.parametrize("name", ["mysql-run.extxyz", "postgres.xyz", "mariadb.cif", "postgresql_POSCAR", "mysql.traj"])
def test_files_that_are_called_as_databases(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, heavy_water: Atoms
) -> None:
    monkeypatch.chdir(tmp_path)
    name = name.replace("_POSCAR", ".vasp")
    write_structures(name, [heavy_water])
    assert len(read_structures(name)[0]) == 3
    if name.endswith(("xyz", "traj")):
        assert len(next(iter(iterate_frames(name)))) == 3


@pytest.mark.parametrize("name", ["a.cif", "a.extxyz", "POSCAR", "a.json"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_other_encodings(tmp_path: Path, name: str, encoding: str) -> None:
    """A byte-order mark as Windows writes it, UTF-16, and bytes that are no UTF-8 in a comment."""
    write_structures(tmp_path / name, [bulk("NaCl", "rocksalt", a=5.6)]) if name != "a.json" else CrystalData.from_ase(
        bulk("NaCl", "rocksalt", a=5.6)
    ).to_pymatgen().to(str(tmp_path / name))
    text = (tmp_path / name).read_text()
    if encoding == "latin-1":
        text = {
            "a.cif": "# é\n" + text,
            "a.extxyz": text.replace("pbc=", "author=é pbc="),
            "POSCAR": "é" + text,
            "a.json": text.replace('"properties"', '"é": 1, "properties"', 1),
        }[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    (atoms,) = read_structures(tmp_path / name)
    assert sorted(atoms.symbols) == ["Cl", "Na"]
