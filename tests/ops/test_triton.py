"""The kernels for the GPU, run by Triton's interpreter on the CPU, against the plain formulas."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="triton is not installed")

SCRIPT = """
import torch
from torch.nn.functional import normalize
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.ops import Inputs, eager, triton

torch.manual_seed(0)
S, d = 20, 16
x = Inputs(torch.randn(S, d), torch.randn(S, d), torch.randn(S, d), normalize(torch.randn(S, 3), dim=-1),
           torch.randn(2 * d, d) / 4, torch.randn(2 * d), torch.randn(d), torch.randn(d))
index = angle_pairs(torch.arange(S) // 7, torch.zeros(S), 1.0)
dout = torch.randn(S, d)
t = Inputs(*[torch.randn_like(v) if n < 4 else torch.zeros_like(v) for n, v in enumerate(x)])


def same(got, expected):
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5 * float(b.abs().max()), rtol=0)


same([triton.forward(x, index)], [eager.forward(x, index)])
same(triton.backward(dout, x, index, True), eager.backward(dout, x, index, True))
got, expected = (each.double_backward(t, dout, x, index) for each in (triton, eager))
same([got[0], *got[1]], [expected[0], *expected[1]])
print("same")
"""


def test_kernels_agree_with_the_formulas():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("same")
