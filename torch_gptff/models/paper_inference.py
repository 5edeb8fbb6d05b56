"""A GPTFF with the layers of the paper as one call of a kernel, for inference on the CPU."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import GraphError
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
from torch_gptff.models.paper_layer import PaperLayer
from torch_gptff.nn import (
    AngleConv,
    AtomConv,
    AtomwiseReadout,
    BlockLinear,
    BondConv,
    GlobalAttention,
    LocalAttention,
    Readout,
)
from torch_gptff.ops import native
from torch_gptff.ops.angle_sum import MAX_KEPT as MAX_KEPT_OF_ANGLES
from torch_gptff.ops.gated_edges import MAX_KEPT as MAX_KEPT_OF_BONDS
from torch_gptff.ops.native.build import library
from torch_gptff.ops.transforms import is_plain, under_transform

if TYPE_CHECKING:
    from torch_gptff.models.gptff import GPTFF

ATTENTION = {"none": 0, "local": 1, "global": 2}


class _Angle(ctypes.Structure):
    _fields_ = [
        *((name, Matrix) for name in ("centre", "neighbour", "p", "q", "radial_j", "radial_k")),
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "angle_weight", "angle_bias")),
    ]


class _Edge(ctypes.Structure):
    _fields_ = [
        *((name, Matrix) for name in ("centre", "neighbour")),
        *((name, ctypes.c_void_p) for name in ("w_radial", "w_edge", "w", "bias")),
    ]


class _Transformer(ctypes.Structure):
    _fields_ = [
        *((name, Norm) for name in ("norm1", "norm2", "attended", "fed")),
        *((name, Matrix) for name in ("query", "key", "value", "out", "bias", "lin1", "lin2")),
    ]


class _Layer(ctypes.Structure):
    _fields_ = [("angle", _Angle), ("bond", _Edge), ("atom", _Edge), ("transformer", _Transformer)]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("elements", "layers", "readouts", "pooled")),
        *((name, ctypes.c_int64) for name in ("attention", "heads", "hidden", "radial", "filled", "exponent")),
        *((name, ctypes.c_double) for name in ("cutoff", "angle_cutoff")),
        *((name, ctypes.c_void_p) for name in ("embedding", "start_centre", "start_neighbour")),
        *((name, Matrix) for name in ("start_basis", "start_radial")),
        *((name, ctypes.c_void_p) for name in ("layer", "readout")),
    ]


class _Graph(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("atoms", "bonds", "angles", "structures", "keep_bonds", "keep_angles")),
        *((name, ctypes.c_void_p) for name in ("z", "batch", "neighbour", "centre", "first", "second", "vectors")),
    ]


class PaperInference(Inference):
    """The kernel of a model with the layers of the paper, on one process."""

    @staticmethod
    def can_fuse(model: GPTFF, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> bool:
        """As for any kernel; and a graph that is not taken a range at a time."""
        config, is_pooled = model.config, model.config.readout == "pooled"
        if config.angle_update != "explicit" or not (model.is_atomwise or (is_pooled and model.output.is_sum)):
            return False
        if exchange is not ALONE or model.training or len(vectors) > model.max_bonds:
            return False
        if vectors.device.type != "cpu" or under_transform() or not is_plain([vectors]):
            return False
        widths: dict[str, list[int]] = {"none": [], "local": [config.feedforward_channels]}
        widths["global"] = [config.feedforward_channels, config.channels // config.heads]
        if not whole(widths[config.transformer]) or not native.is_available(vectors.dtype, config.channels):
            return False
        return all(map(_is_usual, model.layers))

    def __init__(self, model: GPTFF) -> None:
        super().__init__(model)
        config = model.config
        self.channels = config.channels
        self.is_pooled = config.readout == "pooled"
        readouts: list[Readout] = [model.readout]
        if isinstance(model.readout, AtomwiseReadout):
            readouts = [model.readout, *model.readout.others]
        with torch.no_grad():
            elements = model._embed_atoms(torch.arange(config.max_z + 1))
            w_centre, w_neighbour, w_basis = model.lin_bond.split()
            self._layers = (_Layer * config.num_layers)(*map(self._layer, model.layers))  # type: ignore[arg-type]
            self._readouts = (ReadoutMatrices * len(readouts))(*map(self.readout, readouts))
            self._model = _Model(
                elements=len(elements),
                layers=config.num_layers,
                readouts=len(readouts),
                pooled=self.is_pooled,
                attention=ATTENTION[config.transformer],
                heads=config.heads,
                hidden=config.feedforward_channels,
                radial=model.bond_features.num_features,
                filled=filled(model.bond_features.num_features),
                exponent=config.envelope_exponent or 0,
                cutoff=config.cutoff,
                angle_cutoff=config.angle_cutoff,
                embedding=self.pointer(elements),
                start_centre=self.pointer(elements @ w_centre.T + model.lin_bond.bias),
                start_neighbour=self.pointer(elements @ w_neighbour.T),
                start_basis=self._radial(w_basis @ model.lin_basis.weight),
                start_radial=self._radial(model.lin_radial.weight),
                layer=ctypes.addressof(self._layers),
                readout=ctypes.addressof(self._readouts),
            )

    def __call__(self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> tuple[Tensor, Tensor, None]:
        """As for any kernel.

        Raises:
            GraphError: an index of the graph points to nothing.
        """
        index, angles = graph.edge_index.contiguous(), graph.angle_index.contiguous()
        z, vectors, batch = graph.z.contiguous(), vectors.detach().contiguous(), graph.get("batch")
        batch = None if batch is None else batch.contiguous()
        structures = graph.cell.size(0)
        rows = structures if self.is_pooled else len(z)
        energies, gradient = vectors.new_empty(rows, len(self._readouts)), torch.empty_like(vectors)
        c_graph = _Graph(
            atoms=len(z),
            bonds=len(vectors),
            angles=angles.size(1),
            structures=structures,
            keep_bonds=len(vectors) * self.channels <= MAX_KEPT_OF_BONDS,
            keep_angles=angles.size(1) * self.channels <= MAX_KEPT_OF_ANGLES,
            z=z.data_ptr(),
            batch=None if batch is None else batch.data_ptr(),
            neighbour=index[0].data_ptr(),
            centre=index[1].data_ptr(),
            first=angles[0].data_ptr(),
            second=angles[1].data_ptr(),
            vectors=vectors.data_ptr(),
        )
        kernels = library(vectors.dtype, self.channels)
        assert kernels is not None, "can_fuse() is asked first"
        done = kernels.paper_model(
            ctypes.byref(self._model),
            ctypes.byref(c_graph),
            ctypes.c_void_p(energies.data_ptr()),
            ctypes.c_void_p(gradient.data_ptr()),
            ctypes.c_int(torch.get_num_threads()),
        )
        if not done:
            raise GraphError(
                "z, batch, edge_index or angle_index of the graph points to an element, a structure, an atom or a bond "
                "that does not exist: was the graph made of other atoms?"
            )
        return energies, gradient, None

    def _layer(self, layer: PaperLayer) -> _Layer:
        transformer = _Transformer() if layer.transformer is None else self._transformer(layer)
        return _Layer(
            self._angle(layer.angle),
            self._edge(layer.bond, layer.bond.lin_gated, layer.bond.lin_out),
            self._edge(layer.atom, layer.atom.lin_full, layer.atom.lin_gated),
            transformer,
        )

    def _angle(self, angle: AngleConv) -> _Angle:
        w_i, w_j, w_k, w_ij, w_ik = angle.lin_full.split()
        return _Angle(
            centre=self.matrix(w_i, angle.lin_full.bias),
            neighbour=self.matrix(torch.cat([w_j, w_k])),
            p=self.matrix(w_ij),
            q=self.matrix(w_ik),
            radial_j=self._radial(angle.lin_radial_j.weight),
            radial_k=self._radial(angle.lin_radial_k.weight),
            weight=self.pointer(angle.lin_gated.weight),
            bias=self.pointer(angle.lin_gated.bias),
            angle_weight=self.pointer(angle.lin_angle.weight),
            angle_bias=self.pointer(angle.lin_angle.bias),
        )

    def _edge(self, update: BondConv | AtomConv, first: BlockLinear, second: torch.nn.Linear) -> _Edge:
        w_centre, w_neighbour, w_edge = first.split()
        return _Edge(
            centre=self.matrix(w_centre, first.bias),
            neighbour=self.matrix(w_neighbour),
            w_radial=self.pointer(update.lin_radial.weight),
            w_edge=self.pointer(w_edge),
            w=self.pointer(second.weight),
            bias=self.pointer(second.bias),
        )

    def _transformer(self, layer: PaperLayer) -> _Transformer:
        transformer = layer.transformer
        assert transformer is not None
        attention: GlobalAttention | LocalAttention = transformer.attention  # type: ignore[assignment]
        query, key, value, out = attention.lin_query, attention.lin_key, attention.lin_value, attention.lin_out
        scale = (query.out_features // attention.heads) ** -0.5
        bias = self._radial(attention.lin_bias.weight) if isinstance(attention, LocalAttention) else Matrix()
        return _Transformer(
            norm1=self.norm(layer.norm1),
            norm2=self.norm(layer.norm2),
            attended=self.norm(transformer.norm1),
            fed=self.norm(transformer.norm2),
            query=self.matrix(query.weight * scale, query.bias * scale),
            key=self.matrix(key.weight),
            value=self.matrix(value.weight, value.bias),
            out=self.matrix(out.weight, out.bias),
            bias=bias,
            lin1=self.matrix(transformer.lin1.weight, transformer.lin1.bias),
            lin2=self.matrix(transformer.lin2.weight, transformer.lin2.bias),
        )

    def _radial(self, weight: Tensor) -> Matrix:
        """A map of radial features: its rows filled up, and its transpose as it is."""
        return Matrix(self.pointer(filled_columns(weight)), self.pointer(weight.T), None)


def _is_usual(layer: Any) -> bool:
    """Whether a layer is made of the modules that the kernel computes."""
    if not isinstance(layer, PaperLayer):
        return False
    parts: list[tuple[Any, type[Any]]] = [(layer.angle, AngleConv), (layer.bond, BondConv), (layer.atom, AtomConv)]
    if layer.transformer is not None and not isinstance(layer.transformer.attention, GlobalAttention):
        parts.append((layer.transformer.attention, LocalAttention))
    return all(isinstance(part, kind) and part.fuse and not part.explain for part, kind in parts)
