"""Incremental update of the graphs of many structures that move at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.checks import check_distances, check_geometry, completed_cell
from torch_gptff.graph.data import CrystalData, structure_index
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.graph.neighbors import neighbor_list, rounding_margin


class VerletBatch:
    """Graphs of a batch of moving structures that can join and leave, as in :class:`~torch_gptff.graph.VerletGraph`.

    All candidates of the batch are measured at once, and the structures whose candidates may have become incomplete
    are searched anew together.

    Args:
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; ``None`` for no angles
        skin: Å
        backend: see :func:`~torch_gptff.graph.neighbor_list`

    Attributes:
        n_searches: number of neighbour searches so far, each of some of the structures
    """

    def __init__(
        self, cutoff: float, angle_cutoff: float | None, skin: float = 0.5, backend: str | None = None
    ) -> None:
        self.cutoff = cutoff
        self.angle_cutoff = angle_cutoff
        self.skin = skin
        self.backend = backend
        self.n_searches = 0
        self._searched: list[_Searched] = []

    def keep(self, which: Sequence[int]) -> None:
        """Remove all structures but some.

        Args:
            which: places of the structures that stay, ascending
        """
        self._searched = [self._searched[place] for place in which if place < len(self._searched)]

    def update(self, data: CrystalData) -> CrystalData:
        """The batch with its bonds and angles; ``data`` itself is left as it is.

        Structures beyond those of the last update have joined since.

        Args:
            data: a batch, with ``batch``, whose first structures are those kept from the last update

        Raises:
            StructureError: see :class:`~torch_gptff.graph.PeriodicRadiusGraph`, of any of the structures.
        """
        sizes = torch.bincount(structure_index(data)[0], minlength=data.cell.size(0))
        due = self._due(data, sizes)
        if due:
            self._search(data, sizes, due)
        firsts = (sizes.cumsum(0) - sizes).to(data.pos.device)
        counts = torch.tensor([len(each.shift) for each in self._searched], device=data.pos.device)
        offsets = firsts.repeat_interleave(counts)
        moved = data.clone()
        moved.edge_index = torch.cat([each.edge_index for each in self._searched], dim=1) + offsets
        moved.edge_shift = torch.cat([each.shift for each in self._searched])
        lengths = bond_vectors(moved).norm(dim=-1)
        check_distances(moved, moved.edge_index, lengths)
        bonds = (lengths <= self.cutoff).nonzero().squeeze(-1)
        moved.edge_index = moved.edge_index.index_select(1, bonds)
        moved.edge_shift = moved.edge_shift.index_select(0, bonds)
        if self.angle_cutoff is not None:
            moved.angle_index = angle_pairs(moved.edge_index[1], lengths.index_select(0, bonds), self.angle_cutoff)
        return moved

    def _due(self, data: CrystalData, sizes: Tensor) -> list[int]:
        """Places of the structures whose candidates may not be complete: see :class:`VerletGraph`."""
        n_known, n_structures = len(self._searched), len(sizes)
        joined = list(range(n_known, n_structures))
        if n_known == 0:
            return joined
        n_atoms = int(sizes[:n_known].sum())
        batch = structure_index(data)[0][:n_atoms]
        before = completed_cell(torch.stack([each.cell for each in self._searched]), data.pbc[:n_known])
        now = completed_cell(data.cell[:n_known], data.pbc[:n_known])
        finite = now.isfinite().flatten(1).all(1)
        deformation = torch.linalg.solve(before, now.where(finite.view(-1, 1, 1), before))
        carried = torch.cat([each.pos for each in self._searched]).unsqueeze(1) @ deformation.index_select(0, batch)
        moved = (data.pos[:n_atoms] - carried.squeeze(1)).norm(dim=-1)
        farthest = moved.new_zeros(n_known).scatter_reduce(0, batch, moved, "amax")
        sigma = torch.linalg.svdvals(deformation)[:, -1]
        margins = moved.new_tensor([each.margin for each in self._searched])
        complete = finite & (sigma * (self.cutoff + self.skin) - 2 * farthest >= self.cutoff + margins)
        return (~complete).nonzero().squeeze(-1).tolist() + joined

    def _search(self, data: CrystalData, sizes: Tensor, due: list[int]) -> None:
        places = torch.tensor(due, device=data.pos.device)
        chosen = torch.zeros(len(sizes), dtype=torch.bool, device=data.pos.device)
        chosen[places] = True
        atoms = chosen[structure_index(data)[0]]
        counts = sizes[places]
        some = CrystalData(
            z=data.z[atoms],
            pos=data.pos[atoms],
            cell=data.cell[places],
            pbc=data.pbc[places],
            batch=torch.arange(len(due), device=data.pos.device).repeat_interleave(counts),
        )
        check_geometry(some)
        edge_index, shift, _ = neighbor_list(some, self.cutoff + self.skin, self.backend)
        self.n_searches += 1
        firsts = counts.cumsum(0) - counts
        bonds = torch.bincount(some.batch[edge_index[1]], minlength=len(due)).tolist()
        of_atoms = some.pos.split(counts.tolist())
        for number, (place, edges, shifts) in enumerate(
            zip(due, edge_index.split(bonds, dim=1), shift.split(bonds), strict=True)
        ):
            alone = CrystalData(pos=of_atoms[number], cell=some.cell[number : number + 1])
            found = _Searched(
                alone.pos.clone(),
                alone.cell[0].clone(),
                edges - firsts[number],
                shifts,
                rounding_margin(alone, self.cutoff),
            )
            if place < len(self._searched):
                self._searched[place] = found
            else:
                self._searched.append(found)


class _Searched:
    """Positions of a structure at its last search, and the candidates found, by its own atom numbers."""

    def __init__(self, pos: Tensor, cell: Tensor, edge_index: Tensor, shift: Tensor, margin: float) -> None:
        self.pos = pos
        self.cell = cell
        self.edge_index = edge_index
        self.shift = shift
        self.margin = margin
