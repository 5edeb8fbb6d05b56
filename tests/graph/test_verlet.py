"""A graph kept while atoms move is, at every step, the graph that a new search would give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from bond_sets import angles, bond_lengths, record

from torch_gptff.errors import CoincidentAtomsError, NonFiniteError, SingularCellError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph, VerletGraph
from torch_gptff.graph.geometry import bond_vectors

CUTOFF, ANGLE_CUTOFF, STEPS = 4.2, 2.9, 25


def lengths(graph):
    return bond_lengths(graph.edge_index, graph.edge_shift, bond_vectors(graph).norm(dim=-1))


def assert_as_new(graph, data):
    fresh = BondAngles(ANGLE_CUTOFF)(PeriodicRadiusGraph(CUTOFF, "torch")(data))
    assert lengths(graph) == lengths(fresh)
    assert angles(graph) == angles(fresh)


def structure(pbc, dtype=torch.float64) -> CrystalData:
    """Eight atoms of silicon in a skewed cell that is smaller than the cutoff along one direction."""
    atoms = bulk("Si", "diamond", a=5.43) * (1, 2, 2)
    atoms.rattle(0.1, seed=0)
    data = CrystalData.from_ase(atoms, dtype)
    data.pbc = torch.tensor([pbc])
    return data


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("moves", ["atoms", "atoms and cell", "cell"])
@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, True, False), (False, False, False)])
def test_random_walk(pbc, moves, dtype):
    rng = np.random.default_rng(0)
    data, kept = structure(pbc, dtype), VerletGraph(CUTOFF, ANGLE_CUTOFF, skin=0.8)
    changed = 0
    previous = None
    for _ in range(STEPS):
        data = data.clone()
        if moves != "cell":
            data.pos += torch.tensor(0.02 * rng.normal(size=data.pos.shape), dtype=dtype)
        if moves != "atoms":
            strain = torch.eye(3, dtype=dtype) + torch.tensor(0.004 * rng.normal(size=(3, 3)), dtype=dtype)
            data.cell, data.pos = data.cell @ strain, data.pos @ strain
        graph = kept.update(data)
        assert_as_new(graph, data)
        changed += previous is not None and lengths(graph).keys() != previous
        previous = lengths(graph).keys()
    assert 1 <= kept.n_searches < STEPS / 2
    assert changed > 0, "bonds came or went"


def test_only_skin_and_displacement_decide():
    """An atom may move by half the skin; its neighbour may come as far towards it."""
    data, kept = record([[0, 0, 0], [5.9, 0, 0]]), VerletGraph(5.0, None, skin=1.0)
    assert kept.update(data).edge_index.size(1) == 0
    for displacement, searches, n_bonds in ((0.49, 1, 2), (0.51, 2, 2), (-0.1, 3, 0)):
        data.pos = torch.tensor([[displacement, 0, 0], [5.9 - displacement, 0, 0]], dtype=torch.float64)
        assert kept.update(data).edge_index.size(1) == n_bonds
        assert kept.n_searches == searches


def test_shrinking_cell_brings_images_in():
    """One atom: nothing moves but the cell."""
    kept = VerletGraph(5.0, None, skin=0.5)
    for edge, n_bonds in ((5.6, 0), (5.2, 0), (4.95, 6), (5.6, 0)):
        graph = kept.update(record([[0.3, 0.2, 0.1]], edge * np.eye(3), True))
        assert graph.edge_index.size(1) == n_bonds
    assert 1 < kept.n_searches < 4


def test_open_direction_has_no_cell_to_follow():
    """The vector of an open direction may change in any way; it means nothing."""
    kept, data = VerletGraph(CUTOFF, ANGLE_CUTOFF), structure((True, True, False))
    first = kept.update(data)
    data = data.clone()
    data.cell[0, 2] = torch.tensor([0.0, 0.0, 50.0])
    assert angles(kept.update(data)) == angles(first)
    assert kept.n_searches == 1


def test_atoms_wrapped_back_by_a_lattice_vector():
    data, kept = structure((True, True, True)), VerletGraph(CUTOFF, ANGLE_CUTOFF)
    before = lengths(kept.update(data))
    wrapped = data.clone()
    wrapped.pos[2] += data.cell[0, 1] - 2 * data.cell[0, 0]
    graph = kept.update(wrapped)
    assert_as_new(graph, wrapped)
    assert sorted(lengths(graph).values()) == pytest.approx(sorted(before.values()))
    assert lengths(graph).keys() != before.keys(), "the shifts are others"


def test_other_atoms_or_periods_start_anew():
    kept = VerletGraph(CUTOFF, ANGLE_CUTOFF)
    pair, trio = record([[0, 0, 0], [0, 0, 1]]), record([[0, 0, 0], [0, 0, 1], [0, 1, 0]])
    for data in (pair, trio, pair, structure((True, True, True)), structure((True, False, True))):
        assert_as_new(kept.update(data), data)
    assert kept.n_searches == 5


def test_other_elements_at_the_same_places():
    kept, data = VerletGraph(CUTOFF, ANGLE_CUTOFF), structure((True, True, True))
    kept.update(data)
    swapped = data.clone()
    swapped.z[0] = 32
    assert kept.update(swapped).z[0] == 32
    assert kept.n_searches == 1


def test_without_skin_every_step_is_searched():
    kept, data = VerletGraph(CUTOFF, ANGLE_CUTOFF, skin=0.0), structure((True, True, True))
    for step in range(1, 4):
        assert_as_new(kept.update(data), data)
        assert kept.n_searches == step


def test_angles_are_kept_while_no_bond_crosses_a_cutoff():
    kept, data = VerletGraph(CUTOFF, ANGLE_CUTOFF), structure((True, True, True))
    first = kept.update(data)
    data = data.clone()
    data.pos[0, 0] += 1e-6
    assert kept.update(data).angle_index is first.angle_index


def test_input_is_left_alone():
    data = structure((True, True, False))
    before = data.clone()
    VerletGraph(CUTOFF, ANGLE_CUTOFF).update(data)
    assert sorted(data.keys()) == sorted(before.keys())
    assert all(torch.equal(data[key], before[key]) for key in before.keys())  # noqa: SIM118


def test_graph_that_the_structure_brings_is_replaced():
    data = BondAngles(3.5)(PeriodicRadiusGraph(5.0)(CrystalData.from_ase(molecule("C6H6"))))
    graph = VerletGraph(1.2, None).update(data)
    assert graph.edge_index.size(1) == 2 * 6
    assert "angle_index" not in graph


def broken(key, index, value) -> CrystalData:
    data = structure((True, True, True))
    data[key][index] = value
    return data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (broken("pos", (3, 1), float("nan")), NonFiniteError),
        (broken("cell", (0, 1, 1), float("nan")), NonFiniteError),
        (broken("cell", (0, 1, 1), float("inf")), NonFiniteError),
        (broken("cell", (0, 1), structure((True, True, True)).cell[0, 0]), SingularCellError),
        (broken("pos", 3, structure((True, True, True)).pos[2]), CoincidentAtomsError),
    ],
    ids=["position NaN", "cell NaN", "cell infinite", "cell flat", "two atoms on one spot"],
)
def test_a_run_that_goes_wrong_is_stopped(data, error):
    kept = VerletGraph(CUTOFF, ANGLE_CUTOFF, skin=6.0)
    kept.update(structure((True, True, True)))
    with pytest.raises(error):
        kept.update(data)
