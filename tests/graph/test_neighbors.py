"""Neighbour lists: every backend against the others, a loop over images, and what geometry says."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from bond_sets import bond_lengths, record
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch

from torch_gptff.errors import UnknownBackendError
from torch_gptff.graph import CrystalData, available_backends, neighbor_list, neighbors
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.checks import completed_cell, heights
from torch_gptff.graph.neighbors import cell_list

PERIODIC = [name for name in available_backends() if name != "torch_cluster"]
quickly = settings(deadline=None, derandomize=True, max_examples=40)


def backends_for(data) -> list[str]:
    return PERIODIC if bool(data.pbc.any()) else available_backends()


@st.composite
def structures(draw, dtype=torch.float64) -> tuple[CrystalData, float]:
    """A structure and a cutoff: any shape of cell, any periods, atoms in and far outside of the cell."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pbc = np.array(draw(st.tuples(st.booleans(), st.booleans(), st.booleans())))
    cutoff = draw(st.sampled_from([2.0, 3.5, 5.0]))
    edges = [draw(st.sampled_from([0.4, 0.8, 1.7, 4.0])) * cutoff for _ in range(3)]
    cell = np.diag(edges) + draw(st.sampled_from([0.0, 0.3, 2.0])) * cutoff * np.tril(rng.normal(size=(3, 3)), k=-1)
    cell = cell[rng.permutation(3)] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]  # turned, and of either hand
    if draw(st.booleans()):
        cell[~pbc] = 0.0
    n_atoms = draw(st.integers(1, 9))
    spread = draw(st.sampled_from([0.3, 1.0, 8.0])) * cutoff
    origin = draw(st.sampled_from([0.0, 30.0, 3000.0])) * rng.normal(size=3)
    return record(spread * rng.normal(size=(n_atoms, 3)) + origin, cell, pbc, dtype=dtype), cutoff


def images_within(data: CrystalData, cutoff: float) -> dict[tuple[int, ...], float]:
    """All bonds, from a loop over every atom, every other and every cell between that could matter."""
    pos, cell, pbc = data.pos.numpy(), data.cell[0].numpy(), data.pbc[0].numpy()
    reciprocal = np.linalg.pinv(cell * pbc[:, None])  # columns; a step along a period is 1 / |column| or more away
    apart = pos @ reciprocal
    most = np.ceil(cutoff * np.linalg.norm(reciprocal, axis=0) + np.ptp(apart, axis=0)).astype(int) * pbc
    found = {}
    for shift in product(*(range(-m, m + 1) for m in most)):
        for i, j in product(range(len(pos)), repeat=2):
            distance = np.linalg.norm(pos[j] + np.array(shift) @ cell - pos[i])
            if distance <= cutoff and (i != j or any(shift)):
                found[(i, j, *shift)] = distance
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@quickly
@given(st.data())
def test_backends_agree(dtype, data):
    structure, cutoff = data.draw(structures(dtype))
    expected = bond_lengths(*neighbor_list(structure, cutoff, "ase"))
    for backend in backends_for(structure):
        assert bond_lengths(*neighbor_list(structure, cutoff, backend)) == expected, backend


@settings(quickly, max_examples=25)
@given(structures())
def test_no_image_is_missed(drawn):
    structure, cutoff = drawn
    expected = images_within(structure, cutoff)
    for backend in backends_for(structure):
        found = bond_lengths(*neighbor_list(structure, cutoff, backend))
        assert found.keys() == expected.keys(), backend
        assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("backend", available_backends())
@settings(quickly, max_examples=20)
@given(drawn=st.lists(structures(), min_size=1, max_size=5))
def test_batch_is_one_by_one(backend, drawn):
    cutoff = drawn[0][1]
    records = [structure for structure, _ in drawn if backend in backends_for(structure)]
    if not records:
        return
    expected, first_atom = {}, 0
    for structure in records:
        for (i, j, *shift), length in bond_lengths(*neighbor_list(structure, cutoff, backend)).items():
            expected[(i + first_atom, j + first_atom, *shift)] = length
        first_atom += len(structure.z)
    batched = neighbor_list(Batch.from_data_list(records), cutoff, backend)
    assert bond_lengths(*batched) == expected


