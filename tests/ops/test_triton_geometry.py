"""Geometric attention and tensor products on a GPU: their kernels by Triton's interpreter, and by its compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torch_gptff.ops.checks import assert_sorted_pairs
from torch_gptff.ops.triton import geometric

INTERPRETED = (
    "attention, degree 2, first layer",
    "attention, degree 2, 4 heads of 32",
    "attention, degree 3, 4 heads of 16",
    "product, degree 1",
    "product, degree 2",
    "product, degree 3",
)


def run(how: str, *names: str) -> dict[str, Any]:
    pytest.importorskip("triton", reason="triton is not installed")
    command = [sys.executable, str(Path(__file__).with_name("triton_cases.py")), how, *names]
    environment = {**os.environ, "TRITON_INTERPRET": "1" if how == "interpret" else "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def differences() -> dict[str, list[float]]:
    """Of values, gradients and second gradients from the formula, in each case."""
    return run("interpret", *INTERPRETED)


@pytest.mark.parametrize("name", INTERPRETED)
def test_kernels_are_the_formula_to_the_second_derivative(name: str, differences: dict[str, list[float]]) -> None:
    assert differences[name] == pytest.approx([0, 0, 0], abs=1e-12)


def test_kernels_compile() -> None:
    """The compiler refuses some of what the interpreter lets pass."""
    run("compile", "attention, degree 1", "product, degree 2")


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
