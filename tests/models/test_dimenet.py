"""DimeNet++ beside PyG's own, and its angles in crystals."""

from __future__ import annotations

from typing import Any, ClassVar

import pyg_reference
import pytest
import torch
from ase import Atoms
from baseline_tests import BaselineTests
from torch_geometric.nn.models import dimenet as pyg

from torch_gptff import CrystalData
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.models import DimeNetConfig, DimeNetPlusPlus, EnergyModel
from torch_gptff.models.dimenet import message_pairs, reversed_bonds
from torch_gptff.testing import STRUCTURES

WIDTHS = {"num_blocks": 2, "int_emb_size": 8, "basis_emb_size": 4, "out_emb_channels": 10, "num_output_layers": 1}


class TestDimeNet(BaselineTests):
    name = "dimenet++"
    settings: ClassVar[dict[str, Any]] = {
        **WIDTHS,
        "hidden_channels": 12,
        "num_spherical": 3,
        "num_radial": 2,
        "cutoff": 5.0,
        "angle_cutoff": 5.0,
    }
    refused: ClassVar[list[tuple[dict[str, Any], str]]] = [
        ({"angle_cutoff": 5.5}, "angle_cutoff must be in"),
        ({"num_spherical": 1}, "num_spherical must be at least 2"),
        ({"envelope_exponent": 1}, "envelope_exponent must be at least 2"),
        ({"num_blocks": 0}, "num_blocks must be positive"),
    ]

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> tuple[EnergyModel, Any]:
        monkeypatch.setattr(pyg, "radius_graph", pyg_reference.radius_graph)
        monkeypatch.setattr(pyg, "triplets", pyg_reference.triplets)
        settings = {key: value for key, value in self.settings.items() if key != "angle_cutoff"}
        theirs = pyg.DimeNetPlusPlus(out_channels=1, output_initializer="glorot_orthogonal", **settings).double()
        ours = self.model()
        ours.load_state_dict(theirs.state_dict())
        return ours, theirs


def graph_of(atoms: Atoms, angle_cutoff: float = 3.5) -> CrystalData:
    return DimeNetPlusPlus(DimeNetConfig(num_blocks=1, angle_cutoff=angle_cutoff)).build_graph(
        CrystalData.from_ase(atoms)
    )


@pytest.mark.parametrize("name", STRUCTURES)
def test_reversed_bonds(name: str) -> None:
    graph = graph_of(STRUCTURES[name]())
    other_end = reversed_bonds(graph)
    torch.testing.assert_close(bond_vectors(graph)[other_end], -bond_vectors(graph))
    assert torch.equal(graph.edge_index[:, other_end], graph.edge_index.flip(0))


@pytest.mark.parametrize("name", ["one_atom_cell", "rattled_crystal", "skewed_cell", "bent_molecule"])
def test_a_message_hears_of_all_that_arrive_at_its_start_but_its_own_reverse(name: str) -> None:
    """Among them messages between images of one atom, and those that come from an image of where it goes."""
    graph = graph_of(STRUCTURES[name](), angle_cutoff=3.1)
    bonds = [
        (*ends, *shift) for ends, shift in zip(graph.edge_index.T.tolist(), graph.edge_shift.tolist(), strict=True)
    ]
    short = (bond_vectors(graph).norm(dim=-1) <= 3.1).tolist()
    expected = set()
    for ji, (j, i, *shift) in enumerate(bonds):
        for kj, (k, middle, *other) in enumerate(bonds):
            is_reverse = k == i and [-s for s in shift] == other
            if short[ji] and short[kj] and middle == j and not is_reverse:
                expected.add((kj, ji))
    pairs = list(zip(*(column.tolist() for column in message_pairs(graph)), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


def test_angles_between_images_count() -> None:
    """In a chain of one atom a cell, the message from one image is turned by that from the other: straight on."""
    graph = graph_of(Atoms("C", cell=[10, 10, 1.5], pbc=(0, 0, 1)), angle_cutoff=1.6)
    kj, ji = message_pairs(graph)
    vectors = bond_vectors(graph)
    assert len(kj) == 2
    torch.testing.assert_close(vectors[kj], vectors[ji])


def test_bonds_that_lack_their_reverse_have_no_angles() -> None:
    graph = graph_of(STRUCTURES["triplet"]())
    assert message_pairs(graph)[0].numel() == 6
    kept = graph.edge_index[1] == 0
    graph.edge_index, graph.edge_shift = graph.edge_index[:, kept], graph.edge_shift[kept]
    graph.angle_index = torch.tensor([[0, 1], [1, 0]])
    assert message_pairs(graph)[0].numel() == 0


def test_an_angle_fades_as_either_of_its_bonds_leaves() -> None:
    """Beyond the cutoff of angles nothing is left of the angle; the bonds stay."""
    model = DimeNetPlusPlus(DimeNetConfig(**WIDTHS, hidden_channels=12)).double()

    def share_of_the_angle(distance: float) -> float:
        graph = model.build_graph(CrystalData.from_ase(STRUCTURES["triplet"](distance=distance)))
        vectors = model.bond_vectors(graph)
        whole = model.interaction_energy(graph, vectors)
        graph.angle_index = graph.angle_index[:, :0]
        return abs((whole - model.interaction_energy(graph, vectors)).item())

    near, far, beyond = (share_of_the_angle(distance) for distance in (2.0, 3.49, 3.51))
    assert near > 1e3 * far > 0
    assert beyond == 0
