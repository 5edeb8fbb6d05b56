"""The loss: errors of energy per atom, forces and stress, where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """Errors, predicted minus known, of all known labels, and the weights of their frames.

    Attributes:
        energy: per atom in eV, ``[B']``
        forces: eV/Å, ``[N', 3]``
        stress: eV/Å³, ``[B'', 3, 3]``
        energy_weight: ``[B']``
        forces_weight: ``[N']``
        stress_weight: ``[B'']``
        properties: errors of every property by name, ``[K, …]``, and the weights ``[K]``
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    energy_weight: Tensor
    forces_weight: Tensor
    stress_weight: Tensor
    properties: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


def errors(prediction: Prediction, data: Data) -> Errors:
    """The errors of a prediction; a label that is NaN is not known, and what was not predicted has no error.

    Frames weigh what their ``weight [B]`` says, and 1 where there is none.
    """
    batch, n_structures = structure_index(data)
    n_atoms = torch.bincount(batch, minlength=n_structures)
    weight = prediction.energy.new_ones(n_structures) if data.get("weight") is None else data.weight
    energy, energy_weight = _known(prediction.energy, data.energy, weight)
    forces, forces_weight = _known(prediction.forces, data.forces, weight[batch])
    stress, stress_weight = _known(prediction.stress, data.stress, weight)
    atoms_of_known = n_atoms[~data.energy.isnan()]
    properties = {name: _known(value, data[name], weight) for name, value in prediction.properties.items()}
    of_atoms = {name: _known(value, data[name], weight[batch]) for name, value in prediction.atom_properties.items()}
    weights = energy_weight, forces_weight, stress_weight
    return Errors(energy / atoms_of_known, forces, stress, *weights, {**properties, **of_atoms})


def loss(error: Errors, settings: LossSettings) -> Tensor:
    """The weighted sum of the mean losses of what is known, see :class:`LossSettings`."""
    forces = error.forces.norm(dim=-1) if settings.force_norm and len(error.forces) else error.forces
    terms = (
        (settings.energy, error.energy, error.energy_weight),
        (settings.forces, forces, error.forces_weight),
        (settings.stress, error.stress * GPA_PER_EV_PER_ANGSTROM3, error.stress_weight),
        *((settings.properties.get(name, 0.0), *each) for name, each in error.properties.items()),
    )
    total = error.energy.new_zeros(())
    for factor, values, weight in terms:
        if factor > 0 and values.numel() > 0:
            of_each = _pointwise(values, settings).to(total.dtype)
            weight = weight.to(total.dtype).reshape(-1, *[1] * (values.dim() - 1))
            total = total + factor * (weight * of_each).mean()
    return total


def _pointwise(values: Tensor, settings: LossSettings) -> Tensor:
    zero = torch.zeros_like(values)
    if settings.function == "huber":
        return F.huber_loss(values, zero, reduction="none", delta=settings.delta)
    return values.abs() if settings.function == "l1" else values.square()


def _known(predicted: Tensor | None, label: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted minus known, and the weights, where the label is known."""
    if predicted is None:
        return label.new_zeros(0), weight.new_zeros(0)
    known = ~label.isnan().flatten(1).any(dim=1) if label.dim() > 1 else ~label.isnan()
    return predicted[known] - label[known].to(predicted.dtype), weight[known]
