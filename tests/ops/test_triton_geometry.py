"""Geometric attention and tensor products on a GPU, run by Triton's interpreter on the CPU, against the formulas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from torch_gptff.ops.checks import assert_sorted_pairs
from torch_gptff.ops.triton import geometric

CASES = {
    "attention, degree 2, first layer": ["attention", 2, False, 64, 4],
    "attention, degree 3, 4 heads of 16": ["attention", 3, True, 64, 4],
    "attention, degree 2, 4 heads of 32": ["attention", 2, True, 128, 4],
    "product, degree 2": ["product", 2, 64],
    "product, degree 3": ["product", 3, 128],
}

SCRIPT = """
import json
import sys

import torch
from torch.autograd import grad

from torch_gptff.ops import geometric_attention, tensor_product
from torch_gptff.ops.geometric_attention import columns

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(0)
CENTRE = torch.tensor([0] * 6 + [2] * 2)  # one block of bonds and a part of another, none, and a part of a block


def normal(*shape):
    return torch.randn(*shape, generator=generator)


def attention(degree, turns, channels, heads):
    lengths = 6 * torch.rand(len(CENTRE), generator=generator)
    lengths[1] = 6.3  # beyond the last knot
    rows, n = 12, 4
    x = [
        normal(3, channels), normal(n, channels), normal(n, channels), lengths,
        normal(len(CENTRE), (degree + 1) ** 2 - 1),
        *(normal(n, 2 * l + 1, channels) for l in range(1, degree + 1) if turns),
        0.3 * normal(rows, columns(channels, degree, heads, turns)[1]),
    ]
    neighbour = torch.randint(0, n, (len(CENTRE),), generator=generator)
    fixed = geometric_attention._Fixed(torch.stack([neighbour, CENTRE]), heads, degree, (rows - 3) / 6)
    return geometric_attention._GPU_KERNELS, x, fixed


def product(degree, channels):
    features = [normal(2, 2 * l + 1, channels) for l in range(1, degree + 1)]
    return tensor_product._GPU_KERNELS, [*features, normal(len(tensor_product.paths(degree)), channels)], None


def difference(found, expected):
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in zip(found, expected, strict=True))


def differences(kernels, x, fixed):
    leaves = [value.clone().requires_grad_() for value in x]
    out = kernels.plain(leaves, fixed)
    dout = [normal(*value.shape).requires_grad_() for value in out]
    t = [normal(*value.shape) for value in x]
    first = grad(out, leaves, dout, create_graph=True)
    second = grad(first[:-1], [*dout, *leaves], t[:-1], materialize_grads=True)
    with torch.no_grad():
        value = difference(kernels.forward(x, fixed), out)
        gradient = difference(kernels.backward(dout, x, fixed, True), first)
        without = difference(kernels.backward(dout, x, fixed, False)[:-1], first[:-1])
        ddout, d = kernels.double_backward(t, dout, x, fixed, True)
        return [value, gradient, without, difference([*ddout, *d], second)]


cases = json.loads(sys.argv[1])
print(json.dumps({name: differences(*globals()[kind](*sizes)) for name, (kind, *sizes) in cases.items()}))
"""


@pytest.fixture(scope="module")
def differences() -> dict[str, list[float]]:
    """Of the values, the gradients with and without that by parameters, and the gradients of those, in each case."""
    pytest.importorskip("triton", reason="triton is not installed")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(CASES)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_the_formula_to_the_second_derivative(name: str, differences: dict[str, list[float]]) -> None:
    assert differences[name] == pytest.approx([0] * 4, abs=1e-12)


def test_kernels_that_add_in_any_order_are_not_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometric, "find_spec", lambda name: True)
    assert geometric.is_available(torch.float32, 64)
    assert not geometric.is_available(torch.float32, 48)
    assert not geometric.is_available(torch.bfloat16, 64)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert not geometric.is_available(torch.float32, 64)


def test_without_triton_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometric, "find_spec", lambda name: None)
    assert not geometric.is_available(torch.float32, 64)


@pytest.mark.parametrize(
    "change", [lambda i: i.flip(1), lambda i: i + 5, lambda i: i - 1, lambda i: i + torch.tensor([[0], [2]])]
)
def test_bonds_in_no_order_or_to_nowhere_are_asserted(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """On a GPU the assertion fails later; here at once."""
    index = torch.tensor([[0, 4, 2], [0, 1, 1]])
    assert_sorted_pairs("edge_index", index, (5, 2))
    assert_sorted_pairs("edge_index", index[:, :0], (5, 2))
    with pytest.raises(RuntimeError, match="edge_index points"):
        assert_sorted_pairs("edge_index", change(index), (5, 2))
