"""Energy, forces and stress of many structures that move, with one call of a model for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray
from torch import Tensor

from torch_gptff.errors import StructureError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.checks import check_elements
from torch_gptff.graph.convert import from_ase, to_ase
from torch_gptff.potential import Potential
from torch_gptff.workflows.network import REACH


class HeldResults(Calculator):
    """The calculator of one structure of a batch: it gives what was computed for it last.

    Args:
        reach: of bonds, Å, see :func:`~torch_gptff.workflows.network.reach_of`
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, reach: float = REACH) -> None:
        super().__init__()
        self.reach = reach

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        if name not in self.results:
            raise PropertyNotImplementedError(f"{name} was not computed")
        value = self.results[name]
        return value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class BatchResults:
    """Results for the structures of a batch.

    Attributes:
        energy: eV, ``[B]``, float64
        forces: eV/Å, ``[N, 3]``, float64
        stress: eV/Å³, ``[B, 3, 3]``, float64; NaN of a structure that has none
        energy_std: eV, ``[B]``; ``None`` where the model is no committee
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    energy_std: Tensor | None = None

    def of(self, place: int, atoms: slice) -> dict[str, Any]:
        """The results of one structure as ASE has them.

        Args:
            place: in the batch
            atoms: its own
        """
        results: dict[str, Any] = {
            "energy": self.energy[place].item(),
            "forces": self.forces[atoms].cpu().numpy(),
        }
        if not bool(self.stress[place].isnan().all()):
            results["stress"] = full_3x3_to_voigt_6_stress(self.stress[place].cpu().numpy())
        if self.energy_std is not None:
            results["energy_std"] = self.energy_std[place].item()
        return results


class RefusedError(Exception):
    """Some structures of a batch are refused.

    Attributes:
        errors: why, by their places
    """

    def __init__(self, errors: dict[int, StructureError]) -> None:
        super().__init__(f"{len(errors)} structures are refused")
        self.errors = errors


class TogetherByPotential:
    """A potential that computes a batch in one call, with a graph that is kept from step to step."""

    def __init__(self, potential: Potential) -> None:
        self.potential = self.source = potential
        self.device = next(potential.parameters()).device
        self._graph = potential.model.batch_keeper()

    def check(self, atoms: Atoms, number: int) -> None:
        """Refuse a structure with elements that the model does not know, and warn of those never seen together.

        Args:
            atoms: before they join
            number: their place in the list of structures

        Raises:
            StructureError: names the element.
        """
        data = from_ase(atoms)
        check_elements(data, self.potential.model.elements)
        self.potential.warn_of_unseen_pairs(data.z, f"structure {number} of the list")

    def keep(self, which: Sequence[int]) -> None:
        """Forget all structures but those at some places."""
        self._graph.keep(which)

    def compute(self, data: CrystalData, sizes: Tensor) -> BatchResults:
        """Energy, forces and stress.

        Args:
            data: the structures as one batch
            sizes: atoms of each

        Raises:
            RefusedError: of some of them no graph can be made.
        """
        try:
            graph = self._graph.update(data)
        except StructureError as error:
            raise RefusedError(self._refusals(data, sizes) or dict.fromkeys(range(len(sizes)), error)) from error
        found = self.potential.predict_graph(graph, energy_std=self.potential.model.num_readouts > 1)
        assert found.forces is not None
        assert found.stress is not None
        return BatchResults(found.energy.double(), found.forces.double(), found.stress, found.energy_std)

    def warn_of_doubt(self, results: BatchResults, place: int, z: NDArray[np.int64], number: int) -> None:
        """Warn of a structure unlike all that the model was calibrated on.

        Args:
            results: of the batch
            place: in the batch
            z: its atomic numbers
            number: its place in the list of structures
        """
        if results.energy_std is not None:
            self.potential.warn_of_doubt(
                results.energy_std[place].item(), torch.as_tensor(z), f"structure {number} of the list"
            )

    def _refusals(self, data: CrystalData, sizes: Tensor) -> dict[int, StructureError]:
        refusals: dict[int, StructureError] = {}
        model = self.potential.model
        for place, alone in enumerate(_one_by_one(data, sizes)):
            try:
                model.build_graph(alone)
            except StructureError as error:
                refusals[place] = error
        return refusals


class OneByOne:
    """Any ASE calculator, which is given the structures of a batch one after the other."""

    device = torch.device("cpu")

    def __init__(self, calculator: Any) -> None:
        self.source = calculator

    def check(self, atoms: Atoms, number: int) -> None:
        """The calculator speaks for itself, at the first call."""

    def keep(self, which: Sequence[int]) -> None:
        """Nothing is remembered of any structure."""

    def compute(self, data: CrystalData, sizes: Tensor) -> BatchResults:
        """As :meth:`TogetherByPotential.compute`."""
        errors: dict[int, StructureError] = {}
        energies, forces = [], []
        stress = torch.full((len(sizes), 3, 3), torch.nan, dtype=torch.float64)
        for place, alone in enumerate(map(to_ase, _one_by_one(data, sizes))):
            alone.calc = self.source
            try:
                energies.append(float(alone.get_potential_energy()))
                forces.append(torch.as_tensor(alone.get_forces(), dtype=torch.float64))
                if alone.cell.rank == 3:
                    with suppress(NotImplementedError):
                        stress[place] = torch.as_tensor(alone.get_stress(voigt=False), dtype=torch.float64)
            except StructureError as error:
                errors[place] = error
        if errors:
            raise RefusedError(errors)
        return BatchResults(torch.tensor(energies, dtype=torch.float64), torch.cat(forces), stress)

    def warn_of_doubt(self, results: BatchResults, place: int, z: NDArray[np.int64], number: int) -> None:
        """Another calculator states no uncertainty."""


def _one_by_one(data: CrystalData, sizes: Tensor) -> list[CrystalData]:
    counts = sizes.tolist()
    return [
        CrystalData(z=z, pos=pos, cell=cell.unsqueeze(0), pbc=pbc.unsqueeze(0))
        for z, pos, cell, pbc in zip(data.z.split(counts), data.pos.split(counts), data.cell, data.pbc, strict=True)
    ]
