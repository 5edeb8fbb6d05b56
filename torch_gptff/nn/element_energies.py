"""Reference energies of the elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torch_gptff.errors import ConfigError, UnsupportedElementError
from torch_gptff.graph.checks import element_ranges


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


class ReferenceEnergies(ElementEnergies):
    """The element energies of a named source. Elements without an energy are an error.

    Args:
        name: name of the source
        energies: eV, by atomic number
        size: highest atomic number + 1

    Raises:
        ConfigError: see :class:`ElementEnergies`.
    """

    known: Tensor

    def __init__(self, name: str, energies: Mapping[int, float], size: int = 119) -> None:
        super().__init__(energies, size)
        self.name = name
        known = torch.zeros(size, dtype=torch.bool)
        known[list(energies)] = True
        self.register_buffer("known", known, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """As :meth:`ElementEnergies.forward`.

        Raises:
            UnsupportedElementError: names the elements that have no energy.
        """
        known = self.known[z]
        if not bool(known.all()):
            lacking = element_ranges(frozenset(z[~known].tolist()))
            raise UnsupportedElementError(
                f"the reference {self.name!r} has no energy of {lacking}: take another reference of the model"
            )
        return super().forward(z)
