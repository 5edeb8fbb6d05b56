"""Energy, forces, stress and uncertainties of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from torch_gptff.nn import ExpectedErrors
from torch_gptff.notebook import facts_html
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

MOST_ROWS = 20
"""Largest number of structures that a notebook shows one by one."""


@dataclass(frozen=True)
class Prediction:
    """Predictions for ``B`` structures of ``N`` atoms together. Fields that were not requested are ``None``.

    Attributes:
        energy: eV, ``[B]``, float64
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, positive = tensile, ``[B, 3, 3]``, float64; NaN where a structure has no volume
        energies: the atoms' shares of ``energy`` in eV, ``[N]``, float64; ``None`` for a model without such shares
        energy_std: expected error (one standard deviation) of ``energy`` in eV, ``[B]``, float64
        forces_std: expected error of each component of an atom's force in eV/Å, ``[N]``, float64
        properties: properties of structures, by name, ``[B, …]``, float64, in the units of the data that the model was
            trained on
        atom_properties: properties of atoms, by name, ``[N, …]``, float64, in the units of the data
    """

    energy: Tensor
    forces: Tensor | None = None
    stress: Tensor | None = None
    energies: Tensor | None = None
    energy_std: Tensor | None = None
    forces_std: Tensor | None = None
    properties: Mapping[str, Tensor] = field(default_factory=dict)
    atom_properties: Mapping[str, Tensor] = field(default_factory=dict)

    def split(self, n_atoms: Sequence[int]) -> list[Prediction]:
        """One prediction (``B = 1``) for each structure, given their numbers of atoms."""
        one_each, by_atom = [1] * len(n_atoms), list(n_atoms)
        columns: list[Sequence[Any]] = []
        for each in fields(self):
            values = getattr(self, each.name)
            sizes = by_atom if each.name in ("forces", "energies", "forces_std", "atom_properties") else one_each
            if isinstance(values, Mapping):
                parts = {name: value.split(sizes) for name, value in values.items()}
                columns.append([{name: part[n] for name, part in parts.items()} for n in range(len(sizes))])
            else:
                columns.append([None] * len(sizes) if values is None else values.split(sizes))
        return [Prediction(*row) for row in zip(*columns, strict=True)]

    def to(self, device: torch.device | str) -> Prediction:
        """A copy on another device, detached from the autograd graph."""

        def moved(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: moved(each) for name, each in value.items()}
            return None if value is None else value.detach().to(device)

        return Prediction(*(moved(getattr(self, each.name)) for each in fields(self)))

    def _repr_html_(self) -> str:
        """Energies, and the largest forces and stresses, in a notebook."""
        if self.energy.dim() == 0 or len(self.energy) > MOST_ROWS:
            return facts_html("Prediction", {"structures": str(self.energy.numel())})
        facts = {}
        for k, energy in enumerate(self.energy.detach().tolist()):
            spread = "" if self.energy_std is None else f" ± {float(self.energy_std[k]):.4f}"
            facts["energy" if len(self.energy) == 1 else f"energy of structure {k}"] = f"{energy:.6f}{spread} eV"
        if self.forces is not None and len(self.forces):
            facts["atoms"] = str(len(self.forces))
            facts["largest force"] = f"{float(self.forces.detach().norm(dim=1).max()):.4f} eV/Å"
        if self.stress is not None and self.stress.numel():
            facts["largest stress"] = f"{float(self.stress.detach().abs().max()) * GPA_PER_EV_PER_ANGSTROM3:.3f} GPa"
        facts |= {name: f"{list(value.shape)}" for name, value in {**self.properties, **self.atom_properties}.items()}
        return facts_html("Prediction", facts)


@dataclass(frozen=True)
class Calibration:
    """Uncertainties of a committee as they were measured on data held out.

    Attributes:
        energy: ratio of errors of energies to the standard deviations of the members, or to ``errors``
        forces: ratio of errors of force components to the standard deviations of the members
        seen: calibrated uncertainty of the energy, eV/atom, that few of the frames exceeded; ``None`` where it
            was not kept
        errors: expected errors of energies by the features of atoms; ``None`` where the spread of the members is the
            uncertainty
    """

    energy: float = 1.0
    forces: float = 1.0
    seen: float | None = None
    errors: ExpectedErrors | None = None

    @property
    def numbers(self) -> dict[str, float | None]:
        """All but ``errors``, by name."""
        return {"energy": self.energy, "forces": self.forces, "seen": self.seen}

    def __post_init__(self) -> None:
        for value in self.numbers.values():
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"a calibration factor must be positive and finite; got {value!r}")
