"""GPTFF as an ASE calculator."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress

from torch_gptff.calculators.memory import keep_freed_memory
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.graph.checks import check_elements
from torch_gptff.graph.convert import from_ase
from torch_gptff.io import load_pretrained
from torch_gptff.notebook import facts_html
from torch_gptff.potential import Potential, Prediction


class GPTFFCalculator(Calculator):
    """An ASE calculator of a potential: energy, forces and stress for relaxation and molecular dynamics.

    Gives ``energy`` and ``free_energy`` in eV, ``forces`` in eV/Å, ``stress`` in eV/Å³ (Voigt order, positive =
    tensile) where the cell has a volume, and ``energies`` of the atoms in eV where the model has them. Periodic
    directions are those of ``atoms.pbc``. A model that is a committee also gives ``energy_std`` in eV, the uncertainty
    of ``energy``, and, where it is asked for with :meth:`get_property`, ``forces_std`` in eV/Å, that of each atom's
    force components, at the cost of a gradient for each member. A model with properties beside the energy gives them by
    their names, where they are asked for: ``magmoms``, as in :meth:`ase.Atoms.get_magnetic_moments`, or
    ``calc.get_property("band_gap", atoms)``.

    Bonds and angles are kept from step to step and give the same results as if they were not: see
    :class:`~torch_gptff.graph.VerletGraph`.

    Args:
        model: a :class:`~torch_gptff.Potential` (a copy is used), a path, or a name: see
            :func:`~torch_gptff.load_pretrained`
        device: device of the model; by default the GPU, where there is one
        dtype: floating-point precision of the model; by default that of its weights
        skin: distance beyond the cutoff within which neighbours are searched, Å, so that not every step searches
        backend: backend of the neighbour search, see :func:`~torch_gptff.graph.neighbor_list`
        reference: source whose reference energies are relative to, see :meth:`~torch_gptff.Potential.use_reference`
        **kwargs: for :class:`ase.calculators.calculator.Calculator`

    Raises:
        CheckpointError, DownloadError: the model cannot be loaded.
        UnknownReferenceError: the model has no such reference.
    """

    def __init__(
        self,
        model: Potential | str | Path = DEFAULT_MODEL,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        skin: float = 0.5,
        backend: str | None = None,
        reference: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        potential = deepcopy(model) if isinstance(model, Potential) else load_pretrained(model)
        if reference is not None:
            potential.use_reference(reference)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.potential = potential.to(self.device, dtype or potential.model.dtype).eval().requires_grad_(False)
        self.graph = potential.model.graph_keeper(skin, backend)
        self.implemented_properties = ["energy", "free_energy", "forces", "stress"]
        if potential.model.is_atomwise:
            self.implemented_properties.append("energies")
        if self.device.type == "cpu":
            keep_freed_memory()
        self._properties = dict(potential.model.property_kinds)
        self.implemented_properties += list(self._properties)
        self._is_committee = potential.model.num_readouts > 1
        if self._is_committee:
            self.implemented_properties += ["energy_std", "forces_std"]

    def _repr_html_(self) -> str:
        """The model, and what was computed last, in a notebook."""
        model = self.potential.model
        facts = {
            "model": type(model).__name__,
            "cutoff": f"{model.cutoff:g} Å",
            "elements": "all" if model.elements is None else str(len(model.elements)),
            "device": str(self.device),
            "precision": str(model.dtype).removeprefix("torch."),
            "reference of energies": str(self.potential.reference or "–"),
        }
        if "energy" in self.results:
            facts["energy"] = f"{float(self.results['energy']):.6f} eV"
        return facts_html(type(self).__name__, facts)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | tuple[str, ...] = ("energy",),
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``self.results`` for ``atoms``.

        Raises:
            StructureError: see :mod:`torch_gptff.graph.checks`.
            PropertyNotImplementedError: the stress of atoms whose cell has no volume was asked for.
        """
        super().calculate(atoms, properties, system_changes)
        has_volume = self.atoms.cell.volume > 0
        if "stress" in properties and not has_volume:
            raise PropertyNotImplementedError("stress is force per area: give the atoms a cell with a volume")
        data = from_ase(self.atoms).to(self.device)
        check_elements(data, self.potential.model.elements)
        if "numbers" in system_changes:  # also after reset()
            self.graph.forget()
            self.potential.warn_of_unseen_pairs(data.z)
        prediction = self.potential.evaluate(
            self.graph.update(data),
            stress=has_volume,
            energies=self.potential.model.is_atomwise,
            energy_std=self._is_committee,
            forces_std="forces_std" in properties,
            properties=any(name in self._properties for name in properties),
        ).to("cpu")
        if prediction.energy_std is not None and "numbers" in system_changes:
            self.potential.warn_of_doubt(prediction.energy_std.item(), data.z)
        self.results = _results(prediction)

    def export_properties(self) -> Properties:
        """The results that ASE has a name for: all but the uncertainties, which are in ``results``."""
        return Properties({name: value for name, value in self.results.items() if name in all_outputs})


def _results(prediction: Prediction) -> dict[str, Any]:
    energy = prediction.energy.item()
    results: dict[str, Any] = {"energy": energy, "free_energy": energy}
    if prediction.forces is not None:
        results["forces"] = prediction.forces.double().numpy()
    if prediction.energies is not None:
        results["energies"] = prediction.energies.numpy()
    if prediction.energy_std is not None:
        results["energy_std"] = prediction.energy_std.item()
    if prediction.forces_std is not None:
        results["forces_std"] = prediction.forces_std.numpy()
    results |= {name: value.numpy() for name, value in prediction.atom_properties.items()}
    for name, value in prediction.properties.items():
        results[name] = value[0].item() if value[0].dim() == 0 else value[0].numpy()
    if prediction.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress[0].numpy())
    return results


def potential_of(calculator: Any) -> Potential | None:
    """The potential that gives the forces of a calculator of this package; ``None`` of any other."""
    if isinstance(calculator, GPTFFCalculator):
        return calculator.potential
    return calculator if isinstance(calculator, Potential) else None
