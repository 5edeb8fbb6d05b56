"""The wrapper of all operators: derivatives beyond the second, and the way through PyTorch's dispatcher."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import grad
from torch.utils._python_dispatch import TorchDispatchMode

from torch_gptff.ops import native, operator
from torch_gptff.ops.gated_edges import _ATOM_UPDATE as ATOM_UPDATE
from torch_gptff.ops.gated_edges import _BOND_UPDATE as BOND_UPDATE
from torch_gptff.ops.local_attention import _KERNELS as LOCAL_ATTENTION
from torch_gptff.ops.registered import PairKernels

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
ANGLE_SUM = sys.modules["torch_gptff.ops.angle_sum"]._KERNELS
D, HEADS, RADIAL, ROWS, PAIRS = 32, 2, 5, 6, 40

SHAPES = {
    ANGLE_SUM: [(ROWS, D), (ROWS, D), (ROWS, D), (ROWS, 3), (2 * D, D), (2 * D,), (D,), (D,)],
    ATOM_UPDATE: [(ROWS, 2 * D), (ROWS, 2 * D), (PAIRS, D), (PAIRS, RADIAL),
                   (D, RADIAL), (2 * D, D), (2 * D, 2 * D), (2 * D,)],
    BOND_UPDATE: [(ROWS, 2 * D), (ROWS, 2 * D), (PAIRS, D), (PAIRS, RADIAL), (D, RADIAL), (2 * D, D), (D, D), (D,)],
    LOCAL_ATTENTION: [*[(ROWS, D)] * 5, (PAIRS, HEADS), (PAIRS,)],
}  # fmt: skip


@pytest.fixture(params=SHAPES, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> PairKernels:
    if not native.is_available(torch.float64, D):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    return request.param


def inputs(kernels: PairKernels) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = [torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5 for shape in SHAPES[kernels]]
    if kernels is LOCAL_ATTENTION:
        x[-1] += 0.6  # envelopes are positive
    index = torch.randint(ROWS, (2, PAIRS), generator=generator)
    return [value.requires_grad_() for value in x], index


def derivatives(function: Callable[[Sequence[Tensor]], Tensor], x: Sequence[Tensor], number: int) -> list[Tensor]:
    """A value and so many gradients, each of the sum of squares of those before by the first input."""
    values = [function(x)]
    for _ in range(number):
        values += grad(values[-1].square().sum(), x[:1], create_graph=True)
    return [*values, *grad(values[-1].square().sum(), x, materialize_grads=True)]


def test_results_are_those_of_the_formula(kernels: PairKernels, assert_agree: Agree) -> None:
    x, index = inputs(kernels)
    for keep in (False, True):
        fused = derivatives(lambda x, keep=keep: operator.apply(kernels, x, index, keep)[0], x, 1)
        assert_agree(fused, derivatives(lambda x: kernels.plain(x, index)[0], x, 1), 1000)


def test_third_derivatives(kernels: PairKernels, assert_agree: Agree) -> None:
    """By the formula where that does not keep something for every angle."""
    x, index = inputs(kernels)
    if kernels is ANGLE_SUM:
        with pytest.raises(RuntimeError, match="no autograd formula"):
            derivatives(lambda x: operator.apply(kernels, x, index)[0], x, 2)
        return
    fused = derivatives(lambda x: operator.apply(kernels, x, index)[0], x, 2)
    assert_agree(fused, derivatives(lambda x: kernels.plain(x, index)[0], x, 2), 10_000)


class Spy(TorchDispatchMode):
    """Sees every operator that the dispatcher does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.namespace == "torch_gptff":
            self.seen.add(function._schema.name.removeprefix("torch_gptff::"))
        return function(*args, **(kwargs or {}))


def test_a_mode_sees_the_operators(kernels: PairKernels, assert_agree: Agree) -> None:
    x, index = inputs(kernels)

    def function(x: Sequence[Tensor]) -> Tensor:
        return operator.apply(kernels, x, index, keep=True)[0]

    frozen = [x[0], *(value.detach() for value in x[1:])]
    (first,) = grad(function(frozen).sin().sum(), frozen[:1], create_graph=True)
    directly = [first, *grad(first.square().sum(), frozen[:1])]
    with Spy() as spy:
        (first,) = grad(function(frozen).sin().sum(), frozen[:1], create_graph=True)
        watched = [first, *grad(first.square().sum(), frozen[:1])]
    assert_agree(watched, directly, 10)
    family = "gated_edges" if kernels in (ATOM_UPDATE, BOND_UPDATE) else kernels.name
    assert spy.seen == {kernels.name, f"{family}_backward", f"{family}_double_backward"}


def test_the_dispatcher_takes_any_order_of_memory(kernels: PairKernels, assert_agree: Agree) -> None:
    x, index = inputs(kernels)
    op = getattr(torch.ops.torch_gptff, kernels.name)
    strided = [torch.stack([value, value], dim=-1)[..., 0] for value in x]
    expected = grad(op(*x, index, True)[0].sin().sum(), x)
    out = op(*strided, index.T.contiguous().T, True)[0]
    assert_agree(grad(out.sin().sum(), x), expected, 0)