@pytest.mark.parametrize("backend", available_backends())
@quickly
@given(drawn=structures())
def test_form_of_the_result(backend, drawn):
    structure, cutoff = drawn
    if backend not in backends_for(structure):
        return
    edge_index, shift, lengths = neighbor_list(structure, cutoff, backend)
    assert (edge_index.dtype, shift.dtype, lengths.dtype) == (torch.int64, torch.int32, structure.pos.dtype)
    assert bool((edge_index[1].diff() >= 0).all()), "ascending by centre"
    there = bond_lengths(edge_index, shift, lengths)
    back = {(j, i, -a, -b, -c): length for (i, j, a, b, c), length in there.items()}
    assert there == pytest.approx(back, abs=1e-10)


@pytest.mark.parametrize("backend", PERIODIC)
@quickly
@given(drawn=structures(), seed=st.integers(0, 2**32 - 1))
def test_wrapping_atoms_changes_shifts_alone(backend, drawn, seed):
    structure, cutoff = drawn
    moves = torch.tensor(np.random.default_rng(seed).integers(-3, 4, size=(len(structure.z), 3))) * structure.pbc
    moved = structure.clone()
    moved.pos = structure.pos + moves.to(structure.pos.dtype) @ structure.cell[0]
    expected = {
        (i, j, *(np.array(shift) + moves[i].numpy() - moves[j].numpy()).tolist()): length
        for (i, j, *shift), length in bond_lengths(*neighbor_list(structure, cutoff, backend)).items()
    }
    assert bond_lengths(*neighbor_list(moved, cutoff, backend)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("repeat", [1, 2, 5])
def test_shell_on_the_cutoff_is_within(backend, dtype, repeat):
    structure = CrystalData.from_ase(bulk("Po", "sc", a=2.5) * repeat, dtype)
    structure.pos = structure.pos + 0.25  # still exact in binary
    within = 6 + 12 + 8 + 6  # |n|² = 1, 2, 3 and 4 = (5 / 2.5)²
    for cutoff, count in ((5.0, within), (5.0 - 1e-6, within - 6)):
        edge_index, _, lengths = neighbor_list(structure, cutoff, backend)
        assert torch.bincount(edge_index[1]).tolist() == [count] * repeat**3
        assert float(lengths.max()) <= cutoff


@pytest.mark.parametrize("backend", PERIODIC)
def test_copper_has_42_neighbours(backend):
    edge_index, _, _ = neighbor_list(CrystalData.from_ase(bulk("Cu", "fcc", a=3.615)), 5.0, backend)
    assert edge_index.size(1) == 12 + 6 + 24


@pytest.mark.parametrize("backend", available_backends())
def test_dense_cluster_is_not_truncated(backend):
    n_atoms = 1100
    points = np.random.default_rng(0).normal(size=(n_atoms, 3))
    points *= 0.99 / np.linalg.norm(points, axis=1, keepdims=True)  # no two farther apart than 2 Å
    edge_index, _, _ = neighbor_list(record(points), 2.0, backend)
    assert torch.equal(torch.bincount(edge_index[1]), torch.full((n_atoms,), n_atoms - 1))


@pytest.mark.parametrize("backend", PERIODIC)
def test_numbers_of_bonds_and_angles_of_the_published_model(backend, shared_data):
    systems = json.loads((shared_data / "golden" / "published_checkpoints.json").read_text())["systems"]
    assert len(systems) == 24
    counts, expected = {}, {}
    for system in systems:
        structure = record(system["positions"], system["cell"], system["pbc"])
        edge_index, _, lengths = neighbor_list(structure, 5.0, backend)
        n_angles = angle_pairs(edge_index[1], lengths, 3.5).size(1)
        counts[system["name"]] = edge_index.size(1), n_angles
        expected[system["name"]] = system["v1"]["n_bonds"], system["v1"]["n_angles"]
    assert counts == expected


@pytest.mark.parametrize("backend", available_backends())
def test_one_atom_has_no_neighbour(backend):
    edge_index, shift, lengths = neighbor_list(record([[3.0, 4.0, 5.0]]), 5.0, backend)
    assert (edge_index.shape, shift.shape, lengths.shape) == ((2, 0), (0, 3), (0,))


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_chain_of_images(backend, axis):
    cell = np.zeros((3, 3))
    cell[axis, axis] = 2.0
    _, shift, lengths = neighbor_list(record([[0.5, -7.0, 9.0]], cell, np.arange(3) == axis), 5.0, backend)
    assert sorted(shift[:, axis].tolist()) == [-2, -1, 1, 2]
    assert sorted(lengths.tolist()) == [2.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("backend", ["vesin", "torch"])
@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (1, 0, -1)])
@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
def test_far_apart_fragments(backend, direction, pbc):
    dimer = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    dimers = np.concatenate([dimer, dimer + 1e7 * np.array(direction)])
    cell = np.diag([40.0, 40.0, 0.0])
    found = bond_lengths(*neighbor_list(record(dimers, cell, pbc), 5.0, backend))
    expected = {frozenset({0, 1}), frozenset({2, 3})}
    if all(pbc[k] or not direction[k] for k in range(3)):
        expected = {
            frozenset(pair) for pair in product(range(4), repeat=2) if pair[0] != pair[1]
        }  # 1e7 is 250,000 cells
    assert {frozenset(bond[:2]) for bond in found} == expected


