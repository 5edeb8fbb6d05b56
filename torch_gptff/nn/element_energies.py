"""Reference energies of the elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torch_gptff.errors import ConfigError


class ElementEnergies(nn.Module):
    """The reference energy of each element, which a model's energy is counted from.

    Kept and summed in float64, whatever the dtype of the model: ten thousand atoms of some eV each would lose the meV
    in float32.

    Args:
        energies: eV; by atomic number, a mapping or a sequence with an unused entry 0. An element that is not given
            has the reference energy 0.
        size: highest atomic number + 1

    Raises:
        ConfigError: an energy is not finite, or an atomic number is out of range.
    """

    energies: Tensor

    def __init__(self, energies: Mapping[int, float] | Sequence[float] | Tensor | None = None, size: int = 119) -> None:
        super().__init__()
        table = torch.zeros(size, dtype=torch.float64)
        entries = energies.items() if isinstance(energies, Mapping) else enumerate([] if energies is None else energies)
        for number, energy in entries:
            if not 0 <= number < size:
                raise ConfigError(f"element energies: no atomic number {number} (highest: {size - 1})")
            table[number] = float(energy)
        if not bool(table.isfinite().all()):
            raise ConfigError(f"element energy of Z = {int((~table.isfinite()).nonzero()[0])} is not a finite number")
        self.register_buffer("energies", table)

    def forward(self, z: Tensor) -> Tensor:
        """Atomic numbers ``[N]`` to reference energies in eV, ``[N]``, float64."""
        return self.energies[z]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        exact = self.energies
        super()._apply(fn, recurse)
        self.energies = exact.to(self.energies.device)  # follows to another device, never to another dtype
        return self
