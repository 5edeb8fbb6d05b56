"""PyG transforms that add bonds and angles to a structure."""

from __future__ import annotations

from torch_geometric.data import Batch, Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from torch_gptff.errors import GraphError
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.checks import check_distances, check_geometry
from torch_gptff.graph.data import CrystalData, structure_count
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.graph.neighbors import neighbor_list


@functional_transform("periodic_radius_graph")
class PeriodicRadiusGraph(BaseTransform):
    """Join every atom to every neighbour, or image of one, within a cutoff; no limit on their number.

    Sets ``edge_index`` and ``edge_shift``; bonds and angles that there were are dropped. Takes a molecule without
    ``cell`` and ``pbc`` (QM9, MD17) as well: it is given a zero cell and open boundaries. Returns a
    :class:`~torch_gptff.graph.CrystalData`, which PyG can put into batches together with its angles, or, where a batch
    is given, that batch.

    Args:
        cutoff: Å
        backend: a name from :func:`torch_gptff.graph.neighbors.available_backends`; by default ``"vesin"`` on the
            CPU and ``"torch"`` elsewhere

    Raises:
        StructureError: the structure is empty, not finite, singular, or has two atoms on one spot.
        GraphError: the fields of the record do not fit together.
    """

    def __init__(self, cutoff: float, backend: str | None = None) -> None:
        self.cutoff = cutoff
        self.backend = backend

    def forward(self, data: Data) -> Data:
        data = _as_crystal(data)
        if data.get("cell") is None:
            data.cell = data.pos.new_zeros(structure_count(data.get("batch")), 3, 3)
        if data.get("pbc") is None:
            data.pbc = (data.cell != 0).any(dim=-1)
        for stale in ("edge_index", "edge_shift", "edge_attr", "angle_index"):
            if stale in data:
                del data[stale]
        check_geometry(data)
        data.edge_index, data.edge_shift, lengths = neighbor_list(data, self.cutoff, self.backend)
        check_distances(data, data.edge_index, lengths)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(cutoff={self.cutoff})"


@functional_transform("bond_angles")
class BondAngles(BaseTransform):
    """Pair every two different bonds of one centre that are no longer than a cutoff; sets ``angle_index``.

    Args:
        angle_cutoff: Å; no larger than the cutoff the bonds were made with

    Raises:
        GraphError: the structure has no bonds yet.
    """

    def __init__(self, angle_cutoff: float) -> None:
        self.angle_cutoff = angle_cutoff

    def forward(self, data: Data) -> Data:
        if data.get("edge_index") is None:
            raise GraphError("bonds come before angles: apply PeriodicRadiusGraph first")
        data = _as_crystal(data)
        lengths = bond_vectors(data).detach().norm(dim=-1)
        data.angle_index = angle_pairs(data.edge_index[1], lengths, self.angle_cutoff)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(angle_cutoff={self.angle_cutoff})"


def _as_crystal(data: Data) -> Data:
    """PyG's plain ``Data`` would count bonds as atoms when it batches angles."""
    return data if isinstance(data, CrystalData | Batch) else CrystalData.from_dict(data.to_dict())
