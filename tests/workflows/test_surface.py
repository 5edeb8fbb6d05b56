"""Surfaces: broken bonds, slabs of ASE, shapes that are known, and slabs that are not what one wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from ase.spacegroup import crystal
from html_page import assert_self_contained
from minima import relaxed

from torch_gptff.errors import SurfaceError
from torch_gptff.units import JOULE_PER_M2_PER_EV_PER_ANGSTROM2
from torch_gptff.workflows import SurfaceEnergies, surface_energies
from torch_gptff.workflows.drawing.surface import wulff_surface
from torch_gptff.workflows.reports.surface import surface_report
from torch_gptff.workflows.slabs import conventional_cell, cuts
from torch_gptff.workflows.wulff import wulff_radii, wulff_shape

LENGTH = 2 ** (1 / 6) * 2.5  # of bonds of a crystal with one shell of neighbours


@pytest.fixture(scope="module")
def bonds() -> SurfaceEnergies:
    """A crystal whose energy is that of the bonds between nearest neighbours."""
    atoms = bulk("Ar", "fcc", a=LENGTH * np.sqrt(2))
    calculator = LennardJones(epsilon=0.1, sigma=2.5, rc=1.2 * LENGTH)
    return surface_energies(atoms, calculator, thickness=8.0, vacuum=9.0, relax_positions=False)


def test_broken_bonds(bonds: SurfaceEnergies) -> None:
    """An atom of a face-centred cubic crystal loses 3, 4 and 6 of its 12 bonds at (111), (100) and (110)."""
    bond = -bonds.energy / 6
    areas = {(1, 1, 1): np.sqrt(3) / 2, (1, 0, 0): 1.0, (1, 1, 0): np.sqrt(2)}  # of an atom, in squares of bonds
    lost = {(1, 1, 1): 3, (1, 0, 0): 4, (1, 1, 0): 6}
    assert {surface.miller for surface in bonds.surfaces} == set(lost)
    for surface in bonds.surfaces:
        expected = lost[surface.miller] * bond / 2 / (areas[surface.miller] * LENGTH**2)
        assert surface.unrelaxed_energy == pytest.approx(expected, rel=1e-9)
        assert surface.is_symmetric
        assert surface.thickness >= 8.0
        heights = surface.slab.positions[:, 2]
        assert surface.slab.cell[2, 2] - np.ptp(heights) >= 9.0
        np.testing.assert_allclose(surface.slab.cell.array[2, :2], 0, atol=1e-9)
        assert surface.relaxed_energy is None
    assert not bonds.remarks


def test_their_crystal_is_a_truncated_octahedron(bonds: SurfaceEnergies) -> None:
    """With six squares and eight hexagons of one length of edges, and (110) touching the edges between hexagons."""
    squares, hexagons = 6.0, 8 * 3 * np.sqrt(3) / 2
    fractions = bonds.area_fractions
    assert fractions["1 0 0"] == pytest.approx(squares / (squares + hexagons), abs=1e-6)
    assert fractions["1 1 1"] == pytest.approx(hexagons / (squares + hexagons), abs=1e-6)
    assert fractions["1 1 0"] == pytest.approx(0, abs=1e-6)
    energies = {surface.miller: surface.energy for surface in bonds.surfaces}
    mean = fractions["1 0 0"] * energies[1, 0, 0] + fractions["1 1 1"] * energies[1, 1, 1]
    assert bonds.mean_energy == pytest.approx(mean, rel=1e-6)
    directions = np.array([[1, 0, 0], [0, -1, 0], np.ones(3) / np.sqrt(3), np.array([2, 1, 0]) / np.sqrt(5)])
    radii = wulff_radii(bonds.wulff_shape(), directions)
    corner = energies[1, 0, 0] * np.sqrt(5) / 2  # 0, 1, 2 and its like are the corners
    np.testing.assert_allclose(radii, [energies[1, 0, 0]] * 2 + [energies[1, 1, 1], corner], rtol=1e-6)
    drawn = wulff_surface(bonds) / JOULE_PER_M2_PER_EV_PER_ANGSTROM2
    assert drawn.min() == pytest.approx(energies[1, 1, 1], rel=1e-3)
    assert drawn.max() == pytest.approx(corner, rel=0.01)


def test_relaxed_energies_are_those_of_slabs_of_ase() -> None:
    copper = relaxed(bulk("Cu"), EMT())
    found = surface_energies(copper, EMT(), thickness=7.5, vacuum=12.0, fmax=1e-3).lowest
    a = copper.cell.lengths()[0] * np.sqrt(2)
    copper.calc = EMT()
    per_atom = copper.get_potential_energy()
    builders = {(1, 1, 1): fcc111, (1, 0, 0): fcc100, (1, 1, 0): fcc110}
    for miller, build in builders.items():
        surface = found[miller]
        slab = build("Cu", (1, 1, round(len(surface.slab))), a=a, vacuum=6.0, periodic=True)
        area = np.linalg.norm(np.cross(*slab.cell.array[:2]))
        assert surface.area == pytest.approx(area, rel=1e-6)
        slab.calc = EMT()
        before = (slab.get_potential_energy() - len(slab) * per_atom) / 2 / area
        assert surface.unrelaxed_energy == pytest.approx(before, abs=1e-6)
        BFGS(slab, logfile=None).run(fmax=1e-4)
        after = (slab.get_potential_energy() - len(slab) * per_atom) / 2 / area
        assert surface.relaxed_energy == pytest.approx(after, abs=1e-5)
        assert surface.energy == surface.relaxed_energy <= surface.unrelaxed_energy
        assert surface.converged


def test_planes_of_salt() -> None:
    """(100) and (110) are neutral; (111) of one composition has sodium on one side and chlorine on the other."""
    salt = bulk("NaCl", "rocksalt", a=5.64)
    slabs = {cut.miller: cut for cut in cuts(conventional_cell(salt, 0.01), 1, 8.0, 10.0)}
    assert {miller: (cut.is_symmetric, cut.is_polar) for miller, cut in slabs.items()} == {
        (1, 0, 0): (True, False),
        (1, 1, 0): (True, False),
        (1, 1, 1): (False, True),
    }
    for cut in slabs.values():
        assert np.count_nonzero(cut.slab.numbers == 11) == np.count_nonzero(cut.slab.numbers == 17)
    assert slabs[1, 0, 0].area == pytest.approx(5.64**2 / 2)


def test_terminations_that_differ_are_told() -> None:
    alloy = bulk("CuAu", "cesiumchloride", a=3.05)
    found = surface_energies(alloy, EMT(), thickness=6, vacuum=12, relax_positions=False)
    assert found.lowest[1, 1, 0].is_symmetric
    assert not found.lowest[1, 0, 0].is_symmetric
    assert found.lowest[1, 0, 0].is_polar is None  # a metal
    (remark,) = found.remarks
    assert "(1 0 0) 0" in remark
    assert "the energy is the mean of both" in remark
    rutile = crystal(
        ("Ti", "O"), [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    terminations = [cut for cut in cuts(conventional_cell(rutile, 0.01), 1, 5.0, 10.0) if cut.miller == (1, 1, 0)]
    assert len(terminations) == 2  # oxygen above titanium and below it, or two of it above and none below
    assert sum(cut.is_symmetric for cut in terminations) == 1


def test_the_shape_has_the_symmetry_of_the_crystal() -> None:
    """Pyrite: a symmetry of its lattice exchanges (210) and (120), and none of the crystal."""
    pyrite = crystal(("Fe", "S"), [(0, 0, 0), (0.385, 0.385, 0.385)], spacegroup=205, cellpar=[5.42] * 3 + [90] * 3)
    shape = wulff_shape(pyrite, {(2, 1, 0): 1.0, (1, 2, 0): 1.5})
    assert shape.area_fraction_dict[2, 1, 0] == pytest.approx(1)
    assert len(shape.facets) == 24
    directions = np.array([[2, 1, 0], [0, 2, 1], [1, 0, 2], [1, 2, 0]]) / np.sqrt(5)
    radii = wulff_radii(shape, directions)
    np.testing.assert_allclose(radii[:3], 1, rtol=1e-9)
    assert radii[3] > 1.1


def test_what_it_refuses() -> None:
    copper = bulk("Cu")
    with pytest.raises(SurfaceError, match="periodic in three directions"):
        surface_energies(Atoms("Cu"), EMT())
    with pytest.raises(SurfaceError, match="1 or more, not 0"):
        surface_energies(copper, EMT(), max_index=0)
    with pytest.raises(SurfaceError, match="positive thickness"):
        surface_energies(copper, EMT(), thickness=0)
    with pytest.raises(SurfaceError, match="feel each other up to 6 Å, and across a vacuum of 5 Å"):
        surface_energies(copper, EMT(), vacuum=5)


def test_a_crystal_that_would_fall_apart_has_no_shape() -> None:
    copper = bulk("Cu", a=8.0)  # as a gas: cohesion is gained at a surface
    calculator = LennardJones(epsilon=-0.1, sigma=4.0, rc=7.0)
    found = surface_energies(copper, calculator, thickness=7.0, relax_positions=False)
    assert found.mean_energy is None
    assert not found.area_fractions
    assert any("there is no Wulff shape" in remark for remark in found.remarks)
    with pytest.raises(SurfaceError, match="the crystal would fall apart"):
        found.wulff_shape()


def test_record_and_report(bonds: SurfaceEnergies, tmp_path: Path) -> None:
    bonds.save(tmp_path / "surface.json")
    again = SurfaceEnergies.load(tmp_path / "surface.json")
    assert again.to_dict() == bonds.to_dict()
    page = assert_self_contained(surface_report([("argon", again)], "by hand").to_html())
    assert page.text["h1"] == ["Surfaces"]
    row = next(row for row in page.rows if row[1:2] == ["(1 1 1) 0"])
    assert row[0] == "Ar"
    energy = bonds.lowest[1, 1, 1].unrelaxed_energy
    assert f"{energy * JOULE_PER_M2_PER_EV_PER_ANGSTROM2:.3f}" in row
