"""DimeNet++, as a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.models.dimenet import BesselBasisLayer, EmbeddingBlock, InteractionPPBlock, OutputPPBlock

from torch_gptff.errors import ConfigError
from torch_gptff.models.atomwise import AtomwiseModel
from torch_gptff.models.model_config import ModelConfig
from torch_gptff.nn import PolynomialEnvelope
from torch_gptff.nn.spherical_bessel import SphericalBesselBasis

_MAX_Z = 94


@dataclass(frozen=True)
class DimeNetConfig(ModelConfig):
    """Configuration of a DimeNet++. The defaults are the published widths, at the cutoffs of GPTFF.

    Attributes:
        hidden_channels: width of the messages
        num_blocks: layers
        int_emb_size: width of what an angle says
        basis_emb_size: width that the basis is brought to
        out_emb_channels: width of the readout
        num_spherical: angular functions, at least 2
        num_radial: radial functions
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; ``cutoff`` for all the angles of the published
            model, about ten
            times as many in a metal as within 3.5 Å
        envelope_exponent: exponent of the envelope, as PyG counts: the power of its first term beside the 1, less one
        num_before_skip: residual layers before the skip connection of a layer
        num_after_skip: residual layers after it
        num_output_layers: hidden layers of each readout
        readout: ``"add"``, the sum over atoms, or ``"mean"``
        out_channels, dipole, mean, std, atomref: see :class:`~torch_gptff.models.output.OutputConfig`
    """

    hidden_channels: int = 128
    num_blocks: int = 4
    int_emb_size: int = 64
    basis_emb_size: int = 8
    out_emb_channels: int = 256
    num_spherical: int = 7
    num_radial: int = 6
    cutoff: float = 5.0
    angle_cutoff: float = 3.5
    envelope_exponent: int = 5
    num_before_skip: int = 1
    num_after_skip: int = 2
    num_output_layers: int = 3
    readout: str = "add"

    def __post_init__(self) -> None:
        widths = ("hidden_channels", "int_emb_size", "basis_emb_size", "out_emb_channels")
        self._check_fields(*widths, "num_blocks", "num_radial", "cutoff")
        for name, least in (("num_spherical", 2), ("envelope_exponent", 2), ("num_before_skip", 0),
                            ("num_after_skip", 0), ("num_output_layers", 0)):  # fmt: skip
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}; got {getattr(self, name)!r}")
        if not 0 < self.angle_cutoff <= self.cutoff:
            raise ConfigError(f"angle_cutoff must be in (0, cutoff = {self.cutoff}]; got {self.angle_cutoff!r}")


class DimeNetPlusPlus(AtomwiseModel):
    r"""The directional message passing of `DimeNet++ <https://arxiv.org/abs/2011.14115>`_, on molecules and crystals.

    A message runs along each bond, :math:`j \to i`, and is updated by those that arrive at its start from elsewhere,
    :math:`k \to j`, through a basis of :math:`r_{kj}` and the angle at :math:`j`. These are our angles of centre
    :math:`j`: between the bond to :math:`i` and any *other bond* to :math:`k`, be it to an image of :math:`i` or of
    :math:`j`. Embedding, interaction and output blocks are those of :class:`torch_geometric.nn.DimeNetPlusPlus`, whose
    weights fit by name, and whose energy this is for a molecule where both cutoffs are one. With a smaller one for
    angles, what an angle says fades as either of its bonds reaches it.

    Args:
        config: the defaults where it is not given
        settings: fields of the configuration by name; they replace those of ``config``
    """

    name = "dimenet++"
    config_type = DimeNetConfig
    known_z = frozenset(range(1, _MAX_Z + 1))
    is_exportable = False

    def _add_layers(self, config: DimeNetConfig) -> None:
        self.angle_cutoff: float = config.angle_cutoff
        width, num_radial, num_spherical = config.hidden_channels, config.num_radial, config.num_spherical
        act = nn.functional.silu
        power = config.envelope_exponent + 1
        self.rbf = BesselBasisLayer(num_radial, config.cutoff, config.envelope_exponent)
        self.sbf = SphericalBesselBasis(num_spherical, num_radial, config.angle_cutoff, power)
        self.angle_envelope = PolynomialEnvelope(power, config.angle_cutoff)
        self.emb = EmbeddingBlock(num_radial, width, act)
        self.output_blocks = nn.ModuleList(
            OutputPPBlock(
                num_radial,
                width,
                config.out_emb_channels,
                config.out_channels,
                config.num_output_layers,
                act,
                # PyG's default, zeros, has no forces to begin with.
                output_initializer="glorot_orthogonal",
            )
            for _ in range(config.num_blocks + 1)
        )
        self.interaction_blocks = nn.ModuleList(
            InteractionPPBlock(
                width,
                config.int_emb_size,
                config.basis_emb_size,
                num_spherical,
                num_radial,
                config.num_before_skip,
                config.num_after_skip,
                act,
            )
            for _ in range(config.num_blocks)
        )

    def atomic_values(self, graph: Data, vectors: Tensor) -> Tensor:
        source, target = graph.edge_index  # j, i
        kj, ji = message_pairs(graph)
        lengths = vectors.norm(dim=-1)
        radial = self.rbf(lengths)
        spherical = self._angular(vectors, lengths, kj, ji)
        x = self.emb(graph.z, radial, target, source)
        energy = self.output_blocks[0](x, radial, target, num_nodes=len(graph.z))
        for interaction, output in zip(self.interaction_blocks, self.output_blocks[1:], strict=True):
            x = interaction(x, radial, spherical, kj, ji)
            energy = energy + output(x, radial, target, num_nodes=len(graph.z))
        return energy

    def _angular(self, vectors: Tensor, lengths: Tensor, kj: Tensor, ji: Tensor) -> Tensor:
        """Basis functions of every angle, ``[A, L · R]``; as in DimeNet++, the angle of a straight line is 0."""
        directions = vectors / lengths.unsqueeze(-1)
        cosine = (directions[kj] * directions[ji]).sum(dim=-1)
        spherical = self.sbf(lengths, cosine, kj)
        if self.angle_cutoff < self.cutoff:
            spherical = spherical * self.angle_envelope(lengths)[ji].unsqueeze(-1)
        return spherical


def message_pairs(graph: Data) -> tuple[Tensor, Tensor]:
    """The messages ``k → j`` and ``j → i`` of every angle at ``j``, as columns of ``edge_index``, ``[A']`` each.

    The angle's first bond, from its centre ``j`` to ``i``, is the message ``j → i`` seen from its start; the second is
    the message ``k → j``. Where a graph lacks a bond's other direction, its angles are left out.
    """
    first, kj = graph.angle_index
    ji = reversed_bonds(graph)[first]
    if bool((ji < 0).any()):
        kj, ji = kj[ji >= 0], ji[ji >= 0]
    return kj, ji


def reversed_bonds(graph: Data) -> Tensor:
    """For every bond, the column of the same bond seen from its other end, ``[E]``; −1 where there is none."""
    neighbour, centre = graph.edge_index
    shift = graph.edge_shift.long()
    here = torch.cat([torch.stack([neighbour, centre], dim=1), shift], dim=1)
    there = torch.cat([torch.stack([centre, neighbour], dim=1), -shift], dim=1)
    bond, which = torch.unique(torch.cat([here, there]), dim=0, return_inverse=True)
    ours, theirs = which.chunk(2)
    column = torch.full((len(bond),), -1, device=which.device)
    column[ours] = torch.arange(len(ours), device=which.device)
    return column[theirs]
