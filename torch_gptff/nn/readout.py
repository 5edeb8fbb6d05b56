"""Readouts, which compute energies of structures from features of atoms. Sums are taken in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.inits import reset


class Readout(nn.Module):
    """The network at the end: ``fc_out(swish(fc2(swish(fc1(x)))))``, ``[..., d]`` to ``[..., out_channels]``.

    Args:
        channels: width ``d`` of the features
        out_channels: numbers that are predicted
    """

    def __init__(self, channels: int, out_channels: int = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.fc1 = nn.Linear(channels, channels)
        self.fc2 = nn.Linear(channels, channels)
        self.fc_out = nn.Linear(channels, out_channels)

    def reset_parameters(self) -> None:
        for linear in (self.fc1, self.fc2, self.fc_out):
            linear.reset_parameters()

    def values(self, x: Tensor) -> Tensor:
        """Features ``[..., d]`` to numbers ``[..., out_channels]``."""
        return self.fc_out(F.silu(self.fc2(F.silu(self.fc1(x)))))

    def mlp(self, x: Tensor) -> Tensor:
        """Features ``[..., d]`` to one number, ``[...]``."""
        return self.values(x).squeeze(-1)

    def forward(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        """Atom features ``[N, d]`` to energies in eV, ``[B]``, or several numbers, ``[B, out_channels]``; float64."""
        raise NotImplementedError


class AtomwiseReadout(Readout):
    r"""Each atom has an energy, and their sum is the energy: :math:`E = \sum_i \mathrm{MLP}(x_i)`. Extensive.

    Several readouts are a committee whose mean is the energy, and whose spread is a measure of its uncertainty. They
    start from
    different random weights, and in training every structure is given to one of them, drawn anew each time: all of
    them learn to be right by themselves, at the price of one, where a loss of the mean would leave each free to drift.

    Args:
        channels: width ``d`` of the atom features
        num_readouts: members of the committee, ``K``
        out_channels: numbers of every atom; a committee has one
    """

    def __init__(self, channels: int, num_readouts: int = 1, out_channels: int = 1) -> None:
        super().__init__(channels, out_channels)
        self.others = nn.ModuleList(Readout(channels) for _ in range(num_readouts - 1))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        reset(self.others)

    def members(self, x: Tensor) -> Tensor:
        """Atom features ``[N, d]`` to atomic energies of every member in eV, ``[N, K]``, float64."""
        return torch.stack([self.mlp(x), *(readout.mlp(x) for readout in self.others)], dim=-1).double()  # type: ignore[operator]

    def atomic_energies(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        """Atom features ``[N, d]`` to atomic energies in eV, ``[N]``, float64."""
        energies = self.members(x)
        if self.training and self.others:
            drawn = torch.randint(energies.size(1), (n_structures,)).to(x.device)  # resumed runs keep the CPU's state
            return energies.gather(1, drawn[batch].unsqueeze(1)).squeeze(1)
        return energies.mean(1)

    def forward(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        of_atoms = self.values(x) if self.out_channels > 1 else self.atomic_energies(x, batch, n_structures)
        return sum_by_structure(of_atoms, batch, n_structures)


class PooledReadout(Readout):
    r"""The readout of the published checkpoints, which sums features first: :math:`E = \mathrm{MLP}(\sum_i x_i)`.

    It is not extensive: the energy of a crystal of twice the size is not twice the energy.
    """

    def forward(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        pooled = sum_by_structure(x, batch, n_structures).to(x.dtype)
        return (self.values(pooled) if self.out_channels > 1 else self.mlp(pooled)).double()


def sum_by_structure(values: Tensor, batch: Tensor, n_structures: int) -> Tensor:
    """Sums over the atoms of each structure, ``[N, ...]`` to ``[B, ...]``, in float64."""
    total = values.new_zeros(n_structures, *values.shape[1:], dtype=torch.float64)
    return total.index_add(0, batch, values.to(torch.float64))
