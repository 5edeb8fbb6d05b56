"""Each structure is as hard as it says."""

from __future__ import annotations

import numpy as np
import pytest

from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.testing.structures import STRUCTURES, crossing, fragments, with_elements


@pytest.fixture(params=STRUCTURES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def graph(atoms) -> CrystalData:
    """With the cutoffs that GPTFF has: 5.0 and 3.5 Å."""
    return BondAngles(3.5)(PeriodicRadiusGraph(5.0)(CrystalData.from_ase(atoms)))


def test_is_the_same_every_time_and_physical(name):
    atoms = STRUCTURES[name]()
    assert atoms == STRUCTURES[name]()
    bonds = PeriodicRadiusGraph(5.0)(CrystalData.from_ase(atoms))
    assert len(atoms) < 10
    lengths = bond_vectors(bonds).norm(dim=-1)
    assert lengths.min() > 0.9 if len(lengths) else name == "isolated_atom"


def test_no_distance_is_at_a_usual_cutoff(name):
    """Rounding would decide whether it is a bond, and a model that jumps would seem to lack its symmetries."""
    counts = [
        PeriodicRadiusGraph(cutoff + margin)(CrystalData.from_ase(STRUCTURES[name]())).edge_index.size(1)
        for cutoff in (3.5, 5.0, 6.0)
        for margin in (-1e-3, 1e-3)
    ]
    assert counts[0::2] == counts[1::2]


def test_numbers_of_bonds_and_angles():
    assert graph(STRUCTURES["isolated_atom"]()).edge_index.numel() == 0
    assert graph(STRUCTURES["pair"]()).edge_index.tolist() == [[1, 0], [0, 1]]
    assert graph(STRUCTURES["pair"]()).angle_index.numel() == 0
    cesium_chloride = graph(STRUCTURES["crystal_without_angles"]())
    assert cesium_chloride.edge_index.size(1) > 20
    assert cesium_chloride.angle_index.numel() == 0
    copper = graph(STRUCTURES["one_atom_cell"]())
    assert copper.edge_index.unique().tolist() == [0]
    assert copper.angle_index.size(1) > 100


def test_cells():
    assert np.linalg.det(STRUCTURES["left_handed_cell"]().cell.array) < 0
    assert STRUCTURES["layer_without_third_vector"]().cell.rank == 2
    assert STRUCTURES["slab"]().pbc.tolist() == [True, True, False]
    assert STRUCTURES["wire"]().pbc.tolist() == [False, False, True]
    assert np.abs(STRUCTURES["atoms_outside_cell"]().get_scaled_positions(wrap=False)).max() > 2
    skewed = STRUCTURES["skewed_cell"]().cell
    heights = skewed.volume / np.array([np.linalg.norm(np.cross(skewed[k - 2], skewed[k - 1])) for k in range(3)])
    assert heights.min() < 0.7
    assert skewed.lengths().max() > 9


def test_linear_molecule_is_linear():
    assert STRUCTURES["linear_molecule"]().get_angle(1, 0, 2) == pytest.approx(180)


def test_fragments_share_no_bond():
    left, right = fragments()
    bonds = graph(left + right).edge_index
    assert ((bonds[0] < len(left)) == (bonds[1] < len(left))).all()
    assert (left + right).get_all_distances()[: len(left), len(left) :].min() > 30


@pytest.mark.parametrize("supported", [{14}, {14, 32}, set(range(1, 95))])
def test_with_elements(name, supported):
    before = STRUCTURES[name]()
    after = with_elements(before, supported)
    assert set(after.numbers.tolist()) <= supported
    assert np.array_equal(after.positions, before.positions)
    assert len(set(after.numbers.tolist())) == min(len(set(before.numbers.tolist())), len(supported))


@pytest.mark.parametrize("beyond", [-1e-6, 0.0, 0.3])
def test_crossing_leads_one_distance_through_the_radius(beyond):
    moved = crossing(STRUCTURES["triplet"](), 3.5)(beyond)
    distances = moved.get_all_distances()[np.triu_indices(3, 1)]
    assert np.abs(distances - (3.5 + beyond)).min() < 1e-14


def test_crossing_changes_the_number_of_bonds():
    at = crossing(STRUCTURES["rattled_crystal"](), 5.0)
    inside, outside = graph(at(-1e-6)), graph(at(1e-6))
    assert inside.edge_index.size(1) == outside.edge_index.size(1) + 2


def test_crossing_needs_two_atoms_in_reach():
    with pytest.raises(ValueError, match="no two different atoms"):
        crossing(STRUCTURES["isolated_atom"](), 5.0)
