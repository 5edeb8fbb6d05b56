"""GPTFF as a model of TorchSim, which relaxes and moves many systems at once.

Needs the package ``torch-sim-atomistic`` and Python 3.12: ``pip install 'torch-gptff[torchsim]'``.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import StructureError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.geometry import volumes
from torch_gptff.io import load_pretrained
from torch_gptff.potential import Potential


class GPTFFModel(ModelInterface):
    """A potential that computes all systems of a state of TorchSim together.

    Gives ``energy`` in eV, ``[S]``, ``forces`` in eV/Å, ``[N, 3]``, and ``stress`` in eV/Å³, ``[S, 3, 3]``, positive =
    tensile. The stress of a system that is periodic in no direction, or whose cell has no volume, is zero: it is no
    reason for a cell to change.

    Args:
        model: a :class:`~torch_gptff.Potential` (a copy is used), a path, or a name: see
            :func:`~torch_gptff.load_pretrained`
        device: device of the model; by default the GPU, where there is one
        dtype: floating-point precision of states and results
        model_dtype: floating-point precision of the model; by default that of its weights
        compute_forces: whether to give forces
        compute_stress: whether to give stress
        reference: source whose reference energies are relative to, see :meth:`~torch_gptff.Potential.use_reference`

    Raises:
        CheckpointError, DownloadError: the model cannot be loaded.
        UnknownReferenceError: the model has no such reference.
    """

    def __init__(
        self,
        model: Potential | str | Path = DEFAULT_MODEL,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float64,
        model_dtype: torch.dtype | None = None,
        compute_forces: bool = True,
        compute_stress: bool = True,
        reference: str | None = None,
    ) -> None:
        super().__init__()
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._dtype = dtype
        self._compute_forces, self._compute_stress = compute_forces, compute_stress
        self._memory_scales_with = "n_atoms_x_density"
        potential = deepcopy(model) if isinstance(model, Potential) else load_pretrained(model)
        if reference is not None:
            potential.use_reference(reference)
        self.potential = potential.to(self._device, model_dtype or potential.model.dtype).eval().requires_grad_(False)

    @ModelInterface.compute_forces.setter
    def compute_forces(self, wanted: bool) -> None:
        """Whether the model computes forces."""
        self._compute_forces = wanted

    @ModelInterface.compute_stress.setter
    def compute_stress(self, wanted: bool) -> None:
        """Whether the model computes stresses."""
        self._compute_stress = wanted

    def forward(self, state: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Energies, forces and stresses of a ``SimState``.

        Raises:
            StructureError: see :mod:`torch_gptff.graph.checks`; names the system.
        """
        data = self._crystals(state)
        try:
            graph = self._graph(data)
        except StructureError:
            self._refuse(data)
            raise
        found = self.potential.evaluate(graph, forces=self._compute_forces, stress=self._compute_stress)
        results = {"energy": found.energy.to(self._dtype).detach()}
        if found.forces is not None:
            results["forces"] = found.forces.to(self._dtype).detach()
        if found.stress is not None:
            has_none = ~data.pbc.any(dim=1) | (volumes(data.cell) == 0)
            results["stress"] = found.stress.to(self._dtype).detach().masked_fill(has_none.view(-1, 1, 1), 0)
        return results

    @staticmethod
    def _crystals(state: Any) -> CrystalData:
        pbc = torch.as_tensor(state.pbc, device=state.positions.device).expand(state.n_systems, 3)
        cell = state.cell.mT.double()  # TorchSim's vectors are columns
        numbers = state.atomic_numbers.long()
        return CrystalData.from_tensors(numbers, state.positions.double(), state.system_idx, cell, pbc)

    def _graph(self, data: CrystalData) -> Any:
        graph = self.potential.model.build_graph(data)
        self.potential.element_energies(graph.z)  # some references lack some elements
        return graph

    def _refuse(self, data: CrystalData) -> None:
        """Raise the error of the first system that cannot be computed, with its number."""
        for system in range(len(data.cell)):
            mine = data.batch == system
            cell, pbc = data.cell[system : system + 1], data.pbc[system : system + 1]
            try:
                self._graph(CrystalData.from_tensors(data.z[mine], data.pos[mine], None, cell, pbc))
            except StructureError as error:
                raise type(error)(f"system {system}: {error}") from error
