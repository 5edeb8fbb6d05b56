"""What PyG writes to the folder of temporary files does not stay there, and is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = """
import inspect, sys
from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.models import DimeNetPlusPlus, SchNet, SchNetConfig, ViSNet
{before}
model = GPTFF(GPTFFConfig.paper(channels=8, num_layers=1))
models = [GPTFF(GPTFFConfig(channels=8))]
models += [model, SchNet(SchNetConfig(hidden_channels=8)), ViSNet(), DimeNetPlusPlus()]
{after}
"""


def run(folder: Path, before: str = "", after: str = "") -> str:
    code = MODELS.format(before=before, after=after)
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


@pytest.mark.slow
def test_nothing_is_left_by_a_process_that_is_killed(tmp_path: Path) -> None:
    run(tmp_path, after="potentials = [Potential(each) for each in models]; import os; os.kill(os.getpid(), 9)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_nothing_is_left_and_the_source_of_what_was_removed_is_still_known(tmp_path: Path) -> None:
    propagate = "type(model.layers[0].bond).propagate"
    out = run(tmp_path, after=f"Potential(model)\nprint({propagate}.__module__)\nprint(inspect.getsource({propagate}))")
    assert "BondConv_propagate" in out
    assert "def propagate(" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_done_without(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = f"import tempfile; tempfile.tempdir = {str(tmp_path / folder)!r}"
    energy = (
        "import torch; print(float(model(torch.tensor([8, 1]), torch.tensor([[0., 0, 0], [1, 0, 0]])).detach()) > -99)"
    )
    assert run(tmp_path, before, energy) == "True\n"
