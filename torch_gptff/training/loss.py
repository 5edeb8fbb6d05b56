"""The loss: errors of energy per atom, forces and stress, where they are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.graph import structure_index
from torch_gptff.potential import Prediction
from torch_gptff.training.config import LossSettings
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3


@dataclass(frozen=True)
class Errors:
    """Predicted minus known, of what is known.

    Attributes:
        energy: per atom in eV, ``[B']``
        forces: eV/Å, ``[N', 3]``
        stress: eV/Å³, ``[B'', 3, 3]``
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor


def errors(prediction: Prediction, data: Data) -> Errors:
    """The errors of a prediction; a label that is NaN is not known, and what was not predicted has no error."""
    batch, n_structures = structure_index(data)
    n_atoms = torch.bincount(batch, minlength=n_structures)
    energy = (prediction.energy - data.energy.to(prediction.energy.dtype)) / n_atoms
    none = energy.new_zeros(0)
    forces = none if prediction.forces is None else prediction.forces - data.forces.to(prediction.forces.dtype)
    stress = none if prediction.stress is None else prediction.stress - data.stress.to(prediction.stress.dtype)
    return Errors(_known(energy, data.energy), _known(forces, data.forces), _known(stress, data.stress))


def loss(error: Errors, settings: LossSettings) -> Tensor:
    """The weighted sum of the mean losses of what is known, see :class:`LossSettings`."""
    forces = error.forces.norm(dim=-1) if settings.force_norm and len(error.forces) else error.forces
    terms = (
        (settings.energy, error.energy),
        (settings.forces, forces),
        (settings.stress, error.stress * GPA_PER_EV_PER_ANGSTROM3),
    )
    total = error.energy.new_zeros(())
    for weight, values in terms:
        if weight > 0 and values.numel() > 0:
            total = total + weight * _mean(values, settings).to(total.dtype)
    return total


def _mean(values: Tensor, settings: LossSettings) -> Tensor:
    zero = torch.zeros_like(values)
    if settings.function == "huber":
        return F.huber_loss(values, zero, delta=settings.delta)
    return F.l1_loss(values, zero) if settings.function == "l1" else F.mse_loss(values, zero)


def _known(values: Tensor, label: Tensor) -> Tensor:
    if len(values) == 0:
        return values
    unknown = label.isnan()
    return values[~(unknown.flatten(1).any(dim=1) if unknown.dim() > 1 else unknown)]
