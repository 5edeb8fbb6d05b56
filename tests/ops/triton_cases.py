"""Runs the kernels for GPUs, of cases by name: by Triton's interpreter, against the formulas, or through its compiler.

Prints JSON: of the interpreter the largest differences, relative to the largest number, of values, gradients and second
gradients. An interpreter is what Triton is for a whole process, from its import on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd import grad
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.interpreter import InterpretedFunction

from torch_gptff.ops import geometric_attention, operator, tensor_product
from torch_gptff.ops.geometric_attention import columns
from torch_gptff.ops.triton import geometric, geometric_kernels

Case = tuple[Any, list[Tensor], Any]

# Of the second of three centres: one more than a block where a head has 32 channels. The others have none.
CENTRE = torch.tensor([1] * 5)


def main(how: str, names: Sequence[str]) -> None:
    if how == "interpret":
        call_small_functions_directly()
        print(json.dumps({name: differences(*CASES[name](torch.float64)) for name in names}))
    else:
        compile_only()
        print(json.dumps({name: run(*CASES[name](torch.float32)) for name in names}))


def attention(degree: int, turns: bool, channels: int, heads: int) -> Callable[[torch.dtype], Case]:
    def make(dtype: torch.dtype) -> Case:
        normal = numbers(dtype)
        lengths = 3 + normal(len(CENTRE)).clamp(-2.9, 2.9)
        lengths[1] = 6.3  # beyond the last knot
        rows, n = 12, 4
        x = [
            normal(3, channels),
            normal(n, channels),
            normal(n, channels),
            lengths,
            normal(len(CENTRE), (degree + 1) ** 2 - 1),
            *(normal(n, 2 * l + 1, channels) for l in range(1, degree + 1) if turns),
            0.3 * normal(rows, columns(channels, degree, heads, turns)[1]),
        ]
        edge_index = torch.stack([torch.tensor([2, 0, 1, 0, 3]), CENTRE])
        fixed = geometric_attention._Fixed(edge_index, heads, degree, (rows - 3) / 6)
        return geometric_attention._GPU_KERNELS, x, fixed

    return make


def product(degree: int, channels: int) -> Callable[[torch.dtype], Case]:
    def make(dtype: torch.dtype) -> Case:
        normal = numbers(dtype)
        features = [normal(2, 2 * l + 1, channels) for l in range(1, degree + 1)]
        return tensor_product._GPU_KERNELS, [*features, normal(len(tensor_product.paths(degree)), channels)], None

    return make


CASES = {
    "attention, degree 1": attention(1, True, 32, 2),
    "attention, degree 2, first layer": attention(2, False, 64, 4),
    "attention, degree 2, 4 heads of 32": attention(2, True, 128, 4),
    "attention, degree 3, 4 heads of 16": attention(3, True, 64, 4),
    "product, degree 1": product(1, 32),
    "product, degree 2": product(2, 64),
    "product, degree 3": product(3, 128),
}


def numbers(dtype: torch.dtype, seed: int = 0) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype)


def differences(kernels: Any, x: list[Tensor], fixed: Any) -> list[float]:
    """Through the operator, as autograd runs it."""
    assert kernels.is_available(x, fixed)
    of_kernels, of_formula = [], []
    for function, results in ((partial(operator.apply, kernels), of_kernels), (kernels.plain, of_formula)):
        leaves = [value.clone().requires_grad_() for value in x]
        out = function(leaves, fixed)
        generator = numbers(x[0].dtype, seed=1)
        dout = [generator(*value.shape).requires_grad_() for value in out]
        t = [generator(*value.shape) for value in x]
        first = grad(out, leaves, dout, create_graph=True, materialize_grads=True)
        second = grad(first[:-1], [*dout, *leaves], t[:-1], materialize_grads=True)
        results += out, first, second
    return [difference(*both) for both in zip(of_kernels, of_formula, strict=True)]


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b.numel()]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs)


def call_small_functions_directly() -> None:
    """The interpreter prepares every call of a function anew, which takes much longer than what the small ones do."""
    for name, function in list(vars(geometric_kernels).items()):
        if isinstance(function, InterpretedFunction) and not name.endswith("ward"):
            setattr(geometric_kernels, name, function.fn)


def run(kernels: Any, x: list[Tensor], fixed: Any) -> None:
    out, _ = kernels.forward(x, fixed, False)
    kernels.backward(out, x, fixed, None, False)
    kernels.double_backward(x, out, x, fixed, None, True)


class Translated(Exception):
    """A kernel has passed the front end of Triton's compiler, which is where it is understood or not."""


def compile_only() -> None:
    """Compiles a kernel where it would be launched, up to its intermediate form, for a GPU that need not be there."""
    make_ir = ASTSource.make_ir

    def translate(source: ASTSource, *arguments: Any) -> None:
        make_ir(source, *arguments)
        raise Translated

    class Driver:
        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", 80, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int) -> int:
            return 0

    def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **sizes: Any) -> None:
        with suppress(Translated):
            kernel.warmup(*arguments, grid=grid, **sizes)

    ASTSource.make_ir = translate
    triton.runtime.driver.set_active(Driver())
    geometric._launch = launch


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
