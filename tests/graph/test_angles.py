"""Pairs of bonds, against a double loop."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from ase.build import bulk
from bond_sets import angles, bonds, record
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.angles import angle_pairs


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1.0, 3.0, 3.5, 3.6, 5.0])), max_size=25))
def test_against_a_double_loop(drawn):
    drawn = sorted(drawn, key=lambda bond: bond[0])
    centre = torch.tensor([atom for atom, _ in drawn], dtype=torch.int64)
    lengths = torch.tensor([length for _, length in drawn])
    expected = [
        [first, second]
        for first, second in permutations(range(len(drawn)), 2)
        if drawn[first][0] == drawn[second][0] and drawn[first][1] <= 3.5 and drawn[second][1] <= 3.5
    ]
    pairs = angle_pairs(centre, lengths, 3.5)
    assert sorted(pairs.T.tolist()) == sorted(expected)
    assert bool((pairs[0].diff() >= 0).all()), "ascending by the bond that is updated"


def test_angles_between_images_of_one_atom():
    """In primitive NaCl the six nearest neighbours of an atom are six images of the one other atom."""
    graph = BondAngles(3.5)(PeriodicRadiusGraph(5.0)(CrystalData.from_ase(bulk("NaCl", "rocksalt", a=5.64))))
    assert graph.edge_index.size(1) == 2 * (6 + 12 + 8)
    assert graph.angle_index.size(1) == 2 * 6 * 5
    neighbour = graph.edge_index[0][graph.angle_index]
    assert torch.equal(neighbour[0], neighbour[1])


def test_angles_of_one_atom_with_itself():
    """Simple cubic, one atom: each of six neighbours is an image of the atom, and all angles are kept."""
    graph = BondAngles(2.6)(PeriodicRadiusGraph(2.6)(CrystalData.from_ase(bulk("Po", "sc", a=2.5))))
    names = bonds(graph.edge_index, graph.edge_shift)
    assert angles(graph) == dict.fromkeys(permutations(names, 2), 1)
    assert len(names) == 6


@pytest.mark.parametrize(
    "positions",
    [
        [[0, 0, 0]],  # no bond
        [[0, 0, 0], [0, 0, 1]],  # one bond an atom
        [[0, 0, 0], [0, 0, 4], [0, 4, 0]],  # bonds, but too long
    ],
)
def test_no_angles(positions):
    graph = BondAngles(3.5)(PeriodicRadiusGraph(5.0)(record(positions)))
    assert graph.angle_index.shape == (2, 0)
    assert graph.angle_index.dtype == torch.int64
