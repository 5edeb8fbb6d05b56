"""Check that stored bonds and angles belong to the positions of a structure."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import GraphError
from torch_gptff.graph.checks import check_distances
from torch_gptff.graph.geometry import bond_vectors

SLACK = 0.05
"""Tolerance of lengths, Å: finite differences keep the bonds of slightly different positions."""


def check_fit(data: Data, cutoff: float, angle_cutoff: float | None) -> None:
    """Refuse a graph that was reordered or merged, or made with other cutoffs or positions.

    Bonds are measured anew: none is longer than the cutoff. Angles are counted anew: each pairs two different bonds of
    one centre, and every bond within the angle cutoff is paired with all others of its centre, in both orders. All
    that takes a time proportional to the number of bonds and angles, and no neighbour search: bonds that are missing
    are not found.

    Args:
        data: one structure or a batch, whose indices :func:`~torch_gptff.graph.checks.check_graph` has checked
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; ``None`` where angles are not used

    Raises:
        GraphError: names the field that does not fit, and a remedy.
        CoincidentAtomsError: a bond has no length.
    """
    lengths = bond_vectors(data).detach().norm(dim=-1)
    check_distances(data, data.edge_index, lengths)
    if bool((lengths > cutoff + SLACK).any()):
        raise GraphError(
            f"edge_index has bonds of up to {float(lengths.max()):.2f} Å, and the cutoff is {cutoff} Å: the bonds were "
            "made with another cutoff, of other positions, or were reordered without edge_shift; leave edge_index, "
            "edge_shift and angle_index out, and they are made anew"
        )
    if angle_cutoff is not None and data.get("angle_index") is not None:
        _check_angles(data.edge_index[1], lengths, data.angle_index, angle_cutoff)


def _check_angles(centre: Tensor, lengths: Tensor, angle_index: Tensor, angle_cutoff: float) -> None:
    first, second = angle_index
    if bool(((centre[first] != centre[second]) | (first == second)).any()):
        raise _stale("an angle pairs bonds of two centres, or a bond with itself")
    counts = [torch.bincount(bonds, minlength=len(centre)) for bonds in angle_index]
    paired = counts[0] > 0
    others = _per_centre(paired, centre) - 1
    if not all(torch.equal(count, torch.where(paired, others, 0)) for count in counts):
        raise _stale("some pairs of bonds of one centre are there and others are not, or are there twice")
    if bool((paired & (lengths > angle_cutoff + SLACK)).any()):
        longest = float(lengths[paired].max())
        raise _stale(f"bonds of up to {longest:.2f} Å form angles, and the angle cutoff is {angle_cutoff} Å")
    short = lengths < angle_cutoff - SLACK
    if bool((short & ~paired & (_per_centre(short, centre) > 1)).any()):
        raise _stale(f"bonds within the angle cutoff of {angle_cutoff} Å form no angles")


def _per_centre(chosen: Tensor, centre: Tensor) -> Tensor:
    """Number of chosen bonds of the centre of every bond, ``[E]``."""
    return torch.bincount(centre[chosen], minlength=int(centre.max()) + 1 if len(centre) else 0)[centre]


def _stale(what: str) -> GraphError:
    return GraphError(
        f"angle_index does not fit edge_index: {what}. Bonds that are sorted, merged or cut out need new angles: "
        "delete angle_index, or apply BondAngles again"
    )
