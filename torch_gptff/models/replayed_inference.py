"""A GPTFF with geometric attention as CUDA graphs that are replayed, for inference on a GPU.

The launches of some hundred kernels take longer than the kernels themselves where a crystal is small. A recording has
fixed sizes: graphs are filled up to one of few, see :mod:`torch_gptff.models.padding`.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import SlowKernelsWarning
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.models.geometric_inference import layers_can_fuse
from torch_gptff.models.inference import Inference
from torch_gptff.models.padding import Padded, Size
from torch_gptff.nn import AtomwiseReadout
from torch_gptff.ops.cuda_graphs import Recorder, Work

if TYPE_CHECKING:
    from torch_gptff.models.gptff import GPTFF

MOST_BONDS = 200_000
"""Larger graphs keep a GPU busy by themselves, so that filling up would cost more than launches."""

MOST_RECORDINGS = 16
"""Sizes that are kept, the last ones used."""

TOLERANCE = 1e-3
"""Largest difference of a replay from the layers, relative to the largest number: more than rounding, far less than
what a wrong replay gives."""


class _Recording(NamedTuple):
    """Inputs at fixed addresses, and what replays the work on them."""

    inputs: Padded
    replay: Work


class ReplayedInference(Inference):
    """Energy and gradient by layers and autograd, recorded for every size of graph when it is first met.

    Args:
        model: a model that :meth:`can_fuse` takes
        record: what makes a recording of work, and raises :class:`RuntimeError` where it cannot
    """

    def __init__(self, model: GPTFF, record: Any = None) -> None:
        super().__init__(model)
        self._model = weakref.proxy(model)  # which owns this
        self._record = record or Recorder()
        self._recordings: OrderedDict[tuple[Size, bool], _Recording] = OrderedDict()
        self._is_recordable = True
        self._lock = Lock()

    @staticmethod
    def can_fuse(model: GPTFF, graph: Data, vectors: Tensor, exchange: Exchange = ALONE) -> bool:
        if vectors.device.type != "cuda" or exchange is not ALONE or not model.is_atomwise or model.training:
            return False
        if not 0 < len(vectors) <= MOST_BONDS or torch.compiler.is_compiling() or torch._C._is_any_autocast_enabled():
            return False
        if model.embedding.weight.is_inference() or torch.cuda.is_current_stream_capturing():
            return False
        return layers_can_fuse(model, vectors)

    def __call__(
        self, graph: Data, vectors: Tensor, exchange: Exchange = ALONE
    ) -> tuple[Tensor, Tensor, Tensor] | None:
        """As :class:`Inference` has it; ``None`` where the work cannot be recorded, of which a warning tells once."""
        size = Size.of(len(graph.z), len(vectors))
        filled = Padded.of(graph.z, graph.edge_index, vectors.detach(), size, self._model.cutoff)
        with self._lock, torch.cuda.device_of(vectors):
            replay = self._replay(filled, size)
            if replay is None:
                return None
            energies, gradient, features = replay()
            # Copies, since the next replay writes over the results.
            return energies[: len(graph.z)].clone(), gradient[: len(vectors)].clone(), features[: len(graph.z)].clone()

    def _replay(self, filled: Padded, size: Size) -> Work | None:
        """What replays the work on a graph that was filled up, recorded where there is no recording of its size."""
        key = size, torch.backends.cuda.matmul.allow_tf32
        recording = self._recordings.get(key)
        if recording is not None:
            for fixed, value in zip(recording.inputs, filled, strict=True):
                fixed.copy_(value)
        elif self._is_recordable:
            try:
                recording = self._recordings[key] = _Recording(filled, self._recorded(filled))
            except RuntimeError as error:
                self._is_recordable = False
                self._recordings.clear()
                _tell(str(error).strip().partition("\n")[0][:200])
        if recording is None:
            return None
        self._recordings.move_to_end(key)
        if len(self._recordings) > MOST_RECORDINGS:
            self._recordings.popitem(last=False)
        return recording.replay

    def _recorded(self, inputs: Padded) -> Work:
        """A recording whose first replay gives what the layers give.

        Raises:
            RuntimeError: the work cannot be recorded, or its replay gives other numbers.
        """
        replay = self._record(lambda: self._by_layers(inputs))
        for found, expected in zip(replay(), self._by_layers(inputs), strict=True):
            difference, scale = float((found - expected).abs().max()), float(expected.abs().max())
            if not difference <= TOLERANCE * max(scale, 1):
                raise RuntimeError(f"a replay is off by {difference:.1g} of {scale:.1g}")
        return replay

    def _by_layers(self, inputs: Padded) -> Sequence[Tensor]:
        """Energies by every readout, their gradient, and features of atoms, in operations that do not wait."""
        readout = self._model.readout
        assert isinstance(readout, AtomwiseReadout), "can_fuse() is asked first"
        with torch.enable_grad():
            vectors = inputs.vectors.detach().requires_grad_()
            features, _ = self._model._body(Data(z=inputs.z, edge_index=inputs.edge_index), vectors)
            energies = readout.members(features)
            (gradient,) = torch.autograd.grad(energies.mean(1).sum(), vectors)
        return energies.detach(), gradient, features.detach()


@cache
def _tell(reason: str) -> None:
    warnings.warn(
        f"evaluations on this GPU cannot be recorded as CUDA graphs ({reason}): small structures take longer",
        SlowKernelsWarning,
        stacklevel=6,
    )
