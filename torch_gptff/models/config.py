"""The configuration of GPTFF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch_gptff.errors import ConfigError
from torch_gptff.settings import check_types, from_table

_CHOICES = {
    "angle_update": ("explicit", "harmonic"),
    "transformer": ("none", "global", "local"),
    "readout": ("atomwise", "pooled"),
}

_POSITIVE = (
    "channels", "num_layers", "num_radial", "cutoff", "max_z", "heads", "feedforward_channels", "num_readouts",
)  # fmt: skip


@dataclass(frozen=True)
class GPTFFConfig:
    """What makes one GPTFF differ from another. The defaults are the recommended model.

    It is what the paper describes and the published checkpoints miss: a readout that is a sum over atoms, and an
    envelope at both cutoffs. Its transformer attends within the cutoff: attention over the whole structure makes
    every atom's energy depend on every other atom, so that two crystals far apart feel each other, and the model can
    be neither cut into domains nor evaluated in memory that grows linearly.

    Attributes:
        channels: width ``d`` of atom and bond features
        num_layers: layers ``L``
        num_radial: radial functions of each of the two bases
        cutoff: of bonds, Å
        angle_cutoff: of the bonds that form angles, Å; at most ``cutoff``
        angle_update: ``"explicit"``, a message of every angle; ``"harmonic"``, their sum through spherical harmonics,
            at the cost of the bonds, so that ``angle_cutoff`` can be ``cutoff``
        degree: highest degree of the harmonics, at most 3
        max_z: highest atomic number
        envelope_exponent: of the :class:`~torch_gptff.nn.PolynomialEnvelope` at both cutoffs; ``None`` for none
        transformer: ``"none"``; ``"global"``, attention over the structure; ``"local"``, over the neighbours
        heads: of the attention
        feedforward_channels: hidden width of the transformer
        dropout: of the transformer, in training
        readout: ``"atomwise"`` or ``"pooled"``
        num_readouts: atomwise readouts, whose mean is the energy and whose spread is an uncertainty
        repulsion: add the :class:`~torch_gptff.nn.ZBLRepulsion` of nuclei at distances shorter than bonds
        embedding_max_norm: scale an element's embedding down to this L2 norm; ``None`` for no limit
    """

    channels: int = 64
    num_layers: int = 3
    num_radial: int = 16
    cutoff: float = 5.0
    angle_cutoff: float = 3.5
    angle_update: str = "explicit"
    degree: int = 3
    max_z: int = 94
    envelope_exponent: int | None = 6
    transformer: str = "local"
    heads: int = 2
    feedforward_channels: int = 256
    dropout: float = 0.0
    readout: str = "atomwise"
    embedding_max_norm: float | None = None
    repulsion: bool = False
    num_readouts: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)!r}")
        if not 0 < self.angle_cutoff <= self.cutoff:
            raise ConfigError(f"angle_cutoff must be in (0, cutoff = {self.cutoff}]; got {self.angle_cutoff!r}")
        if self.envelope_exponent is not None and self.envelope_exponent < 2:
            raise ConfigError(f"envelope_exponent must be at least 2; got {self.envelope_exponent!r}")
        if not 0 <= self.degree <= 3:
            raise ConfigError(f"degree must be 0 to 3; got {self.degree!r}")
        if self.channels % self.heads:
            raise ConfigError(f"heads must divide channels; got {self.heads} and {self.channels}")
        if self.readout != "atomwise" and self.num_readouts > 1:
            raise ConfigError(f"num_readouts needs the atomwise readout; got {self.num_readouts} and {self.readout}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1); got {self.dropout!r}")

    @classmethod
    def v1(cls) -> GPTFFConfig:
        """The published checkpoint ``gptff_v1``: no transformer, pooled readout, no envelope.

        Its first radial function is zero everywhere and its ``fc_core`` enters no equation; both are left out.
        """
        return cls(num_radial=15, envelope_exponent=None, transformer="none", readout="pooled", embedding_max_norm=1.0)

    @classmethod
    def v2(cls) -> GPTFFConfig:
        """The published checkpoint ``gptff_v2``: as :meth:`v1`, with a transformer over the whole structure."""
        return cls(
            num_radial=15,
            envelope_exponent=None,
            transformer="global",
            dropout=0.1,
            readout="pooled",
            embedding_max_norm=1.0,
        )

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> GPTFFConfig:
        """The configuration that :meth:`to_dict` wrote.

        Raises:
            ConfigError: a key is unknown, or a value of another type or out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(entries) - known)
        if unknown:
            raise ConfigError(f"unknown {'key' if len(unknown) == 1 else 'keys'} {', '.join(unknown)}; there are "
                              f"{', '.join(sorted(known))}")  # fmt: skip
        return from_table(cls, entries)

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, for JSON."""
        return asdict(self)
