"""The configuration of GPTFF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch_gptff.errors import ConfigError
from torch_gptff.models.model_config import ModelConfig
from torch_gptff.models.properties import check_properties

_CHOICES = {
    "angle_update": ("none", "explicit", "harmonic"),
    "transformer": ("none", "global", "local", "geometric"),
}

_POSITIVE = (
    "channels", "num_layers", "num_radial", "cutoff", "max_z", "heads", "feedforward_channels", "num_readouts",
)  # fmt: skip

_GEOMETRIC = {"cutoff": 6.0, "angle_update": "none", "degree": 2, "heads": 4, "feedforward_channels": 128}
_PAPER = {"cutoff": 5.0, "angle_update": "explicit", "degree": 3, "heads": 2, "feedforward_channels": 256}


@dataclass(frozen=True)
class GPTFFConfig(ModelConfig):
    """Configuration of a GPTFF. The defaults are the recommended model.

    Its attention carries geometry: besides invariants, atoms have features that turn with the crystal, and what a bond
    brings is elementwise, see :class:`~torch_gptff.nn.GeometricTransformer`. The layers of the paper instead compute
    dense messages of bonds and angles; :meth:`paper` has them with what the published checkpoints (:meth:`v1`,
    :meth:`v2`) miss: a readout that is a sum over atoms, an envelope at both cutoffs, and attention within the cutoff.
    Attention over the whole structure makes every atom's energy depend on every other atom, so that two crystals far
    apart feel each other, and the model can be neither cut into domains nor evaluated in memory that grows linearly.

    Five fields have a default that follows the transformer: 6 Å, no angles, degree 2, 4 heads and 128 channels with
    geometric attention; 5 Å, explicit angles, degree 3, 2 heads and 256 channels with any other, as in :meth:`paper`.

    Attributes:
        channels: width ``d`` of atom and bond features
        num_layers: number of layers ``L``
        num_radial: number of radial functions of each basis
        cutoff: cutoff radius of the bonds, Å
        angle_cutoff: cutoff radius of the bonds that form angles, Å; at most ``cutoff``; not used without angles
        angle_update: ``"none"``, with geometric attention only; ``"explicit"``, a message of every angle;
            ``"harmonic"``, their sum through spherical harmonics, at the cost of the bonds, so that ``angle_cutoff``
            can be ``cutoff``
        degree: highest degree of the harmonics, at most 3
        max_z: highest atomic number
        envelope_exponent: exponent of the :class:`~torch_gptff.nn.PolynomialEnvelope` at every cutoff; ``None`` for
            none
        transformer: ``"geometric"``, attention over the neighbours that carries geometry; ``"local"``, attention over
            the neighbours; ``"global"``, over the structure; ``"none"``
        heads: number of attention heads
        feedforward_channels: hidden width of the transformer
        dropout: dropout probability of the transformer in training
        readout: ``"atomwise"``, the sum of what a network gives for every atom, which PyG calls ``"add"``; ``"mean"``,
            the mean of it; or ``"pooled"``, a network of the sum of all atoms' features
        num_readouts: atomwise readouts, whose mean is the energy and whose spread is an uncertainty
        repulsion: add the :class:`~torch_gptff.nn.ZBLRepulsion` of nuclei at distances shorter than bonds
        embedding_max_norm: scale an element's embedding down to this L2 norm; ``None`` for no limit
        properties: properties that are predicted beside the energy, and the kind of each, see
            :data:`torch_gptff.models.properties.KINDS`: ``{"magmoms": "atom", "band_gap": "mean"}``
        out_channels: numbers that are predicted for a structure; an energy is one
        dipole: give the magnitude of the dipole moment of a molecule, about its centre of mass
        mean: added to the number of every atom, eV
        std: factor of the number of every atom
        atomref: number of a single atom, eV, by atomic number from 0 on, that is added to the number of every atom
    """

    channels: int = 64
    num_layers: int = 3
    num_radial: int = 16
    cutoff: float = None  # type: ignore[assignment]
    angle_cutoff: float = 3.5
    angle_update: str = None  # type: ignore[assignment]
    degree: int = None  # type: ignore[assignment]
    max_z: int = 94
    envelope_exponent: int | None = 6
    transformer: str = "geometric"
    heads: int = None  # type: ignore[assignment]
    feedforward_channels: int = None  # type: ignore[assignment]
    dropout: float = 0.0
    readout: str = "atomwise"
    embedding_max_norm: float | None = None
    repulsion: bool = False
    num_readouts: int = 1
    properties: Mapping[str, str] = field(default_factory=dict)

    readouts: ClassVar[Mapping[str, str]] = {
        "atomwise": "atomwise", "mean": "mean", "pooled": "pooled", "add": "atomwise", "sum": "atomwise"
    }  # fmt: skip

    def __post_init__(self) -> None:
        for name, value in (_GEOMETRIC if self.transformer == "geometric" else _PAPER).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        self._check_fields(*_POSITIVE)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        if self.angle_update != "none" and not 0 < self.angle_cutoff <= self.cutoff:
            raise ConfigError(f"angle_cutoff must be in (0, cutoff = {self.cutoff}]; got {self.angle_cutoff!r}")
        if self.envelope_exponent is not None and self.envelope_exponent < 2:
            raise ConfigError(f"envelope_exponent must be at least 2; got {self.envelope_exponent!r}")
        if self.transformer == "geometric":
            self._check_geometric()
        elif self.angle_update == "none":
            raise ConfigError(
                f'transformer="{self.transformer}" needs angles: angle_update must be "explicit" or "harmonic"; '
                'got "none", which is for transformer="geometric"'
            )
        if not 0 <= self.degree <= 3:
            raise ConfigError(f"degree must be 0 to 3; got {self.degree!r}")
        if self.channels % self.heads:
            raise ConfigError(f"heads must divide channels; got {self.heads} and {self.channels}")
        if self.readout != "atomwise" and self.num_readouts > 1:
            raise ConfigError(f"num_readouts needs the atomwise readout; got {self.num_readouts} and {self.readout}")
        if self.num_readouts > 1 and (self.out_channels > 1 or self.dipole):
            raise ConfigError("a committee predicts an energy: num_readouts > 1 needs out_channels=1 and dipole=False")
        if self.repulsion and (self.out_channels > 1 or self.dipole):
            raise ConfigError("repulsion is an energy: repulsion=True needs out_channels=1 and dipole=False")
        check_properties(self.properties, self.transformer == "geometric", self.degree)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1); got {self.dropout!r}")

    def _check_geometric(self) -> None:
        if self.angle_update != "none":
            raise ConfigError(
                'transformer="geometric" knows angles by itself: angle_update must be "none"; '
                f"got {self.angle_update!r}"
            )
        if not 1 <= self.degree <= 3:
            raise ConfigError(f'degree must be 1 to 3 with transformer="geometric"; got {self.degree!r}')
        if self.envelope_exponent is None:
            raise ConfigError('transformer="geometric" needs an envelope: envelope_exponent must be a number')
        if self.dropout:
            raise ConfigError(f'transformer="geometric" has no dropout; got {self.dropout!r}')

    @classmethod
    def v1(cls) -> GPTFFConfig:
        """The published checkpoint ``gptff_v1``: no transformer, pooled readout, no envelope.

        Its first radial function is zero everywhere and its ``fc_core`` enters no equation; both are left out.
        """
        published = cls.paper(num_radial=15, envelope_exponent=None, transformer="none", readout="pooled")
        return replace(published, embedding_max_norm=1.0)

    @classmethod
    def v2(cls) -> GPTFFConfig:
        """The published checkpoint ``gptff_v2``: as :meth:`v1`, with a transformer over the whole structure."""
        return replace(cls.v1(), transformer="global", dropout=0.1)

    @classmethod
    def paper(cls, **changes: Any) -> GPTFFConfig:
        """The layers of the paper, with an atomwise readout, envelopes, and attention within the cutoff.

        Args:
            changes: other fields
        """
        return cls(**({"transformer": "local"} | changes))

    @classmethod
    def large(cls, **changes: Any) -> GPTFFConfig:
        """The recommended model with twice the width: slower, and better where training is long.

        Args:
            changes: other fields
        """
        return cls(**({"channels": 128, "feedforward_channels": 256} | changes))

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, for JSON: all but ``properties`` and those of the output that are at their defaults."""
        return {name: value for name, value in super().to_dict().items() if name != "properties" or value}
