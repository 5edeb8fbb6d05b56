"""Large tensors lie on large pages, unless the user decides otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGES = 25_600
PROGRAM = f"""
import resource
import torch, torch_gptff

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones({PAGES} * 1024)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    """Pages that 100 MB of float32 took."""
    inherited = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, env=inherited | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    not CHOICE.is_file() or "[madvise]" not in CHOICE.read_text(), reason="the kernel gives no large pages on request"
)
def test_a_large_tensor_takes_few_pages_unless_the_user_says_so():
    assert faults() < PAGES / 10
    assert faults(THP_MEM_ALLOC_ENABLE="0") > PAGES * 0.9
