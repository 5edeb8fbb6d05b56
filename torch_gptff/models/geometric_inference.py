"""A GPTFF with geometric attention as one call of a kernel, for inference on the CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.models.properties import turns
from torch_gptff.nn import AtomwiseReadout, GeometricTransformer, Readout
from torch_gptff.ops import geometric_attention as attention_operator
from torch_gptff.ops.native.build import turning_library
from torch_gptff.ops.tensor_product import paths, term_list

if TYPE_CHECKING:
    from torch_gptff.models.gptff import GPTFF

WIDTH = 32
"""Channels and hidden widths are multiples of this, two vectors of the widest kind."""


class _Pointers(ctypes.Structure):
    """A C structure that keeps the tensors it points to."""

    kept: list[Tensor]


class _Matrix(_Pointers):
    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "transpose", "bias")]


class _Norm(_Pointers):
    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "bias")]


class _Readout(ctypes.Structure):
    _fields_ = [(name, _Matrix) for name in ("fc1", "fc2", "fc_out")]


class _Graph(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("atoms", "own", "bonds")),
        *((name, ctypes.c_void_p) for name in ("z", "neighbour", "centre", "vectors")),
    ]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("channels", "hidden", "known", "heads", "layers", "readouts")),
        *((name, ctypes.c_int64) for name in ("paths", "terms")),
        ("list", ctypes.c_void_p),
        *((name, ctypes.c_double) for name in ("per_angstrom", "total_scale")),
        ("embedding", ctypes.c_void_p),
        ("norm", _Norm),
        *((name, ctypes.c_void_p) for name in ("layer", "readout")),
    ]


class GeometricInference:
    """The parameters of a model as the kernel takes them, for as long as they stay as they are.

    Args:
        model: a model with geometric attention, see :func:`can_fuse`
    """

    def __init__(self, model: GPTFF) -> None:
        config = model.config
        self.kept: list[Tensor] = []
        self.degree = config.degree
        self.readouts = config.num_readouts
        self.state = state_of(model)
        assert isinstance(model.readout, AtomwiseReadout), "geometric attention has no other"
        readouts: list[Readout] = [model.readout, *model.readout.others]
        self._layers = (_layer_type(config.degree) * config.num_layers)(*map(self._layer, model.layers))  # type: ignore[arg-type]
        self._readouts = (_Readout * len(readouts))(*map(self._readout, readouts))
        terms = term_list(config.degree)
        self._terms = terms
        first: GeometricTransformer = model.layers[0]  # type: ignore[assignment]
        self._model = _Model(
            channels=config.channels,
            hidden=config.feedforward_channels,
            known=_filled(first.lin1.in_features),
            heads=config.heads,
            layers=config.num_layers,
            readouts=len(readouts),
            paths=len(paths(config.degree)),
            terms=len(terms),
            list=ctypes.addressof(terms),
            per_angstrom=first.attention.radial().per_angstrom,
            total_scale=first.TOTAL_SCALE,
            embedding=self._pointer(model.embedding.weight),
            norm=self._norm(model.norm),
            layer=ctypes.addressof(self._layers),
            readout=ctypes.addressof(self._readouts),
        )

    def __call__(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of own atoms by every readout, without repulsion, in eV, ``[M, K]``; the gradient of the sum of all
        processes' means by the bond vectors in eV/Å, ``[E, 3]``; and what the readouts take, ``[M, C]``."""
        index, z, vectors = graph.edge_index.contiguous(), graph.z.contiguous(), vectors.detach().contiguous()
        own = len(exchange.own(z))
        energies, gradient = vectors.new_empty(own, self.readouts), torch.empty_like(vectors)
        features = vectors.new_empty(own, self._model.channels)
        addresses = (value.data_ptr() for value in (z, index[0], index[1], vectors))
        c_graph = _Graph(len(z), own, len(vectors), *addresses)
        kernels = turning_library(vectors.dtype, self.degree)
        assert kernels is not None, "can_fuse() is asked first"
        kernels.geometric_model(
            ctypes.byref(self._model),
            ctypes.byref(c_graph),
            exchange.address(),
            ctypes.c_void_p(energies.data_ptr()),
            ctypes.c_void_p(features.data_ptr()),
            ctypes.c_void_p(gradient.data_ptr()),
            ctypes.c_int(torch.get_num_threads()),
        )
        return energies, gradient, features

    def _layer(self, layer: GeometricTransformer) -> ctypes.Structure:
        attention, degree = layer.attention, layer.degree
        scale = (attention.channels // attention.heads) ** -0.5
        radial = attention.radial()
        none = [_Matrix()] * degree
        product = none if layer.lin_product is None else [self._matrix(lin.weight) for lin in layer.lin_product]  # type: ignore[arg-type]
        matrices = _Matrix * degree
        return _layer_type(degree)(
            norm=self._norm(layer.norm),
            query=self._matrix(attention.lin_query.weight * scale, attention.lin_query.bias * scale),
            key=self._matrix(attention.lin_key.weight),
            value=self._matrix(attention.lin_value.weight),
            message=matrices(*(self._matrix(lin.weight) for lin in layer.lin_message)),  # type: ignore[arg-type]
            product=matrices(*product),
            lin1=self._matrix(
                F.pad(layer.lin1.weight, (0, _filled(layer.lin1.in_features) - layer.lin1.in_features)), layer.lin1.bias
            ),
            lin2=self._matrix(layer.lin2.weight, layer.lin2.bias),
            table=self._pointer(radial.table),
            product_weight=self._pointer(layer.product_weight),
            rows=len(radial.table),
        )

    def _readout(self, readout: Readout) -> _Readout:
        return _Readout(*(self._matrix(lin.weight, lin.bias) for lin in (readout.fc1, readout.fc2, readout.fc_out)))

    def _norm(self, norm: nn.Module) -> _Norm:
        return _Norm(self._pointer(norm.weight), self._pointer(norm.bias))  # type: ignore[arg-type]

    def _matrix(self, weight: Tensor, bias: Tensor | None = None) -> _Matrix:
        return _Matrix(self._pointer(weight), self._pointer(weight.T), None if bias is None else self._pointer(bias))

    def _pointer(self, value: Tensor) -> int:
        self.kept.append(value.detach().clone(memory_format=torch.contiguous_format))
        return self.kept[-1].data_ptr()


def can_fuse(model: GPTFF, graph: Data, vectors: Tensor) -> bool:
    """Whether a model's energy and gradient can be had in one call: on the CPU, where there is a compiler, of bonds in
    order, by modules that nobody has changed, hooked or asked to explain themselves."""
    config = model.config
    widths = (config.channels, config.feedforward_channels)
    if (
        config.transformer != "geometric"
        or not model.is_atomwise
        or turns(config.properties)
        or model.training
        or any(width % WIDTH for width in widths)
    ):
        return False
    if vectors.device.type != "cpu":
        return False
    if not attention_operator.can_fuse(vectors, config.channels, config.degree, config.heads):
        return False
    return all(
        isinstance(layer, GeometricTransformer) and layer.attention.fuse and not layer.attention.explain
        for layer in model.layers
    ) and not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def state_of(model: nn.Module) -> Sequence[tuple[int, int, torch.dtype]] | None:
    """Version of the parameters, which changes with them; ``None`` where it is unknown."""
    parameters = list(model.parameters())
    if any(parameter.is_inference() for parameter in parameters):
        return None
    return [(parameter.data_ptr(), parameter._version, parameter.dtype) for parameter in parameters]


def _layer_type(degree: int) -> type[ctypes.Structure]:
    matrices = _Matrix * degree
    fields = [
        ("norm", _Norm),
        *((name, _Matrix) for name in ("query", "key", "value")),
        ("message", matrices),
        ("product", matrices),
        *((name, _Matrix) for name in ("lin1", "lin2")),
        *((name, ctypes.c_void_p) for name in ("table", "product_weight")),
        ("rows", ctypes.c_int64),
    ]
    if degree not in _LAYERS:
        _LAYERS[degree] = type(f"_Layer{degree}", (ctypes.Structure,), {"_fields_": fields})
    return _LAYERS[degree]


_LAYERS: dict[int, type[ctypes.Structure]] = {}


def _filled(width: int) -> int:
    return -(-width // WIDTH) * WIDTH
