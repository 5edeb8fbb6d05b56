"""Migration barriers: saddle points that symmetry places, ends that differ, and atoms in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from html_page import assert_self_contained
from scipy.optimize import minimize_scalar

from torch_gptff.errors import MigrationError
from torch_gptff.workflows import MigrationPath, migration_path, relax
from torch_gptff.workflows.reports.neb import neb_report


def hole(place: int) -> Atoms:
    copper = bulk("Cu", a=3.59, cubic=True).repeat(2)
    del copper[place]
    return copper


@pytest.fixture(scope="module")
def path() -> MigrationPath:
    """A vacancy of copper that changes places with a neighbour."""
    return migration_path(hole(0), hole(1), EMT(), images=3, fmax=0.01)


def test_the_saddle_point_of_a_vacancy_is_halfway(path: MigrationPath) -> None:
    """No force leads away from the middle, so that a relaxation from there stays at the saddle point."""
    middle = hole(0)
    moving = 0  # the atom that fills the hole, whose own place is then empty
    middle.positions[moving] /= 2
    saddle = relax(middle, EMT(), fmax=1e-4, fix_cell=True)
    ground = relax(hole(0), EMT(), fmax=1e-4, fix_cell=True)
    assert path.converged
    assert path.forward_barrier == pytest.approx(saddle.energy - ground.energy, abs=2e-3)
    assert path.reverse_barrier == pytest.approx(path.forward_barrier, abs=1e-3)
    assert path.reaction_energy == pytest.approx(0, abs=1e-3)
    assert path.energies.argmax() == 2
    assert 0.3 < path.forward_barrier < 1.0
    assert path.fit_energies.max() >= path.energies.max() - 1e-9


def test_atoms_are_matched(path: MigrationPath) -> None:
    """Without atom 1, atom 0 of the one end is where the hole is; the others are numbered alike."""
    moves = np.linalg.norm(path.images[-1].positions - path.images[0].positions, axis=1)
    assert np.count_nonzero(moves > 1) == 1  # one atom, across a face of the cell or not
    shuffled = hole(1)[np.random.default_rng(0).permutation(31)]
    shuffled.positions += shuffled.cell.array[0]  # another period
    again = migration_path(hole(0), shuffled, EMT(), images=1, max_steps=0, relax_ends=False)
    assert again.n_reordered > 0
    assert any("put into another order" in remark for remark in again.remarks)
    moves = np.linalg.norm(again.images[-1].positions - again.images[0].positions, axis=1)
    assert np.sort(moves)[-2:] == pytest.approx([0, 3.59 / np.sqrt(2)], abs=1e-6)
    mixed = bulk("CuAu", "cesiumchloride", a=3.0)
    with pytest.raises(MigrationError, match="another order"):
        migration_path(mixed, mixed[[1, 0]], EMT(), match_atoms=False, relax_ends=False)


class Wells(Calculator):
    """An atom that feels ``c (x² − 1)² + t x + x y + 4 y²``: two wells of different depth, and a path that bends."""

    implemented_properties = ("energy", "forces")
    height, tilt = 0.5, 0.1

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        x, y, z = self.atoms.positions[0]
        energy = self.height * (x**2 - 1) ** 2 + self.tilt * x + x * y + 4 * y**2 + z**2
        slope = 4 * self.height * x * (x**2 - 1) + self.tilt + y
        self.results = {"energy": energy, "forces": -np.array([[slope, x + 8 * y, 2 * z]])}


def test_two_wells_of_different_depth() -> None:
    """Along y = −x/8 the energy is ``c (x² − 1)² + t x − x²/16``, whose extrema are those of the surface."""

    def energy(x: float) -> float:
        return Wells.height * (x**2 - 1) ** 2 + Wells.tilt * x - x**2 / 16

    left = minimize_scalar(energy, bounds=(-1.5, -0.5), method="bounded").fun
    right = minimize_scalar(energy, bounds=(0.5, 1.5), method="bounded").fun
    top = -minimize_scalar(lambda x: -energy(x), bounds=(-0.5, 0.5), method="bounded").fun
    ends = [Atoms("H", [(-1, 0.2, 0)]), Atoms("H", [(1, 0.2, 0)])]
    found = migration_path(*ends, Wells(), images=5, fmax=1e-3, max_steps=2000)
    assert found.converged
    assert found.forward_barrier == pytest.approx(top - left, abs=1e-4)
    assert found.reverse_barrier == pytest.approx(top - right, abs=1e-4)
    assert found.reaction_energy == pytest.approx(right - left, abs=1e-4)
    assert not found.remarks
    x, y, _ = found.saddle.positions[0]
    assert y == pytest.approx(-x / 8, abs=2e-3)
    assert found.distances == pytest.approx(np.sort(found.distances))


def test_an_adatom_over_a_bridge() -> None:
    """The surface of ASE's tutorial: gold hops between hollows of aluminium over the bridge between them."""
    slab = fcc100("Al", size=(2, 1, 2), vacuum=6.0, periodic=True)
    add_adsorbate(slab, "Au", 1.7, "hollow")
    after = slab.copy()
    after.positions[-1, 0] += slab.cell[0, 0] / 2
    found = migration_path(slab, after, EMT(), images=3)
    bridge = slab.copy()
    bridge.positions[-1, 0] += slab.cell[0, 0] / 4
    bridge.positions[-1, 2] += 0.3
    saddle = relax(bridge, EMT(), fmax=1e-3, fix_cell=True)
    assert found.forward_barrier == pytest.approx(saddle.energy - found.energies[0], abs=5e-3)


def test_what_has_not_converged_is_told() -> None:
    found = migration_path(hole(0), hole(1), EMT(), images=1, max_steps=1, relax_ends=False)
    assert not found.converged
    assert found.n_steps == 1
    assert found.fmax > 0.05
    html = neb_report([("hole", found)]).to_html()
    assert "NOT CONVERGED" in html
    with pytest.raises(MigrationError, match="the first structure has not relaxed in 1 steps"):
        migration_path(hole(0), hole(1), EMT(), images=1, max_steps=1, fmax=1e-6)


def test_ends_that_make_no_path() -> None:
    copper = hole(0)
    with pytest.raises(MigrationError, match="one image or more"):
        migration_path(copper, hole(1), EMT(), images=0)
    with pytest.raises(MigrationError, match="other atoms: 31 of Cu, and 30 of Cu"):
        migration_path(copper, copper[1:], EMT())
    larger = copper.copy()
    larger.set_cell(larger.cell * 1.01, scale_atoms=True)
    with pytest.raises(MigrationError, match="the ends have other cells"):
        migration_path(copper, larger, EMT())
    with pytest.raises(MigrationError, match="the two ends are the same"):
        migration_path(copper, copper[::-1], EMT(), relax_ends=False)


def test_record_and_report(path: MigrationPath, tmp_path: Path) -> None:
    path.save(tmp_path / "neb.json")
    again = MigrationPath.load(tmp_path / "neb.json")
    assert again.to_dict() == path.to_dict()
    assert again.to_dict()["derived"]["forward_barrier"] == path.forward_barrier
    page = assert_self_contained(neb_report([("hole", again)], "by hand").to_html())
    assert page.text["h1"] == ["Migration barriers"]
    row = next(row for row in page.rows if row[0] == "Cu")
    assert row[1:4] == ["3", f"{path.forward_barrier:.3f}", f"{path.reverse_barrier:.3f}"]
