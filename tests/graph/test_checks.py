"""Structures that no energy can be computed for, and what is said about them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from bond_sets import record
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from torch_gptff.errors import (
    CoincidentAtomsError,
    CoordinateRangeError,
    EmptyStructureError,
    GraphError,
    MissingCellError,
    NonFiniteError,
    SingularCellError,
    UnsupportedElementError,
)
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.checks import (
    check_elements,
    check_geometry,
    check_graph,
    check_shapes,
    completed_cell,
    element_name,
    element_ranges,
    heights,
)

GOOD = record([[0, 0, 0], [1, 1, 1]], 4 * np.eye(3), True)


def batch_with(bad: CrystalData) -> Batch:
    return Batch.from_data_list([GOOD, GOOD, bad])


def broken(**changes) -> CrystalData:
    data = GOOD.clone()
    for key, (index, value) in changes.items():
        data[key][index] = value
    return data


def test_good_structures_pass():
    left_handed = record([[0, 0, 0]], np.diag([4.0, 4.0, -4.0]), True)
    assert float(torch.linalg.det(left_handed.cell)) < 0
    for data in (GOOD, left_handed, record([[0, 0, 0]]), batch_with(record([[0, 0, 0]]))):
        check_geometry(data)


@pytest.mark.parametrize(
    ("data", "error", "message", "in_batch"),
    [
        (record(np.zeros((0, 3))), EmptyStructureError, "the structure has no atoms", "structure 2 of the batch"),
        (broken(pos=((1, 2), math.nan)), NonFiniteError, r"atom 1 is at \[1.0, 1.0, nan\]", "atom 1 of structure 2"),
        (broken(pos=((0, 0), -math.inf)), NonFiniteError, r"atom 0 is at \[-inf", "atom 0 of structure 2"),
        (broken(cell=((0, 1, 1), math.nan)), NonFiniteError, "the structure has a cell with NaN", "structure 2 of the"),
        (broken(cell=((0, 2, 0), math.inf)), NonFiniteError, "the structure has a cell", "structure 2 of the batch"),
        (broken(pos=((1, 0), 1e9)), CoordinateRangeError, "atom 1 is at .*check the units", "atom 1 of structure 2"),
        (broken(cell=((0, 0, 0), 1e9)), CoordinateRangeError, "the structure has a cell vector", "structure 2 of the"),
        (broken(cell=((0, 1), 0.0)), MissingCellError, "periodic along b.*pbc=False", "structure 2 of the batch"),
        (record([[0, 0, 0]], None, True), MissingCellError, "periodic along a", "structure 2 of the batch"),
        (broken(cell=((0, 2), GOOD.cell[0, 1])), SingularCellError, "zero volume", "structure 2 of the batch"),
        (
            record([[0, 0, 0]], [[1, 2, 0], [2, 4, 0], [0, 0, 9]], [True, True, False]),
            SingularCellError,
            "zero volume",
            "structure 2 of the batch",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_bad_geometry_is_named(data, error, message, in_batch):
    with pytest.raises(error, match=message):
        check_geometry(data)
    with pytest.raises(error, match=in_batch):
        check_geometry(batch_with(data))


def test_unused_cell_vectors_may_be_anything_finite():
    check_geometry(record([[0, 0, 0]], [[4, 0, 0], [8, 0, 0], [0, 0, 0]], [True, False, False]))


def test_float32_has_fewer_digits():
    check_geometry(record([[1e5, 0, 0]], dtype=torch.float64))
    with pytest.raises(CoordinateRangeError, match=r"torch.float32 .* move the structure to the origin"):
        check_geometry(record([[1e5, 0, 0]], dtype=torch.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos": torch.zeros(3, 3)}, r"pos must be \[2, 3\] for 2 atoms; got \[3, 3\]"),
        ({"z": torch.ones(2, 1)}, r"z must be \[2\]"),
        ({"cell": torch.eye(3)}, r"cell must be \[3, 3, 3\].*got \[3, 3\]"),
        ({"pbc": torch.ones(3, dtype=torch.bool)}, r"pbc must be \[1, 3\].*got \[3\]"),
        ({"cell": torch.zeros(2, 3, 3), "pbc": torch.zeros(2, 3)}, "2 cells but no batch"),
        ({"batch": torch.tensor([0, 1])}, "batch names structure 1, but there are 1 cells"),
        ({"z": None}, "has no z"),
        ({"pos": None, "cell": None}, "has no pos and no cell"),
    ],
)
def test_fields_that_do_not_fit(changes, message):
    data = Data(**{**GOOD.to_dict(), **changes})
    with pytest.raises(GraphError, match=message):
        check_shapes(data)
    with pytest.raises(GraphError, match=message):
        check_geometry(data)


@pytest.mark.parametrize("backend", ["vesin", "torch", "ase"])
@pytest.mark.parametrize(
    ("data", "atoms"),
    [
        (record([[9, 9, 9], [0, 0, 0], [1e-4, 0, 0]]), "atoms 1 and 2"),
        (record([[0, 0, 0], [0, 0, 4]], 4 * np.eye(3), True), "atoms 0 and 1"),  # across a periodic boundary
        (record([[0, 0, 0], [4, 8, -4]], 4 * np.eye(3), True), "atoms 0 and 1"),  # several cells away
    ],
    ids=["cluster", "across a boundary", "cells away"],
)
def test_two_atoms_on_one_spot(data, atoms, backend):
    transform = PeriodicRadiusGraph(5.0, backend)
    with pytest.raises(CoincidentAtomsError, match=rf"{atoms} are .* Å apart \(periodic images counted\)"):
        transform(data)
    with pytest.raises(CoincidentAtomsError, match=r"of structure 2 and \d of structure 2"):
        transform(batch_with(data))


def test_same_spot_in_another_structure_or_without_a_period_is_fine():
    PeriodicRadiusGraph(5.0)(Batch.from_data_list([GOOD, GOOD]))
    PeriodicRadiusGraph(5.0)(record([[0, 0, 0], [0, 0, 4]], 4 * np.eye(3), [True, True, False]))


def test_unsupported_element():
    supported = frozenset(range(1, 95))
    check_elements(CrystalData.from_ase(bulk("Si")), supported)
    heavy = CrystalData.from_ase(Atoms("HCf", positions=[[0, 0, 0], [0, 0, 2]]))
    with pytest.raises(UnsupportedElementError, match=r"atom 1 is Cf \(Z = 98\).*it knows H–Pu"):
        check_elements(heavy, supported)
    with pytest.raises(UnsupportedElementError, match="atom 1 of structure 2 is Cf"):
        check_elements(batch_with(heavy), supported)
    with pytest.raises(UnsupportedElementError, match=r"atom 0 is no element \(Z = 0\)"):
        check_elements(CrystalData.from_ase(Atoms("X")), supported)


def test_names_of_elements():
    assert element_name(26) == "Fe (Z = 26)"
    assert element_name(-3) == "no element (Z = -3)"
    assert element_name(400) == "no element (Z = 400)"
    assert element_ranges(frozenset({1, 2, 3, 8, 26, 27})) == "H–Li, O, Fe–Co"


vectors = st.lists(st.integers(-4, 4), min_size=3, max_size=3)
periods = st.lists(st.booleans(), min_size=3, max_size=3)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(vectors, min_size=3, max_size=3), periods)
def test_completed_cell(rows, pbc):
    """Periodic vectors stay; the others become unit vectors at right angles to all, whatever they were."""
    cell, periodic = torch.tensor([rows], dtype=torch.float64), torch.tensor([pbc])
    if int(torch.linalg.matrix_rank(cell[0][periodic[0]])) < sum(pbc):
        return
    full = completed_cell(cell, periodic)
    assert torch.equal(full[periodic], cell[periodic])
    gram = full[0] @ full[0].T
    for k in range(3):
        if not pbc[k]:
            torch.testing.assert_close(gram[k], torch.eye(3, dtype=torch.float64)[k], atol=1e-12, rtol=0)
    area = math.sqrt(float(torch.linalg.det(cell[0][periodic[0]] @ cell[0][periodic[0]].T))) if any(pbc) else 1.0
    assert float(torch.linalg.det(full).abs()) == pytest.approx(area)


def test_heights():
    cell = torch.tensor([[[3.0, 0, 0], [7.0, 4.0, 0], [-1.0, 9.0, 5.0]]])
    reciprocal = torch.linalg.inv(cell)
    torch.testing.assert_close(heights(cell), 1 / reciprocal.norm(dim=-2))
    assert heights(torch.zeros(1, 3, 3)).tolist() == [[0.0, 0.0, 0.0]]


class TestGraph:
    """Bonds and angles that somebody brings along."""

    @pytest.fixture
    def graph(self) -> CrystalData:
        return BondAngles(3.5)(PeriodicRadiusGraph(4.0)(CrystalData.from_ase(bulk("NaCl", "rocksalt", a=5.64))))

    def test_our_own_are_accepted(self, graph):
        check_graph(graph)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda g: g.edge_index.__setitem__((0, 3), 2), "edge_index has entries from 0 to 2 for 2 atoms"),
            (lambda g: g.edge_index.__setitem__((1, 0), -1), "edge_index has entries from -1"),
            (lambda g: g.angle_index.__setitem__((1, 0), 10_000), "angle_index has entries from 0 to 10000"),
            (lambda g: setattr(g, "edge_shift", g.edge_shift[1:]), "edge_shift must be"),
            (lambda g: setattr(g, "edge_index", g.edge_index.flip(1)), "ascend by its centres"),
            (lambda g: setattr(g, "angle_index", g.angle_index.flip(1)), "ascend by its first bonds"),
            (lambda g: setattr(g, "edge_index", g.edge_index.T), "edge_"),
        ],
    )
    def test_others_are_refused(self, graph, change, message):
        change(graph)
        with pytest.raises(GraphError, match=message):
            check_graph(graph)