@pytest.mark.parametrize("backend", ["vesin", "torch"])
def test_long_thin_periodic_box(backend):
    found = bond_lengths(*neighbor_list(record([[0, 0, 0], [1, 0, 0]], np.diag([1e7, 40.0, 40.0]), True), 5.0, backend))
    assert found == {(0, 1, 0, 0, 0): 1.0, (1, 0, 0, 0, 0): 1.0}


@pytest.mark.parametrize("backend", ["vesin", "torch"])
def test_many_small_cells_at_once(backend):
    one = CrystalData.from_ase(bulk("NaCl", "rocksalt", a=5.64))
    edge_index, _, _ = neighbor_list(Batch.from_data_list([one] * 1000), 5.0, backend)
    assert torch.bincount(edge_index[1]).tolist() == [6 + 12 + 8] * 2000


def test_pieces_make_the_whole(monkeypatch):
    structure = CrystalData.from_ase(bulk("Cu", "fcc", a=3.6, cubic=True) * 3)
    whole = bond_lengths(*neighbor_list(structure, 5.0, "torch"))
    monkeypatch.setattr(cell_list, "CANDIDATES", 50)
    monkeypatch.setattr(neighbors, "MEASURED_AT_ONCE", 77)
    assert bond_lengths(*neighbor_list(structure, 5.0, "torch")) == whole
    assert len(whole) == 42 * len(structure.z)


def test_coarse_bins_lose_nothing(monkeypatch):
    structure = CrystalData.from_ase(bulk("Cu", "fcc", a=3.6, cubic=True) * 5)
    fine = bond_lengths(*neighbor_list(structure, 5.0, "torch"))
    monkeypatch.setattr(cell_list, "MOST_BINS", 8)
    assert bond_lengths(*neighbor_list(structure, 5.0, "torch")) == fine


@pytest.mark.parametrize("backend", PERIODIC)
def test_float32_loses_no_pair_to_rounding(backend):
    """5.00012 Å apart across the boundary of a long cell, which in float32 is 5 Å exactly."""
    structure = record([[1.2e-4, 0, 0], [4091.0, 0, 0]], np.diag([4096.0, 9.0, 9.0]), True, dtype=torch.float32)
    assert bond_lengths(*neighbor_list(structure, 5.0, backend)) == {(0, 1, -1, 0, 0): 5.0, (1, 0, 1, 0, 0): 5.0}


