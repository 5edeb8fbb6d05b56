"""Structure files: what is read is what is there, or an error says why not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Molecule, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from torch_gptff.errors import PartialOccupancyError, StructureError, UnreadableStructureError
from torch_gptff.graph import CrystalData
from torch_gptff.io.structures import read_labelled, read_structures, write_structures

CIF = """data_{name}
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 6.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_IT_number 1
loop_
_space_group_symop_operation_xyz
'x, y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""


@pytest.fixture
def crystal() -> Atoms:
    atoms = bulk("NaCl", "wurtzite", a=4.5, c=7.2)
    atoms.positions += np.random.default_rng(0).normal(scale=0.1, size=(4, 3))
    return atoms


def assert_same_crystal(found: Atoms, expected: Atoms, tolerance: float = 1e-5) -> None:
    """The same atoms in the same order in the same cell, which may be turned as a whole."""
    assert (found.numbers == expected.numbers).all()
    assert (found.pbc == expected.pbc).all()
    np.testing.assert_allclose(found.cell.cellpar(), expected.cell.cellpar(), atol=10 * tolerance)
    apart = found.get_scaled_positions(wrap=False) - expected.get_scaled_positions(wrap=False)
    np.testing.assert_allclose(apart, np.round(apart), atol=tolerance)


@pytest.mark.parametrize("name", ["a.extxyz", "POSCAR", "a.vasp", "a.cif", "a.xsf", "a.traj", "a.json", "a.gen"])
def test_formats_that_ase_writes(tmp_path: Path, crystal: Atoms, name: str) -> None:
    write_structures(tmp_path / name, [crystal])
    (found,) = read_structures(tmp_path / name)
    assert_same_crystal(found, crystal)


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.cssr", "a.res", "a.mcif", "a.cif", "POSCAR"])
def test_formats_that_pymatgen_writes(tmp_path: Path, crystal: Atoms, name: str) -> None:
    CrystalData.from_ase(crystal).to_pymatgen().to(str(tmp_path / name))
    (found,) = read_structures(tmp_path / name)
    assert_same_crystal(found, crystal, tolerance=1e-4)


def test_pymatgen_dicts_of_molecules_entries_and_lists(tmp_path: Path) -> None:
    water = Molecule(["O", "H", "H"], [[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]])
    salt = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    entry = ComputedStructureEntry(salt, -5.0)
    (tmp_path / "list.json").write_text(json.dumps([water.as_dict(), salt.as_dict(), entry.as_dict()]))
    formulas = [atoms.get_chemical_formula() for atoms in read_structures(tmp_path / "list.json")]
    assert formulas == ["H2O", "ClNa", "ClNa"]
    assert [bool(atoms.pbc.any()) for atoms in read_structures(tmp_path / "list.json")] == [False, True, True]


@pytest.mark.parametrize("name", ["a.cif", "a.extxyz"])
def test_compressed_files(tmp_path: Path, crystal: Atoms, name: str) -> None:
    write_structures(tmp_path / name, [crystal])
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    (found,) = read_structures(tmp_path / f"{name}.gz")
    assert_same_crystal(found, crystal)


def test_all_frames_or_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "md.extxyz"
    write_structures(path, [bulk("Cu", a=3.5 + 0.01 * number) for number in range(5)])

    def lengths(index: str) -> list[float]:
        return [round(float(atoms.cell[0, 1]) * 2, 6) for atoms in read_structures(f"{path}{index}")]

    every = [3.5, 3.51, 3.52, 3.53, 3.54]
    assert lengths("") == every
    assert lengths("@2") == every[2:3]
    assert lengths("@-1") == every[-1:]
    assert lengths("@-2") == every[-2:-1]
    assert lengths("@1:3") == every[1:3]
    assert lengths("@::2") == every[::2]
    assert list(read_labelled(f"{path}@-2:")) == [f"{path}@3", f"{path}@4"]
    for label, atoms in read_labelled(path).items():
        (again,) = read_structures(label)
        assert again == atoms
    with pytest.raises(UnreadableStructureError, match="has 5 structures"):
        read_structures(f"{path}@5")


