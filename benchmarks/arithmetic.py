"""How much arithmetic and memory traffic energy, forces and stress of GPTFF need, however they are computed."""

from __future__ import annotations

from typing import NamedTuple

from ase import Atoms

from torch_gptff import CrystalData, GPTFFConfig
from torch_gptff.graph import neighbor_list

FLOAT = 4
INDEX = 8
"""Bytes"""

PARTS = ("start", "angles", "bonds", "atoms", "transformer", "readout")
"""Of an evaluation: first features of atoms and bonds; the updates of all layers; atomic energies."""


class GraphSize(NamedTuple):
    """What the work grows with.

    Attributes:
        atoms: their number
        bonds: directed
        short: bonds that form angles
        angles: ordered pairs of those at one centre
    """

    atoms: int
    bonds: int
    short: int
    angles: int


def graph_size(config: GPTFFConfig, atoms: Atoms) -> GraphSize:
    """Counted, without a graph being made."""
    edge_index, _, lengths = neighbor_list(CrystalData.from_ase(atoms), config.cutoff)
    short = edge_index[1][lengths <= config.angle_cutoff].bincount()
    return GraphSize(len(atoms), len(lengths), int(short.sum()), int((short * (short - 1)).sum()))


def necessary_flops(config: GPTFFConfig, size: GraphSize) -> int:
    r"""Floating-point operations of the matrix products of one evaluation of energy, forces and stress.

    Each product counts where it depends on the least: a block of a linear map of a concatenation is applied once for
    each atom or bond that it belongs to, not for each angle. With width ``d``, ``R`` radial functions and hidden
    width ``f`` the multiplications are, for each layer,

    ==================  ====================================================================================
    an angle            ``2 d²``: the two maps of its gate
    a short bond        ``2 d²`` (what it gives to its angles as first and as second bond) ``+ 2 R d``
    a bond              bond update ``2 d² + d² + R d``, atom update ``2 d² + 4 d² + R d``
    an atom             its blocks: angle ``3 d²``, bond ``4 d²``, atom ``4 d²``
    with a transformer  an atom ``4 d² + 2 d f``; a pair that attends ``2 d``
    harmonic angles     instead of the first two lines, a short bond ``2 d² + d² + (l + 1) d² + 2 (l + 1)² d
                        + 2 R d``; instead of the ``3 d²``, ``4 d²``
    ==================  ====================================================================================

    and outside the layers ``d² + 2 R d`` for a bond, ``2 d²`` for an atom, ``2 d² + d`` for an atomic energy. A
    multiplication counts with its addition as two operations, and a gradient by the inputs costs the same again.
    Activation functions, sums and what is recomputed to save memory are not counted.
    """
    return sum(flops_by_part(config, size).values())


def flops_by_part(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    """:func:`necessary_flops` of each of :data:`PARTS`."""
    d, radial, degrees = config.channels, config.num_radial, config.degree + 1
    if config.angle_update == "explicit":
        angles = size.angles * 2 * d * d + size.short * (2 * d * d + 2 * radial * d) + size.atoms * 3 * d * d
    else:
        short = (3 + degrees) * d * d + 2 * degrees**2 * d + 2 * radial * d
        angles = size.short * short + size.atoms * 4 * d * d
    transformer = 0
    if config.transformer != "none":
        pairs = size.atoms**2 if config.transformer == "global" else size.bonds + size.atoms
        transformer = size.atoms * (4 * d * d + 2 * d * config.feedforward_channels) + pairs * 2 * d
    readouts = size.atoms if config.readout == "atomwise" else 1
    of_layers = {
        "angles": angles,
        "bonds": size.bonds * (3 * d * d + radial * d) + size.atoms * 4 * d * d,
        "atoms": size.bonds * (6 * d * d + radial * d) + size.atoms * 4 * d * d,
        "transformer": transformer,
    }
    return {part: 2 * 2 * config.num_layers * flops for part, flops in of_layers.items()} | {
        "readout": 2 * 2 * readouts * (2 * d * d + d),
        "start": 2 * 2 * (size.bonds * (d * d + 2 * radial * d) + size.atoms * 2 * d * d),
    }


def necessary_bytes(config: GPTFFConfig, size: GraphSize) -> int:
    """Bytes that cross to and from memory when every update is one pass over its bonds and angles.

    Of a layer, in units of the ``4 d`` bytes of one bond's features: forward, the angle and the bond update read and
    write them and the atom update reads them; backward, each reads them again, and reads and writes their gradient
    (the atom update, the first to go, only writes it). Each pass reads the two indices of a bond or angle. What
    belongs to atoms is small beside it and stays in the cache.
    """
    return sum(bytes_by_part(config, size).values())


def bytes_by_part(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    """:func:`necessary_bytes` of each of :data:`PARTS` that has any."""
    row, pair = FLOAT * config.channels, 2 * 2 * INDEX  # features of a bond; its two indices, forward and backward
    of_layers = {
        "angles": 5 * size.short * row + (size.angles if config.angle_update == "explicit" else size.short) * pair,
        "bonds": size.bonds * (5 * row + pair),
        "atoms": size.bonds * (3 * row + pair),
    }
    return {part: config.num_layers * traffic for part, traffic in of_layers.items()}
