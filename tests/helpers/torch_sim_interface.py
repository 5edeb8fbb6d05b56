"""The part of TorchSim that a model touches, for a Python that TorchSim does not run on.

As ``torch_sim.models.interface`` of torch-sim-atomistic 0.6, whose Python is 3.12, has it.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

import pytest
import torch
from ase import Atoms


class ModelInterface(torch.nn.Module, ABC):
    _device: torch.device
    _dtype: torch.dtype
    _compute_stress: bool
    _compute_forces: bool

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @property
    def compute_stress(self) -> bool:
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        raise NotImplementedError

    @property
    def compute_forces(self) -> bool:
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        raise NotImplementedError

    @property
    def memory_scales_with(self) -> str:
        return getattr(self, "_memory_scales_with", "n_atoms_x_density")

    @abstractmethod
    def forward(self, state: Any, **kwargs: Any) -> dict[str, torch.Tensor]: ...


class State:
    """What a model reads of a ``SimState``. Cells are columns, as TorchSim has them."""

    def __init__(self, structures: list[Atoms], dtype: torch.dtype = torch.float64) -> None:
        self.positions = torch.cat([torch.tensor(atoms.positions, dtype=dtype) for atoms in structures])
        self.atomic_numbers = torch.cat([torch.tensor(atoms.numbers) for atoms in structures])
        self.cell = torch.stack([torch.tensor(atoms.cell.array, dtype=dtype).T for atoms in structures])
        self.pbc = torch.tensor(structures[0].pbc)
        sizes = torch.tensor([len(atoms) for atoms in structures])
        self.system_idx = torch.repeat_interleave(torch.arange(len(structures)), sizes)
        self.n_systems = len(structures)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``torch_sim.models.interface`` be this."""
    for name in ("torch_sim", "torch_sim.models", "torch_sim.models.interface"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["torch_sim.models.interface"], "ModelInterface", ModelInterface, raising=False)
