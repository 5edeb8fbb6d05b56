"""Inputs of the layers of GPTFF from a graph, for all centres or a range of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.nn import GeometricAttention
from torch_gptff.ops.bond_harmonics import bond_harmonics


@dataclass
class Geometry:
    """The bonds and angles of a range of centres, with the functions of lengths that do not change from layer to layer.

    Everything a layer adds to bonds and atoms is a sum over the bonds of one centre, so that ranges of centres can be
    computed one after another.

    Attributes:
        atoms: the centres, a range of all atoms
        edge_index: their bonds, ``[2, E]``; row 0 the neighbour among all atoms, row 1 the centre, counted from the
            first of ``atoms``
        radial: radial features of the bonds, ``[E, R]``
        short: the bonds no longer than the angle cutoff, as columns of ``edge_index``, ``[S]``
        short_edge_index: those columns, ``[2, S]``
        short_radial: radial features that end at the angle cutoff, ``[S, R]``
        direction: unit vectors of the short bonds, ``[S, 3]``
        angle_index: angles as pairs of positions in ``short``, ``[2, A]``; ``None`` for a model without
    """

    atoms: slice
    edge_index: Tensor
    radial: Tensor
    short: Tensor
    short_edge_index: Tensor
    short_radial: Tensor
    direction: Tensor
    angle_index: Tensor | None

    def centres(self, x: Tensor) -> Tensor:
        """The rows of the centres, of rows of all atoms ``[N, d]``: the same tensor where all atoms are centres."""
        return x if self.atoms == slice(0, len(x)) else x[self.atoms]


@dataclass
class BondRange:
    """The bonds of a range of centres, for attention that carries geometry.

    Attributes:
        atoms: the centres, a range of all atoms
        edge_index: their bonds, ``[2, E]``; row 0 the neighbour among all atoms, row 1 the centre, counted from the
            first of ``atoms``
        vectors: bond vectors, Å, ``[E, 3]``
        degree: highest of the harmonics
        geometry: lengths and harmonics of the bonds, where they are kept and not computed by every layer anew
    """

    atoms: slice
    edge_index: Tensor
    vectors: Tensor
    degree: int
    geometry: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, graph: Data, vectors: Tensor, atoms: slice, bonds: slice, degree: int) -> BondRange:
        """A range of atoms of a graph."""
        if bonds == slice(0, len(vectors)):
            return cls(atoms, graph.edge_index, vectors, degree)
        neighbour, centre = graph.edge_index[:, bonds]
        return cls(atoms, torch.stack([neighbour, centre - atoms.start]), vectors[bonds], degree)

    def measured(self) -> BondRange:
        """A copy with its geometry computed."""
        return replace(self, geometry=bond_harmonics(self.vectors, self.degree))

    def attend(
        self, attention: GeometricAttention, x: Tensor, features: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Result of the attention for the centres, from features of all atoms."""
        lengths, harmonics = self.geometry or bond_harmonics(self.vectors, self.degree)
        centres = x if self.atoms == slice(0, len(x)) else x[self.atoms]
        return attention((x, centres), features, self.edge_index, lengths, harmonics)


def ranges_of_centres(graph: Data, max_bonds: int, n_atoms: int) -> list[tuple[slice, slice, slice]]:
    """Cut a graph into ranges of atoms of at most ``max_bonds`` bonds each (or of one atom), bonds and angles likewise.

    Args:
        graph: record with bonds ascending by centre, and angles by their first bond
        max_bonds: largest number of bonds in a range
        n_atoms: atoms that may be centres, the first ones of the graph

    Returns:
        the atoms, bonds and angles of every range
    """
    n_bonds = graph.edge_index.size(1)
    n_angles = 0 if graph.get("angle_index") is None else graph.angle_index.size(1)
    if n_bonds <= max_bonds:
        return [(slice(0, n_atoms), slice(0, n_bonds), slice(0, n_angles))]
    atoms = torch.arange(n_atoms + 1, device=graph.z.device)
    ends = torch.searchsorted(graph.edge_index[1].contiguous(), atoms).tolist()  # number of bonds before each atom
    cuts = [0]
    for atom in range(1, n_atoms):
        if ends[atom + 1] - ends[cuts[-1]] > max_bonds:
            cuts.append(atom)
    cuts.append(n_atoms)
    bonds = [ends[cut] for cut in cuts]
    angles = [0] * len(cuts)
    if n_angles:
        limits = torch.tensor(bonds, device=graph.z.device)
        angles = torch.searchsorted(graph.angle_index[0].contiguous(), limits).tolist()
    return [
        tuple(slice(at[n], at[n + 1]) for at in (cuts, bonds, angles))  # type: ignore[misc]
        for n in range(len(cuts) - 1)
    ]
