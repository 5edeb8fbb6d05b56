"""Incremental update of the graph of a structure, for molecular dynamics and relaxation."""

from __future__ import annotations

import torch
from torch import Tensor

from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.checks import check_distances, check_geometry, completed_cell
from torch_gptff.graph.data import CrystalData
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.graph.neighbors import neighbor_list, rounding_margin


class VerletGraph:
    r"""The graph of one structure whose atoms and cell move step by step.

    Neighbours are searched within ``cutoff + skin`` and kept as candidates (L. Verlet, Phys. Rev. 159, 98 (1967)).
    At every step the candidates are measured anew and those within the cutoffs are the bonds: the same set as a search
    at every step would give, not one more. Angles are paired anew only when a bond has crossed a cutoff.

    Candidates stay complete while no pair from outside can have come inside. With the cell deformed by
    :math:`F = h_0^{-1} h`, whose smallest singular value is :math:`\sigma`, and atoms at most :math:`u` from where
    that deformation carries them, a pair that was farther than ``cutoff + skin`` is now farther than
    :math:`\sigma\,(\text{cutoff} + \text{skin}) - 2u`; a new search is due when this falls below ``cutoff`` (and a
    margin for rounding).

    Args:
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; ``None`` for no angles
        skin: Å; 0 searches at every step
        backend: see :func:`~torch_gptff.graph.neighbor_list`

    Attributes:
        n_searches: neighbour searches so far
    """

    def __init__(
        self, cutoff: float, angle_cutoff: float | None, skin: float = 0.5, backend: str | None = None
    ) -> None:
        self.cutoff = cutoff
        self.angle_cutoff = angle_cutoff
        self.skin = skin
        self.backend = backend
        self.n_searches = 0
        self._margin = 0.0
        self._reference: CrystalData | None = None
        self._graph: CrystalData | None = None
        self._class: Tensor | None = None

    def forget(self) -> None:
        """Discard the candidates, so that later results do not depend on earlier structures.

        Which atoms are neighbours does not change, but the order of their sums, and with it the last digits.
        """
        self._reference = None

    def update(self, data: CrystalData) -> CrystalData:
        """The structure with its bonds and angles; ``data`` itself is left as it is.

        Raises:
            StructureError: see :class:`~torch_gptff.graph.PeriodicRadiusGraph`.
        """
        if self._reference is None or not self._still_complete(data, self._reference):
            self._reference = self._search(data)
            self._class = None
        reference = self._reference
        moved = data.clone()
        moved.edge_index, moved.edge_shift = reference.edge_index, reference.edge_shift
        lengths = bond_vectors(moved).norm(dim=-1)
        check_distances(moved, moved.edge_index, lengths)

        # 0: no bond; 1: a bond; 2: a bond that forms angles
        kind = (lengths <= self.cutoff).to(torch.uint8)
        if self.angle_cutoff is not None:
            kind += (lengths <= self.angle_cutoff).to(torch.uint8)
        if self._graph is None or self._class is None or not torch.equal(kind, self._class):
            self._graph = self._select(moved, lengths, kind > 0)
            self._class = kind
        for key in ("edge_index", "edge_shift", "angle_index"):
            if key in self._graph:
                moved[key] = self._graph[key]
            elif key in moved:
                del moved[key]
        return moved

    def _search(self, data: CrystalData) -> CrystalData:
        check_geometry(data)
        candidates = data.clone()
        found = neighbor_list(data, self.cutoff + self.skin, self.backend)
        candidates.edge_index, candidates.edge_shift, _ = found
        self._margin = rounding_margin(data, self.cutoff)
        self.n_searches += 1
        return candidates

    def _select(self, moved: CrystalData, lengths: Tensor, bonded: Tensor) -> CrystalData:
        bonds = bonded.nonzero().squeeze(-1)
        edge_index, edge_shift = moved.edge_index.index_select(1, bonds), moved.edge_shift.index_select(0, bonds)
        graph = CrystalData(edge_index=edge_index, edge_shift=edge_shift)
        if self.angle_cutoff is not None:
            graph.angle_index = angle_pairs(edge_index[1], lengths.index_select(0, bonds), self.angle_cutoff)
        return graph

    def _still_complete(self, data: CrystalData, reference: CrystalData) -> bool:
        if data.z.shape != reference.z.shape or not torch.equal(data.pbc, reference.pbc):
            return False
        before, now = (completed_cell(one.cell, one.pbc)[0] for one in (reference, data))
        if torch.equal(before, now):
            sigma, carried = 1.0, reference.pos
        elif not bool(now.isfinite().all()):
            return False
        else:
            deformation = torch.linalg.solve(before, now)
            sigma, carried = float(torch.linalg.svdvals(deformation)[-1]), reference.pos @ deformation
        displacement = float((data.pos - carried).norm(dim=-1).max())
        return sigma * (self.cutoff + self.skin) - 2 * displacement >= self.cutoff + self._margin
