"""Base class of operators by native kernels: allocation of results, and calls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from torch_gptff.ops.native.kernel import Group
from torch_gptff.ops.operator import Kernels


class NativeKernels(Kernels):
    """Three kernels that take, after what the operator tells them of sizes and indices, the tensors of::

        forward          x, out, kept
        backward         x, dout, kept, d
        double_backward  x, t, dout, kept, ddout, d

    without ``kept`` where nothing is ever kept. A kernel adds to what is there, or writes over it, as it likes: see
    :meth:`results` and :meth:`gradients`. By parameters that have no room for a gradient it calculates none.
    """

    def check(self, x: Sequence[Tensor], fixed: Any) -> None:
        """Check the tensors before kernels use them unchecked.

        Raises:
            GraphError: the tensors do not fit together.
        """

    @abstractmethod
    def gradients(self, x: Sequence[Tensor], fixed: Any, with_parameters: bool) -> list[Tensor | None]:
        """Room for the gradients by ``x``, ``None`` by the parameters unless ``with_parameters``."""

    @abstractmethod
    def call(self, kernel: str, x: Sequence[Tensor], fixed: Any, *others: Group) -> None:
        """Run one of the three kernels."""

    def forward(self, x: Sequence[Tensor], fixed: Any, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        self.check(x, fixed)
        out, kept = self.results(x, fixed, keep)
        self.call("forward", x, fixed, out, *_group(kept))
        return out, kept

    def backward(
        self, dout: Sequence[Tensor], x: Sequence[Tensor], fixed: Any, kept: Any, with_parameters: bool
    ) -> Sequence[Tensor | None]:
        d = self.gradients(x, fixed, with_parameters)
        self.call("backward", x, fixed, dout, *_group(kept), d)
        return d

    def double_backward(
        self,
        t: Sequence[Tensor | None],
        dout: Sequence[Tensor],
        x: Sequence[Tensor],
        fixed: Any,
        kept: Any,
        with_parameters: bool,
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        (ddout, _), d = self.results(x, fixed, keep=False), self.gradients(x, fixed, with_parameters)
        self.call("double_backward", x, fixed, t, dout, *_group(kept), ddout, d)
        return ddout, d


def _group(kept: Tensor | None) -> list[list[Tensor]]:
    return [] if kept is None else [[kept]]
