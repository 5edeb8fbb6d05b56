"""How much arithmetic and memory traffic energy, forces and stress of GPTFF need, however they are computed."""

from __future__ import annotations

from typing import NamedTuple

from ase import Atoms

from torch_gptff import CrystalData, GPTFFConfig
from torch_gptff.graph import neighbor_list
from torch_gptff.ops.tensor_product import terms

FLOAT = 4
INDEX = 8
"""Bytes"""

PAPER_PARTS = ("start", "angles", "bonds", "atoms", "transformer", "readout")
"""Of an evaluation by the paper's layers: first features of atoms and bonds; the updates of all layers; atomic
energies."""

GEOMETRIC_PARTS = ("start", "attention", "products", "networks", "readout")
"""Of an evaluation with geometric attention: harmonics of bonds; of all layers the attention with its maps, products
of features that turn, and the maps behind both; atomic energies."""


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
    if config.angle_update == "none":
        return GraphSize(len(atoms), len(lengths), 0, 0)
    short = edge_index[1][lengths <= config.angle_cutoff].bincount()
    return GraphSize(len(atoms), len(lengths), int(short.sum()), int((short * (short - 1)).sum()))


def parts_of(config: GPTFFConfig) -> tuple[str, ...]:
    """The parts of an evaluation, in their order."""
    return GEOMETRIC_PARTS if config.transformer == "geometric" else PAPER_PARTS


def necessary_flops(config: GPTFFConfig, size: GraphSize) -> int:
    r"""Floating-point operations of one evaluation of energy, forces and stress.

    Of the paper's layers those of matrix products: each product counts where it depends on the least: a block of a
    linear map of a concatenation is applied once for
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

    With geometric attention there is no matrix for a bond, so that elementwise multiplications count too, as many as a
    pass over the bonds takes that computes nothing twice: see :func:`attention_multiplications`. With degree ``l``,
    ``M = (l + 1)² − 1`` components, ``H``
    heads, ``T`` terms of the products, and ``t = 1`` but in the first layer, where it is 0, there are
    ``S = 2 + l + 2 t`` radial functions of a channel, each a sum of four rows of its table, and the multiplications
    are, for each layer,

    ==================  ====================================================================================
    a bond              ``d (4 S + 4 + l + (1 + 2 t) M + 3 t)``, its gradient
                        ``d (4 S + 8 + 2 l + (2 + 4 t) M + 7 t)``
    an atom             attention ``3 d²``; networks ``2 M d² + (2 d + 2 l d + H) f + (1 + l) f d``, of the last layer
                        ``M d² + (2 d + 2 l d + H) f + f d``; products ``d (2 T + 4 M)``, their gradient
                        ``d (3 T + 5 M)``
    ==================  ====================================================================================

    Harmonics, and the tables, which are of parameters alone, are not counted.
    """
    return sum(flops_by_part(config, size).values())


def flops_by_part(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    """:func:`necessary_flops` of each of :func:`parts_of` the evaluation."""
    return _geometric_flops(config, size) if config.transformer == "geometric" else _paper_flops(config, size)


def _geometric_flops(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    d, f, l, layers = config.channels, config.feedforward_channels, config.degree, config.num_layers
    M, T = (l + 1) ** 2 - 1, len(terms(l))
    attention = products = networks = 0
    for number in range(layers):
        is_last = number == layers - 1
        attention += size.bonds * d * sum(attention_multiplications(l, turns=number > 0)) + size.atoms * 2 * 3 * d * d
        products += size.atoms * d * ((2 * T + 4 * M) + (3 * T + 5 * M))
        hidden = (2 * d + 2 * l * d + config.heads) * f
        networks += size.atoms * 2 * (hidden + (M * d * d + f * d if is_last else 2 * M * d * d + (1 + l) * f * d))
    return {
        "start": 0,
        "attention": 2 * attention,
        "products": 2 * products,
        "networks": 2 * networks,
        "readout": 2 * 2 * size.atoms * config.num_readouts * (2 * d * d + d),
    }


def attention_multiplications(degree: int, turns: bool) -> tuple[int, int]:
    """Of a bond and channel, and of the gradient by both atoms and the bond: elementwise, by a pass over the bonds that
    keeps what it needs again. The sums of table rows, of values and, in the gradient, of slopes, are half of them.

    Args:
        degree: highest of the harmonics
        turns: whether neighbours have features that turn
    """
    M, t = (degree + 1) ** 2 - 1, int(turns)
    rows = 4 * (2 + degree + 2 * t)
    return rows + 4 + degree + (1 + 2 * t) * M + 3 * t, rows + 8 + 2 * degree + (2 + 4 * t) * M + 7 * t


def _paper_flops(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
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
    readouts = size.atoms * config.num_readouts if config.readout == "atomwise" else 1
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

    With geometric attention a bond has a length and its harmonics: a layer reads them forward, and backward reads them
    and adds to their gradient, beside the two indices; at the start they are made of a vector, and backward it of them.
    What belongs to atoms is then not small beside it. In units of the ``4 d`` bytes of one row of channels, forward and
    backward together, attention passes ``11 + 5 M`` of an atom, products ``5 M + 4 l``, and networks as much as their
    maps read and write.
    """
    return sum(bytes_by_part(config, size).values())


def bytes_by_part(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    """:func:`necessary_bytes` of each of :func:`parts_of` the evaluation that has any."""
    return _geometric_bytes(config, size) if config.transformer == "geometric" else _paper_bytes(config, size)


def _geometric_bytes(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    d, f, l, layers = config.channels, config.feedforward_channels, config.degree, config.num_layers
    M, row, pair = (l + 1) ** 2 - 1, FLOAT * config.channels, 2 * 2 * INDEX
    of_bond = FLOAT * (1 + M)
    # Rows that the maps of a layer read and write: messages, the hidden layer, products; forward, and twice backward.
    maps = 2 * M * row + FLOAT * (2 * d + 2 * l * d + config.heads + 2 * f + (1 + l) * d) + 2 * M * row
    return {
        "start": size.bonds * 2 * (FLOAT * 3 + of_bond),
        "attention": layers * (size.bonds * (4 * of_bond + pair) + size.atoms * (11 + 5 * M) * row),
        "products": layers * size.atoms * (5 * M + 4 * l) * row,
        "networks": layers * size.atoms * 3 * maps,
    }


def _paper_bytes(config: GPTFFConfig, size: GraphSize) -> dict[str, int]:
    row, pair = FLOAT * config.channels, 2 * 2 * INDEX  # features of a bond; its two indices, forward and backward
    of_layers = {
        "angles": 5 * size.short * row + (size.angles if config.angle_update == "explicit" else size.short) * pair,
        "bonds": size.bonds * (5 * row + pair),
        "atoms": size.bonds * (3 * row + pair),
    }
    return {part: config.num_layers * traffic for part, traffic in of_layers.items()}