def test_an_existing_file_with_an_at_sign_is_itself(tmp_path: Path, crystal: Atoms) -> None:
    path = tmp_path / "POSCAR@2"
    ase.io.write(path, crystal, format="vasp")
    assert list(read_labelled(path)) == [str(path)]


def test_every_block_of_a_cif_with_the_atoms_in_its_order(tmp_path: Path) -> None:
    sites = "Cl1 Cl 0.1 0.2 0.3 1.0\nNa1 Na 0.6 0.7 0.8 1\nCl2 Cl 0.4 0.1 0.6 1.000(2)\nLi1 Li 0 0 0 ?"
    blocks = [CIF.format(name="same", sites=sites), CIF.format(name="same", sites="Fe1 Fe 0 0 0 1")]
    (tmp_path / "two.cif").write_text("data_global\n_publ_section_title 'none'\n\n" + "\n".join(blocks))
    first, second = read_structures(tmp_path / "two.cif")
    assert first.get_chemical_symbols() == ["Cl", "Na", "Cl", "Li"]
    assert second.get_chemical_symbols() == ["Fe"]
    # as ASE turns and lists it
    theirs = ase.io.read(tmp_path / "two.cif", index=0)
    np.testing.assert_allclose(first.positions, theirs.positions, atol=1e-12)
    np.testing.assert_allclose(first.cell, theirs.cell, atol=1e-12)


