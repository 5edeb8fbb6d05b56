"""Outputs of models from the values of atoms: a sum, a mean or a dipole moment, shifted and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.errors import ConfigError, StructureError
from torch_gptff.graph import structure_index
from torch_gptff.nn.element_energies import ElementEnergies
from torch_gptff.nn.readout import sum_by_structure


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """Settings of the output, with the names and meanings that they have in PyG's ``SchNet``.

    Attributes:
        out_channels: numbers that are predicted for a structure; an energy is one
        dipole: give the magnitude of the dipole moment of a molecule, about its centre of mass
        mean: added to the number of every atom
        std: factor of the number of every atom
        atomref: number of a single atom, by atomic number from 0 on, that is added to the number of every atom
    """

    out_channels: int = 1
    dipole: bool = False
    mean: float | None = None
    std: float | None = None
    atomref: tuple[float, ...] | None = None

    def _check_output(self, readout: str) -> None:
        """Hold the settings of the output to each other."""
        if self.out_channels < 1:
            raise ConfigError(f"out_channels must be positive; got {self.out_channels!r}")
        if self.std is not None and not self.std > 0:
            raise ConfigError(f"std must be positive; got {self.std!r}")
        if self.atomref is not None and len(self.atomref) < 2:
            raise ConfigError(f"atomref must have an entry for every atomic number from 0 on; got {self.atomref!r}")
        if not self.dipole:
            return
        if readout not in ("add", "sum", "atomwise") or self.out_channels > 1:
            raise ConfigError(
                "a dipole moment is one number, of a sum over atoms: dipole=True needs out_channels=1 and "
                f'readout="add"; got {self.out_channels} and {readout!r}'
            )
        for name in ("mean", "std", "atomref"):
            if getattr(self, name) is not None:
                raise ConfigError(f"a dipole moment is neither shifted nor scaled: dipole=True has no {name}")

    def known_elements(self, elements: frozenset[int]) -> frozenset[int]:
        """The elements with an entry in ``atomref``."""
        return elements if self.atomref is None else elements & frozenset(range(1, len(self.atomref)))


UNUSED: Mapping[str, Any] = {"out_channels": 1, "dipole": False, "mean": None, "std": None, "atomref": None}
"""Defaults of :class:`OutputConfig`, which are not written to files."""


class Output(nn.Module):
    r"""Map from the values of atoms, as a network gives them, to the values of structures.

    .. math::
        y = \sum_i \left( \sigma\, x_i + \mu + a_{Z_i} \right)

    Args:
        config: configuration of the output
        is_mean: whether the mean over atoms is given instead of the sum
        mean_of_structure: whether :math:`\mu` is added once for a structure, as in PyG's ``ViSNet``, and not for every
            atom
    """

    masses: Tensor

    def __init__(self, config: OutputConfig, is_mean: bool = False, mean_of_structure: bool = False) -> None:
        super().__init__()
        self.config = config
        self.is_mean = is_mean
        self.std = 1.0 if config.std is None else config.std
        mean = config.mean or 0.0
        self.mean, self.mean_of_structure = (0.0, mean) if mean_of_structure else (mean, 0.0)
        self.atomref = None if config.atomref is None else ElementEnergies(config.atomref)
        if config.dipole:
            from ase.data import atomic_masses

            self.register_buffer("masses", torch.from_numpy(atomic_masses.copy()), persistent=False)

    @property
    def is_energy(self) -> bool:
        """Whether the output can be an energy: one number that is no dipole moment."""
        return self.config.out_channels == 1 and not self.config.dipole

    @property
    def is_sum(self) -> bool:
        """Whether the output is a sum over atoms."""
        return self.is_energy and not self.is_mean and not self.mean_of_structure

    @property
    def is_plain(self) -> bool:
        """Whether atoms keep the numbers that the network gives them."""
        return self.std == 1.0 and self.mean == 0.0 and self.atomref is None

    def of_atoms(self, values: Tensor, z: Tensor) -> Tensor:
        """Numbers of atoms by the network, ``[N]`` or ``[N, K]``, scaled and shifted, float64."""
        if self.is_plain:
            return values.double()
        return values.double() * self.std + self._shifts(z).reshape(-1, *[1] * (values.dim() - 1))

    def forward(self, total: Tensor, graph: Data) -> Tensor:
        """Sums over the atoms of structures by the network, ``[B]`` or ``[B, C]``, scaled and shifted; ``[B, C]``,
        float64."""
        total = total.double().reshape(len(total), -1)
        batch, n_structures = structure_index(graph)
        if not self.is_plain:
            shifts = sum_by_structure(self._shifts(graph.z), batch, n_structures)
            total = total * self.std + shifts.unsqueeze(-1)
        if self.is_mean:
            total = total / batch.bincount(minlength=n_structures).unsqueeze(-1)
        return total + self.mean_of_structure if self.mean_of_structure else total

    def dipole(self, charges: Tensor, graph: Data) -> Tensor:
        """Magnitudes of dipole moments of charges ``[N]`` about the centre of mass, ``[B, 1]``, float64.

        Raises:
            StructureError: a structure is periodic.
        """
        if not torch.compiler.is_compiling() and bool(graph.pbc.any()):
            raise StructureError("a periodic structure has no dipole moment: dipole=True is for molecules (pbc=False)")
        batch, n_structures = structure_index(graph)
        mass, pos = self.masses[graph.z].double().unsqueeze(-1), graph.pos.double()
        centre = sum_by_structure(mass * pos, batch, n_structures) / sum_by_structure(mass, batch, n_structures)
        moment = sum_by_structure(charges.double().unsqueeze(-1) * (pos - centre[batch]), batch, n_structures)
        return torch.linalg.vector_norm(moment, dim=-1, keepdim=True)

    def _shifts(self, z: Tensor) -> Tensor:
        """Shift of the value of every atom, ``[N]``, float64."""
        mean = torch.full(z.shape, self.mean, dtype=torch.float64, device=z.device)
        return mean if self.atomref is None else mean + self.atomref(z)

    def extra_repr(self) -> str:
        return "mean over atoms" if self.is_mean else "sum over atoms"


def plain(value: Any) -> Any:
    """A setting as a configuration holds it: numbers of tensors and arrays as plain numbers.

    Raises:
        ConfigError: a table of more than one column, of which nothing tells the right one.
    """
    if not hasattr(value, "tolist"):
        return value
    shape = tuple(value.shape)
    if len(shape) == 2 and shape[1] == 1:  # the shape in datasets of PyG
        value = value[:, 0]
    elif len(shape) > 1:
        raise ConfigError(f"atomref must be a vector with an entry for every atomic number; got a table of {shape}")
    return _as_tuple(value.tolist())


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) else value
