"""Base class of models as one call, for inference, and their parameters as C structures, for kernels."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.nn import Readout

if TYPE_CHECKING:
    from torch_gptff.models.gptff import GPTFF

WIDTH = 32
"""Channels and hidden widths are multiples of this, two vectors of the widest kind."""


class Matrix(ctypes.Structure):
    """A linear map: its weight, the transpose and the bias."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "transpose", "bias")]


class Norm(ctypes.Structure):
    """Weight and bias of a normalization."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "bias")]


class ReadoutMatrices(ctypes.Structure):
    """The linear maps of a :class:`~torch_gptff.nn.Readout`."""

    _fields_ = [(name, Matrix) for name in ("fc1", "fc2", "fc_out")]


class Inference(ABC):
    """A whole model in one call: a kernel with copies of its parameters, or a recording, for as long as these stay as
    they are.

    Args:
        model: a model that :meth:`can_fuse` takes
    """

    def __init__(self, model: GPTFF) -> None:
        self.kept: list[Tensor] = []
        registries: list[dict[str, Any]] = []
        self._hooks: list[dict[int, Any]] = []
        for module in model.modules():
            registries += [module._modules, module._parameters]
            self._hooks += [module._forward_hooks, module._forward_pre_hooks]
        self._registries = [registry for registry in registries if registry]
        self._parts = list(chain.from_iterable(registry.values() for registry in self._registries))
        self._parameters = list(model.parameters())
        self._state = self._current()
        self._is_watched = not any(parameter.is_inference() for parameter in self._parameters)  # they have no version

    @staticmethod
    @abstractmethod
    def can_fuse(model: GPTFF, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> bool:
        """Whether a model's energy and gradient can be had in one call, where there are kernels for its device, by
        modules that nobody has changed or asked to explain themselves."""

    @abstractmethod
    def __call__(
        self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Energies without repulsion in eV; the gradient of the sum of all processes' means by the bond vectors in
        eV/Å, ``[E, 3]``; and what the readouts take of own atoms, ``[M, C]``, where the kernel keeps it. The energies
        are those of own atoms by every readout, ``[M, K]``; those of structures, ``[B, 1]``, where the readout is
        pooled. ``None`` where the call turns out to be impossible."""

    def pointer(self, value: Tensor) -> int:
        """Address of a copy of a tensor."""
        self.kept.append(value.detach().clone(memory_format=torch.contiguous_format))
        return self.kept[-1].data_ptr()

    def matrix(self, weight: Tensor, bias: Tensor | None = None) -> Matrix:
        return Matrix(self.pointer(weight), self.pointer(weight.T), None if bias is None else self.pointer(bias))

    def norm(self, norm: nn.Module) -> Norm:
        return Norm(self.pointer(norm.weight), self.pointer(norm.bias))  # type: ignore[arg-type]

    def readout(self, readout: Readout) -> ReadoutMatrices:
        return ReadoutMatrices(
            *(self.matrix(linear.weight, linear.bias) for linear in (readout.fc1, readout.fc2, readout.fc_out))
        )

    def fits(self) -> bool:
        """Whether the model still has the modules and the parameters of which these are copies."""
        return self._is_watched and self._state == self._current()

    def is_hooked(self) -> bool:
        """Whether somebody has to be told of what goes through the modules of the model."""
        return any(self._hooks)

    def _current(self) -> list[int]:
        """What the model consists of, and the versions of its parameters: in a fraction of the time in which a model
        lists its modules and parameters. The parts are kept, so that no other gets the number of one of them."""
        parts = map(id, chain.from_iterable(map(dict.values, self._registries)))
        return [*parts, *map(Tensor.data_ptr, self._parameters), *(each._version for each in self._parameters)]


def filled(width: int) -> int:
    """The width, filled up to a multiple of :data:`WIDTH`."""
    return -(-width // WIDTH) * WIDTH


def filled_columns(weight: Tensor) -> Tensor:
    """A matrix with columns of zeros after its own, up to a multiple of :data:`WIDTH`."""
    return F.pad(weight, (0, filled(weight.size(1)) - weight.size(1)))


def whole(widths: Sequence[int]) -> bool:
    """Whether kernels take features and hidden layers of these widths."""
    return not any(width % WIDTH for width in widths)