@pytest.mark.parametrize("space_group", [2, 14, 19, 62, 88, 136, 148, 167, 176, 194, 205, 216, 225, 227])
def test_symmetry_of_a_cif_makes_all_atoms(tmp_path: Path, space_group: int) -> None:
    from pymatgen.io.cif import CifWriter
    from pymatgen.symmetry.groups import SpaceGroup

    group = SpaceGroup.from_int_number(space_group)
    lattice = {
        "triclinic": Lattice.from_parameters(5, 6, 7, 80, 95, 103),
        "monoclinic": Lattice.monoclinic(5, 6, 7, 100),
        "orthorhombic": Lattice.orthorhombic(5, 6, 7),
        "tetragonal": Lattice.tetragonal(5, 7),
        "trigonal": Lattice.hexagonal(6, 13),
        "hexagonal": Lattice.hexagonal(6, 9),
        "cubic": Lattice.cubic(8),
    }[group.crystal_system]
    structure = Structure.from_spacegroup(group.symbol, lattice, ["Na", "Cl"], [[0, 0, 0], [0.13, 0.22, 0.31]])
    (tmp_path / "a.cif").write_text(str(CifWriter(structure, symprec=1e-3)))
    (found,) = read_structures(tmp_path / "a.cif")
    assert len(found) == len(structure)
    distances = np.sort(structure.distance_matrix[np.triu_indices(len(structure), 1)])
    theirs = np.sort(found.get_all_distances(mic=True)[np.triu_indices(len(found), 1)])
    np.testing.assert_allclose(theirs, distances, atol=1e-4)


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ("Li1 Li 0 0 0 0.5\nNa1 Na 0 0 0 0.5", "Li"),
        ("Li1 Li 0 0 0 0.75\nCl1 Cl 0.5 0.5 0.5 1", "0.75"),
        ("Li1 Li 0 0 0 0.8\nNa1 Na 0 0 0 0.8", "0.8"),
    ],
)
def test_shared_and_partly_empty_sites_are_refused(tmp_path: Path, sites: str, message: str) -> None:
    path = tmp_path / "disorder.cif"
    path.write_text(CIF.format(name="d", sites=sites))
    with pytest.raises(PartialOccupancyError, match=message) as caught:
        read_structures(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.res", "a.mcif"])
def test_disorder_is_refused_in_every_format_that_holds_it(tmp_path: Path, name: str) -> None:
    structure = Structure(Lattice.cubic(4.0), [{"Li": 0.5, "Na": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    structure.to(str(tmp_path / name))
    with pytest.raises((PartialOccupancyError, UnreadableStructureError), match=name):
        read_structures(tmp_path / name)


def test_occupancies_of_a_pdb_file(tmp_path: Path) -> None:
    line = "ATOM  {:5d}  O   HOH A   1    {:8.3f}   0.000   0.000  {:4.2f}  0.00           O"
    path = tmp_path / "a.pdb"
    path.write_text("\n".join([line.format(1, 0.0, 1.0), line.format(2, 3.0, 0.4), "END", ""]))
    with pytest.raises(PartialOccupancyError, match=r"atom 1 has the occupancy 0\.4"):
        read_structures(path)


def test_a_cif_that_lacks_elements_of_its_own_formula_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "hydrate.cif"
    sites = "Cl1 Cl 0.1 0.2 0.3 1\nNa1 Na 0.6 0.7 0.8 1"
    path.write_text(CIF.format(name="h", sites=sites).replace("loop_", "_chemical_formula_sum 'Na Cl H2 O'\nloop_", 1))
    with pytest.warns(UserWarning, match="Missing elements") as caught:
        read_structures(path)
    assert str(path) in str(caught[0].message)


def test_a_poscar_without_elements_is_refused_rather_than_guessed(tmp_path: Path, crystal: Atoms) -> None:
    path = tmp_path / "POSCAR"
    write_structures(path, [crystal])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["no elements here", *lines[1:5], *lines[6:], ""]))
    with pytest.raises(UnreadableStructureError, match=r"ASE: .*; pymatgen: .*Elements in POSCAR cannot be determined"):
        read_structures(path)


def test_a_res_file_with_symmetry_operations_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.res"
    Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(path))
    path.write_text(path.read_text().replace("LATT -1", "LATT -1\nSYMM -X, -Y, Z"))
    with pytest.raises(UnreadableStructureError, match=r"SYMM -X, -Y, Z.*convert it to CIF"):
        read_structures(path)
    path.write_text(path.read_text().replace("LATT -1\nSYMM -X, -Y, Z", "LATT 4"))
    with pytest.raises(UnreadableStructureError, match="LATT 4"):
        read_structures(path)


@pytest.mark.parametrize("kept", [-2, 3, 1])
def test_a_truncated_xyz_file(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.xyz"
    write_structures(path, [molecule("C2H6")])
    path.write_text("\n".join(path.read_text().splitlines()[:kept]) + "\n")
    with pytest.raises(UnreadableStructureError, match=r"cut\.xyz \(ASE: "):
        read_structures(path)


@pytest.mark.parametrize("name", ["a.cif", "a.xyz", "POSCAR", "a.json", "a.unknown", "no_suffix", "a.res"])
@pytest.mark.parametrize("content", [b"", b"hello\n", bytes(range(256)), b"{}", b"[]"])
def test_what_is_no_structure(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableStructureError) as caught:
        read_structures(path)
    assert str(path) in str(caught.value)
    assert "pymatgen: " in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for index in ("", "@0"):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.cif"):
            read_structures(f"{tmp_path}/nowhere.cif{index}")
    with pytest.raises(UnreadableStructureError, match="is a folder"):
        read_structures(tmp_path)


def test_extxyz_keeps_results_and_settings(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.pbc = (True, True, False)
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    write_structures(tmp_path / "a.extxyz", [atoms])
    (found,) = read_structures(tmp_path / "a.extxyz")
    assert found.pbc.tolist() == [True, True, False]
    assert found.get_potential_energy() == pytest.approx(energy, abs=1e-12)
    np.testing.assert_allclose(found.get_forces(), forces, atol=1e-8)
    np.testing.assert_allclose(found.get_stress(), stress, atol=1e-12)


@pytest.mark.parametrize("name", ["a.cif", "a.nonsense"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(StructureError):
        write_structures(path, [bulk("Cu"), molecule("H2O")])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.yml", "a.mson", "a.json.txt", "b.yaml.dat"])
def test_nothing_that_a_file_names_is_imported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Monty's decoder imports any module that a dictionary with ``@module`` names."""
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    structure = Structure(Lattice.cubic(4), ["Cu"], [[0, 0, 0]]).as_dict()
    named = {"@module": "evil_module", "@class": "Evil"}
    structure["sites"][0]["properties"] = {"p": named}
    structure["sites"][0]["species"][0]["properties"] = {"p": named}
    structure["properties"] = {"p": named, "q": {"@module": "evil_module", "@callable": "Evil"}}
    structure |= {"@module": "evil_module", "@class": "Evil"}
    (tmp_path / name).write_text(json.dumps(structure))
    if name.endswith(("txt", "dat")):
        with pytest.raises(UnreadableStructureError, match=r"call it \.json or \.yaml"):
            read_structures(tmp_path / name)
    else:
        (atoms,) = read_structures(tmp_path / name)
        assert str(atoms.symbols) == "Cu"
        assert atoms.cell.array.tolist() == np.diag([4.0] * 3).tolist()
    assert not (tmp_path / "ran").exists()


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"!!python/object/apply:os.system ['touch {tmp_path / 'ran'}']\n")
    with pytest.raises(UnreadableStructureError):
        read_structures(tmp_path / "a.yaml")
    assert not (tmp_path / "ran").exists()


ANNOUNCED = 99_999_999_999
ANNOUNCING = {
    "a.xyz": "{}\n\nCu 0 0 0\n",
    "a.extxyz": '{}\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nCu 0 0 0\n',
    "b.extxyz": "1\n\nCu 0 0 0\n{}\n\nCu 0 0 0\n",
    "POSCAR": "Cu\n1.0\n4 0 0\n0 4 0\n0 0 4\nCu\n{}\nDirect\n0 0 0\n",
    "a.vasp": "Cu Zr\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 {}\nDirect\n0 0 0\n",
    "a.dump": "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{}\nITEM: BOX BOUNDS pp pp pp\n0 4\n0 4\n0 4\n"
    "ITEM: ATOMS id element x y z\n1 Cu 0 0 0\n",
    "a.data": "t\n\n{} atoms\n1 atom types\n0 4 xlo xhi\n0 4 ylo yhi\n0 4 zlo zhi\n\nMasses\n\n1 63.546\n\n"
    "Atoms # atomic\n\n1 1 0 0 0\n",
    "a.xsf": "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n{} 1\n29 0 0 0\n",
    "a.gen": "{} S\nCu\n1 1 0 0 0\n0 0 0\n4 0 0\n0 4 0\n0 0 4\n",
    "a.cube": "c\nc\n{0} 0 0 0\n2 1 0 0\n2 0 1 0\n2 0 0 1\n29 29 0 0 0\n",
    "a.cfg": "Number of particles = {}\nA = 1.0 Angstrom\nH0(1,1) = 4 A\nentry_count = 3\n63.5\nCu\n0 0 0\n",
    "a.gro": "t\n{}\n    1CU     CU    1   0.000   0.000   0.000\n   0.4 0.4 0.4\n",
}


@pytest.mark.parametrize("name", ANNOUNCING)
def test_more_atoms_than_a_file_can_hold(name: str, tmp_path: Path) -> None:
    """Readers would make room for them, or look for their lines one by one."""
    (tmp_path / name).write_text(ANNOUNCING[name].format(ANNOUNCED))
    with pytest.raises(
        UnreadableStructureError, match=r"\d\d,999,999,\d+ atoms are announced, and \d+ lines|00,000,"
    ) as error:
        read_structures(tmp_path / name)
    assert "pymatgen" not in str(error.value)  # which was not asked: it makes a list of them


@pytest.mark.parametrize("content", ["[" * 1_000_000, '{"sites": ' * 100_000])
def test_json_that_is_nested_without_end(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UnreadableStructureError, match="cannot read a structure"):
        read_structures(tmp_path / "a.json")
