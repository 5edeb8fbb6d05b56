"""Expected errors of energies, told from the features of atoms that the readout sees."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from torch_gptff.nn.readout import sum_by_structure

BEYOND = 4
"""Power of the distance with which an expected error grows beyond the distances that calibration saw."""

UNKNOWN = 1.25
"""An atom that is so many times as far away as nearly all atoms of the calibration is unlike any of them."""


@dataclass(frozen=True, eq=False)
class ExpectedErrors:
    r"""Expected errors of the energies of structures, fitted to the errors of frames held out of training.

    With the standardized features :math:`u_i` of atom :math:`i` and its distance from those of the calibration,
    :math:`d_i^2 = u_i^T P u_i / c`, the expected error of the energy of :math:`N` atoms is

    .. math:: \sigma = N \exp\Big(b + \frac 1 N \sum_i (w \cdot u_i + a \ln d_i^2)\Big) \max(1, d / d_{99})^4

    where :math:`d` is the largest :math:`d_i`, and :math:`d_{99}` what it is below for 99 % of the frames. The exponent
    is kept within its range on those frames, and as :math:`d` grows from :math:`d_{99}` to 1.25 times that, it becomes
    their largest: of an atom that is unlike all of them, nothing better is known. ``n`` cells of a crystal have ``n``
    times the expected error of one.

    Distances in the space of features are after Lee et al., `NeurIPS 2018 <https://arxiv.org/abs/1807.03888>`_.

    Args:
        mean: of the features of atoms, ``[c]``
        scale: their standard deviation, ``[c]``
        precision: the inverse of the covariance of standardized features, ``P``, ``[c, c]``
        weights: :math:`w`, :math:`a` and :math:`b`, eV per atom, ``[c + 2]``
        limits: least and largest exponent on the calibration frames, and :math:`d_{99}`, ``[3]``
    """

    mean: Tensor
    scale: Tensor
    precision: Tensor
    weights: Tensor
    limits: Tensor

    def __post_init__(self) -> None:
        c = len(self.mean)
        shapes = {"mean": (c,), "scale": (c,), "precision": (c, c), "weights": (c + 2,), "limits": (3,)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not bool(value.isfinite().all()):
                raise ValueError(f"{name} of expected errors must be {list(shape)} finite numbers; "
                                 f"got {list(value.shape)}")  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def to(self, device: torch.device) -> ExpectedErrors:
        """The same on another device."""
        if self.mean.device == device:
            return self
        return ExpectedErrors(**{name: value.to(device) for name, value in self.tensors().items()})

    def distances(self, features: Tensor) -> Tensor:
        """Distances ``d`` of atoms from those of the calibration, without unit, ``[N]``, float64."""
        u = self._standardized(features)
        return ((u @ self.precision.double()) * u).sum(-1).div(len(self.mean)).clamp_min(1e-12).sqrt()

    def __call__(self, features: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        """Expected errors in eV, ``[B]``, float64, of structures whose atoms have these features, ``[N, c]``."""
        distances = self.distances(features)
        weights = self.weights.double()
        of_atoms = self._standardized(features) @ weights[:-2] + weights[-2] * distances.square().log()
        sizes = sum_by_structure(torch.ones_like(of_atoms), batch, n_structures)
        exponents = weights[-1] + sum_by_structure(of_atoms, batch, n_structures) / sizes.clamp_min(1)
        least, largest, seen = self.limits.double()
        farthest = distances.new_zeros(n_structures).scatter_reduce(0, batch, distances, "amax") / seen
        exponents = exponents.clamp(least, largest).lerp(largest, ((farthest - 1) / (UNKNOWN - 1)).clamp(0, 1))
        return sizes * exponents.exp() * farthest.clamp_min(1).pow(BEYOND)

    def _standardized(self, features: Tensor) -> Tensor:
        return (features.double() - self.mean.double()) / self.scale.double()
