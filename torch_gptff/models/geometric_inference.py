"""A GPTFF with geometric attention as one call of a kernel, for inference on the CPU."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.models.inference import (
    Inference,
    Matrix,
    Norm,
    ReadoutMatrices,
    filled,
    filled_columns,
    whole,
)
from torch_gptff.models.properties import turns
from torch_gptff.nn import AtomwiseReadout, GeometricTransformer, Readout
from torch_gptff.ops import geometric_attention as attention_operator
from torch_gptff.ops.native.build import turning_library
from torch_gptff.ops.tensor_product import paths, term_list

if TYPE_CHECKING:
    from torch_gptff.models.gptff import GPTFF


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
        ("norm", Norm),
        *((name, ctypes.c_void_p) for name in ("layer", "readout")),
    ]


def layers_can_fuse(model: GPTFF, vectors: Tensor) -> bool:
    """Whether kernels know the layers and take these vectors, and no layer has to explain itself."""
    config = model.config
    return attention_operator.can_fuse(vectors, config.channels, config.degree, config.heads) and all(
        isinstance(layer, GeometricTransformer) and layer.attention.fuse and not layer.attention.explain
        for layer in model.layers
    )


class GeometricInference(Inference):
    """The kernel of a model with geometric attention."""

    @staticmethod
    def can_fuse(model: GPTFF, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> bool:
        config = model.config
        if not model.is_atomwise or turns(config.properties) or model.training:
            return False
        if vectors.device.type != "cpu" or not whole([config.channels, config.feedforward_channels]):
            return False
        return layers_can_fuse(model, vectors)

    def __init__(self, model: GPTFF) -> None:
        super().__init__(model)
        config = model.config
        self.degree = config.degree
        self.readouts = config.num_readouts
        assert isinstance(model.readout, AtomwiseReadout), "geometric attention has no other"
        readouts: list[Readout] = [model.readout, *model.readout.others]
        self._layers = (_layer_type(config.degree) * config.num_layers)(*map(self._layer, model.layers))  # type: ignore[arg-type]
        self._readouts = (ReadoutMatrices * len(readouts))(*map(self.readout, readouts))
        terms = term_list(config.degree)
        self._terms = terms
        first: GeometricTransformer = model.layers[0]  # type: ignore[assignment]
        self._model = _Model(
            channels=config.channels,
            hidden=config.feedforward_channels,
            known=filled(first.lin1.in_features),
            heads=config.heads,
            layers=config.num_layers,
            readouts=len(readouts),
            paths=len(paths(config.degree)),
            terms=len(terms),
            list=ctypes.addressof(terms),
            per_angstrom=first.attention.radial().per_angstrom,
            total_scale=first.TOTAL_SCALE,
            embedding=self.pointer(model.embedding.weight),
            norm=self.norm(model.norm),
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
        none = [Matrix()] * degree
        product = none if layer.lin_product is None else [self.matrix(lin.weight) for lin in layer.lin_product]  # type: ignore[arg-type]
        matrices = Matrix * degree
        return _layer_type(degree)(
            norm=self.norm(layer.norm),
            query=self.matrix(attention.lin_query.weight * scale, attention.lin_query.bias * scale),
            key=self.matrix(attention.lin_key.weight),
            value=self.matrix(attention.lin_value.weight),
            message=matrices(*(self.matrix(lin.weight) for lin in layer.lin_message)),  # type: ignore[arg-type]
            product=matrices(*product),
            lin1=self.matrix(filled_columns(layer.lin1.weight), layer.lin1.bias),
            lin2=self.matrix(layer.lin2.weight, layer.lin2.bias),
            table=self.pointer(radial.table),
            product_weight=self.pointer(layer.product_weight),
            rows=len(radial.table),
        )


def _layer_type(degree: int) -> type[ctypes.Structure]:
    matrices = Matrix * degree
    fields = [
        ("norm", Norm),
        *((name, Matrix) for name in ("query", "key", "value")),
        ("message", matrices),
        ("product", matrices),
        *((name, Matrix) for name in ("lin1", "lin2")),
        *((name, ctypes.c_void_p) for name in ("table", "product_weight")),
        ("rows", ctypes.c_int64),
    ]
    if degree not in _LAYERS:
        _LAYERS[degree] = type(f"_Layer{degree}", (ctypes.Structure,), {"_fields_": fields})
    return _LAYERS[degree]


_LAYERS: dict[int, type[ctypes.Structure]] = {}
