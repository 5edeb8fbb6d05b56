"""The repulsion of nuclei at short range."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from torch_gptff.errors import ConfigError
from torch_gptff.nn.envelope import polynomial_envelope

COULOMB = 14.399645478
"""The energy of two elementary charges at 1 Å, e²/4πε₀, in eV Å (CODATA 2018)."""

SCREENING_LENGTH = (9 * math.pi**2 / 128) ** (1 / 3) * 0.529177210903
"""Screening length of the universal potential, 0.8853 Bohr radii, Å."""

SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
"""Weights and exponents of the universal screening function; the weights add up to 1."""

# fmt: off
COVALENT_RADII = (
    0, 31, 28,
    128, 96, 84, 76, 71, 66, 57, 58,
    166, 141, 121, 111, 107, 105, 102, 106,
    203, 176, 170, 160, 153, 139, 139, 132, 126, 124, 132, 122, 122, 120, 119, 120, 120, 116,
    220, 195, 190, 175, 164, 154, 147, 146, 142, 139, 145, 144, 142, 139, 139, 138, 139, 140,
    244, 215, 207, 204, 203, 201, 199, 198, 198, 196, 194, 192, 192, 189, 190, 187, 187,
    175, 170, 162, 151, 144, 141, 136, 136, 132, 145, 146, 148, 140, 150, 150,
    260, 221, 215, 206, 200, 196, 190, 187, 180, 169,
)
# fmt: on
"""Covalent radii by atomic number, pm, hydrogen to curium: `Covalent radii revisited <https://doi.org/10.1039/b801115j>`_."""


class ZBLRepulsion(nn.Module):
    r"""The universal potential of Ziegler, Biersack and Littmark between screened nuclei, zero beyond
    the sum of covalent radii.

    .. math::
        V_{ij} = \frac{e^2}{4\pi\varepsilon_0} \frac{Z_i Z_j}{r}\, \varphi(r/a)\, u(r/c), \qquad
        \varphi(x) = \sum_k w_k e^{-b_k x}, \qquad a = \frac{0.8853\,a_0}{Z_i^{0.23} + Z_j^{0.23}}

    from *The Stopping and Range of Ions in Solids* (1985), ISBN 0-08-021603-X, chapter 2. The
    :class:`~torch_gptff.nn.PolynomialEnvelope` :math:`u` takes it to 0, with its first two derivatives, at the sum
    :math:`c` of both covalent radii or at the cutoff of bonds, whichever is less. It thus acts where atoms collide and
    data are rare, and leaves bonds of usual lengths to the network.

    It has no parameters, and computes in float64 whatever the dtype of the model.

    Args:
        cutoff: cutoff radius of the bonds, Å
        max_z: highest atomic number
        exponent: exponent of the envelope

    Raises:
        ConfigError: elements beyond curium have no covalent radius.
    """

    radii: Tensor

    def __init__(self, cutoff: float, max_z: int = len(COVALENT_RADII) - 1, exponent: int = 6) -> None:
        super().__init__()
        if max_z >= len(COVALENT_RADII):
            raise ConfigError(
                f"repulsion needs covalent radii, known up to Z = {len(COVALENT_RADII) - 1}; got max_z = {max_z}"
            )
        self.cutoff = cutoff
        self.exponent = exponent
        # Whole numbers, which stay as they are when the model goes to another dtype.
        self.register_buffer("radii", torch.tensor(COVALENT_RADII), persistent=False)

    def forward(self, z: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
        """The share of every atom in eV, ``[N]``, float64: half of each of its bonds, which the list holds twice.

        Args:
            z: atomic numbers, ``[N]``
            edge_index: neighbour and centre of every bond, ``[2, E]``
            vectors: bond vectors in Å, ``[E, 3]``
        """
        close, end = self._close(z, edge_index, vectors.detach().double().norm(dim=-1))
        neighbour, centre = edge_index.index_select(1, close)
        r = vectors.index_select(0, close).double().norm(dim=-1)
        energy = self.pair_energy(z[neighbour], z[centre], r, end)
        return energy.new_zeros(len(z)).index_add(0, centre, energy / 2)

    def with_gradient(self, z: Tensor, edge_index: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor] | None:
        """:meth:`forward` and the gradient of its sum by ``vectors`` in eV/Å, ``[E, 3]``, by formula, without autograd;
        ``None`` where no atoms are so close that they repel. The arguments are those of :meth:`forward`."""
        vectors = vectors.detach()
        lengths = vectors.double().norm(dim=-1)
        close, end = self._close(z, edge_index, lengths)
        if not len(close):
            return None
        neighbour, centre = edge_index.index_select(1, close)
        r = lengths.index_select(0, close)
        pairs = z[neighbour], z[centre], r, end
        slope = self.pair_slope(*pairs) / 2
        of_bonds = (slope / r).unsqueeze(-1) * vectors.index_select(0, close)
        energy = slope.new_zeros(len(z)).index_add(0, centre, self.pair_energy(*pairs) / 2)
        return energy, torch.zeros_like(vectors).index_copy(0, close, of_bonds.to(vectors.dtype))

    def _close(self, z: Tensor, edge_index: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Which bonds are so short, by their lengths in Å, that their atoms repel, and where that ends for each, Å."""
        ends = (self.radii[z][edge_index].sum(0).double() * 0.01).clamp(max=self.cutoff)
        close = (lengths < ends).nonzero().squeeze(-1)
        return close, ends.index_select(0, close)

    def pair_energy(self, z_i: Tensor, z_j: Tensor, r: Tensor, end: Tensor) -> Tensor:
        """``V_ij`` in eV of pairs at the distances ``r``, which ends at ``end``, both in Å; all of one shape."""
        z_i, z_j = z_i.double(), z_j.double()
        x = r * _per_angstrom(z_i, z_j)
        screening = sum(weight * torch.exp(-exponent * x) for weight, exponent in SCREENING)
        return COULOMB * z_i * z_j / r * screening * polynomial_envelope(r / end, self.exponent)

    def pair_slope(self, z_i: Tensor, z_j: Tensor, r: Tensor, end: Tensor) -> Tensor:
        """``∂V_ij/∂r`` in eV/Å; the arguments are those of :meth:`pair_energy`."""
        z_i, z_j = z_i.double(), z_j.double()
        per_angstrom, p, s = _per_angstrom(z_i, z_j), self.exponent, r / end
        terms = [(weight * torch.exp(-exponent * r * per_angstrom), exponent) for weight, exponent in SCREENING]
        screening = sum(term for term, _ in terms)
        its_slope = -per_angstrom * sum(exponent * term for term, exponent in terms)
        envelope = polynomial_envelope(s, p)
        envelope_slope = -p * (p + 1) * (p + 2) / 2 * s ** (p - 1) * (1 - s) ** 2 / end
        return COULOMB * z_i * z_j / r * ((its_slope - screening / r) * envelope + screening * envelope_slope)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(cutoff={self.cutoff}, exponent={self.exponent})"


def _per_angstrom(z_i: Tensor, z_j: Tensor) -> Tensor:
    """``1/a`` of pairs of atomic numbers in float64, 1/Å."""
    return (z_i**0.23 + z_j**0.23) / SCREENING_LENGTH
