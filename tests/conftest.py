"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from undrawn import undrawn_figures

torch.set_num_threads(1)  # the structures here are small: more threads would wait for each other


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published checkpoints, golden values and DFT data."""
    folder = os.environ.get("TORCH_GPTFF_DATA")
    if not folder:
        pytest.skip("TORCH_GPTFF_DATA is not set: it names the folder of published checkpoints and DFT data")
    path = Path(folder)
    if not (path / "pretrained").is_dir():
        pytest.fail(f"TORCH_GPTFF_DATA={folder} has no folder pretrained/")
    return path


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for this test alone."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Figures of pages are not drawn, which takes longer than the rest, and is tested with the reports."""
    with undrawn_figures():
        yield
