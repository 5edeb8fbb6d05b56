"""Properties beside the energy: of atoms and of structures, numbers, vectors and tensors, from features of atoms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn.inits import reset

from torch_gptff.errors import ConfigError
from torch_gptff.nn.readout import Readout, sum_by_structure

KINDS: Mapping[str, tuple[int, ...]] = {"atom": (), "sum": (), "mean": (), "vector": (3,), "tensor": (3, 3)}
"""The kinds of properties, and the shape of one value of each.

``"atom"``: a number of every atom, such as a magnetic moment or a charge; ``"sum"``: a number of the structure that
grows with it; ``"mean"``: one that does not, such as a band gap; ``"vector"`` and ``"tensor"``: sums over atoms that
turn with the structure, such as a dipole moment, and a symmetric polarisability.
"""

DEGREES = {"vector": 1, "tensor": 2}
"""Degree of the features that a kind of property is computed from."""

TAKEN = frozenset(
    ("z", "pos", "cell", "pbc", "energy", "forces", "stress", "energies", "energy_std", "forces_std", "free_energy",
     "batch", "ptr", "edge_index", "edge_shift", "angle_index", "source", "material", "frame_id", "split", "weight",
     "source_number")
)  # fmt: skip
"""Names that a record has for something else."""


def check_properties(properties: Mapping[str, str], is_geometric: bool, degree: int) -> None:
    """Refuse names and kinds of properties that a GPTFF cannot have.

    Raises:
        ConfigError: names the property, and what it must be.
    """
    for name, kind in properties.items():
        if not name.isidentifier() or name in TAKEN:
            raise ConfigError(f"a property cannot be called {name!r}: take a name of letters that is not in use")
        if kind not in KINDS:
            raise ConfigError(f"properties.{name} must be one of {', '.join(KINDS)}; got {kind!r}")
        if kind in DEGREES and not (is_geometric and degree >= DEGREES[kind]):
            raise ConfigError(
                f"properties.{name}: a {kind} is made of features that turn with the structure, which needs "
                f'transformer="geometric" and a degree of {DEGREES[kind]} or more'
            )


def turns(properties: Mapping[str, str]) -> bool:
    """Whether any of the properties is made of features that turn with the structure."""
    return any(kind in DEGREES for kind in properties.values())


class PropertyHead(nn.Module):
    """Map from features of atoms to one property.

    Args:
        kind: one of :data:`KINDS`
        channels: width ``c`` of the features

    Shapes:
        - x ``[N, c]``; features of degree 1 to ``L``, ``[N, 2 l + 1, c]`` each, of account for vectors and tensors
        - returns ``[N]`` for ``"atom"``, ``[B]`` for ``"sum"`` and ``"mean"``, ``[B, 3]`` for ``"vector"`` and
          ``[B, 3, 3]`` for ``"tensor"``; float64
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.network = Readout(channels) if kind != "vector" else None
        self.gate = nn.Linear(channels, channels) if kind in DEGREES else None
        self.lin = nn.Linear(channels, 1, bias=False) if kind in DEGREES else None

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def forward(self, x: Tensor, features: Sequence[Tensor], batch: Tensor, n_structures: int) -> Tensor:
        if self.kind == "vector":
            return sum_by_structure(self._turning(x, features[0]), batch, n_structures)
        assert self.network is not None
        numbers = self.network.mlp(x).double()
        if self.kind == "atom":
            return numbers
        total = sum_by_structure(numbers, batch, n_structures)
        if self.kind == "mean":
            return total / batch.bincount(minlength=n_structures)
        if self.kind == "sum":
            return total
        components = sum_by_structure(self._turning(x, features[1]), batch, n_structures)
        matrices = traceless().to(components)
        identity = torch.eye(3, dtype=components.dtype, device=components.device)
        return torch.einsum("bm,mij->bij", components, matrices) + total[:, None, None] * identity

    def _turning(self, x: Tensor, features: Tensor) -> Tensor:
        """Components of every atom, ``[N, 2 l + 1]``."""
        assert self.gate is not None
        assert self.lin is not None
        return self.lin(self.gate(x).unsqueeze(1) * features).squeeze(-1)


def traceless() -> Tensor:
    """The symmetric matrices ``B_m`` of the harmonics of degree 2, ``Y_m(r) = r · B_m r``, ``[5, 3, 3]``, float64; see
    :func:`torch_gptff.ops.harmonics.closed_forms`."""
    half = math.sqrt(3) / 2
    matrices = torch.zeros(5, 3, 3, dtype=torch.float64)
    for m, (i, j) in ((0, (0, 1)), (1, (1, 2)), (3, (2, 0))):
        matrices[m, i, j] = matrices[m, j, i] = half
    matrices[2] = torch.diag(torch.tensor([-0.5, -0.5, 1.0], dtype=torch.float64))
    matrices[4] = torch.diag(torch.tensor([half, -half, 0.0], dtype=torch.float64))
    return matrices