def test_bins_of_many_sparse_structures_can_be_counted():
    far = record([[-1e8] * 3, [1e8] * 3])
    batch = Batch.from_data_list([far] * 100)
    grid = cell_list.lay_grid(batch.pos, completed_cell(batch.cell, batch.pbc), batch.pbc, batch.batch, 5.0)
    assert float(grid.shape.double().prod(dim=-1).sum()) < 2**63


def test_cells_of_the_strategy_are_what_it_says():
    """The property tests see small, skewed, left-handed and partly periodic cells, with and without neighbours."""
    seen = set()

    @settings(quickly, max_examples=200)
    @given(structures())
    def look(drawn):
        structure, cutoff = drawn
        full = completed_cell(structure.cell, structure.pbc)
        pbc = structure.pbc[0].tolist()
        seen.add(("periods", sum(pbc)))
        if all(pbc):
            seen.add("left-handed" if float(torch.linalg.det(full)) < 0 else "right-handed")
        if any(pbc) and float(heights(full)[structure.pbc].min()) < cutoff:
            seen.add("smaller than the cutoff")
        if not all(pbc):
            seen.add(("open direction has a vector", bool(structure.cell[~structure.pbc].any())))
        seen.add(("bonds", neighbor_list(structure, cutoff)[0].size(1) > 0))
        seen.add(("alone", len(structure.z) == 1))

    look()
    assert seen == {
        *(("periods", number) for number in range(4)),
        "left-handed",
        "right-handed",
        "smaller than the cutoff",
        *((name, value) for name in ("open direction has a vector", "bonds", "alone") for value in (False, True)),
    }


def test_unknown_backend():
    with pytest.raises(UnknownBackendError, match=r"'kd-tree'; there are vesin, torch, ase, torch_cluster"):
        neighbor_list(record([[0, 0, 0]]), 5.0, "kd-tree")


def test_missing_package(monkeypatch):
    monkeypatch.setitem(neighbors._BACKENDS, "absent", (cell_list.find_pairs, "no_such_package"))
    assert "absent" not in available_backends()
    with pytest.raises(UnknownBackendError, match="needs the package no_such_package"):
        neighbor_list(record([[0, 0, 0]]), 5.0, "absent")


def test_registered_backend_may_search_too_far_and_in_any_order(monkeypatch):
    monkeypatch.setattr(neighbors, "_BACKENDS", dict(neighbors._BACKENDS))

    def too_far(pos, cell, pbc, batch, cutoff):
        centre, neighbour, shift = cell_list.find_pairs(pos, cell, pbc, batch, 1.5 * cutoff)
        return centre.flip(0), neighbour.flip(0), shift.flip(0).long()

    neighbors.register_backend("too far", too_far)
    assert "too far" in available_backends()
    structure = CrystalData.from_ase(bulk("Si", "diamond", a=5.43))
    edge_index, shift, lengths = neighbor_list(structure, 5.0, "too far")
    assert bond_lengths(edge_index, shift, lengths) == bond_lengths(*neighbor_list(structure, 5.0, "ase"))
    assert bool((edge_index[1].diff() >= 0).all())


@pytest.mark.skipif("torch_cluster" not in available_backends(), reason="torch_cluster is not installed")
def test_torch_cluster_refuses_periods():
    with pytest.raises(UnknownBackendError, match="periodic"):
        neighbor_list(CrystalData.from_ase(bulk("Cu")), 5.0, "torch_cluster")


@pytest.mark.parametrize("is_there", [True, False])
def test_default_backend_is_vesin_but_torch_cluster_for_molecules_where_it_is(is_there: bool, monkeypatch) -> None:
    searched: list[str] = []

    def spy(name: str):
        return lambda *given: searched.append(name) or cell_list.find_pairs(*given)

    for name in ("vesin", "torch_cluster"):
        monkeypatch.setitem(neighbors._BACKENDS, name, (spy(name), None))
    monkeypatch.setattr(neighbors, "_is_installed", lambda package: is_there)
    for atoms in (molecule("H2O"), bulk("Cu")):
        neighbor_list(CrystalData.from_ase(atoms), 3.0)
    assert searched == ["torch_cluster" if is_there else "vesin", "vesin"]
