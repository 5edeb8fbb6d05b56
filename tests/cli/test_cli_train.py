"""torch-gptff train and finetune: runs from files, several processes, kills, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ase.io import write
from emt_frames import MODEL, emt_frames

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.cli.train import sources
from torch_gptff.comparison import ComparedModel, Comparison
from torch_gptff.datasets import read_frames
from torch_gptff.datasets.frames import has_labels
from torch_gptff.evaluation import Scores
from torch_gptff.io import load
from torch_gptff.training.config import TrainingConfig

ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def settings(tmp_path):
    """A configuration file of a run of three epochs, and its table."""
    write(tmp_path / "metals.extxyz", emt_frames(40, seed=1))
    table = {
        "preset": "small-data",
        "model": {"config": MODEL},
        "data": {"train": [str(tmp_path / "metals.extxyz")], "split": "random", "validation_fraction": 0.2},
        "optimizer": {"ema": 0.0},
        "epochs": 3,
        "checkpoint_steps": 2,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(table))
    return path, table


def losses(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) for name in ("train_loss", "val_loss")]


def save_small(folder: Path) -> Path:
    save(Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))), folder / "small.safetensors")
    return folder / "small.safetensors"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "torch_gptff", *map(str, arguments)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the (forces|stresses) are")  # the small model knows next to nothing
def test_train_then_finetune(call, settings, tmp_path):
    path, _ = settings
    result = call("train", path, "--out", tmp_path / "run", "--set", "epochs=2", "--accelerator", "cpu")
    assert result.exit_code == 0, result.output
    assert "2 epochs" in result.output
    assert (tmp_path / "run" / "report.html").is_file()
    write(tmp_path / "other.extxyz", emt_frames(20, seed=3))
    arguments = ["--epochs", 2, "--freeze", "embedding", "--replay", tmp_path / "metals.extxyz", "--accelerator", "cpu"]
    files = [tmp_path / "run" / "best.safetensors", tmp_path / "other.extxyz"]
    result = call("finetune", *files, "--out", tmp_path / "tuned", *arguments, "--set", "data.validation_fraction=0.2")
    assert result.exit_code == 0, result.output
    tuned = load(tmp_path / "tuned" / "best.safetensors")
    assert [row["source"] for row in tuned.provenance["trained_on"]] == ["other", "metals"]
    document = json.loads((tmp_path / "tuned" / "evaluation.json").read_text())
    assert set(document["mae"]) >= {"energy_per_atom", "forces", "stress"}


def test_ways_to_keep_what_a_model_knows(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    finetune = import_module("torch_gptff.cli.finetune")
    monkeypatch.setattr(finetune, "run_training", lambda config, *_: seen.append(config))
    options = ["--replay", "universal", "--replay", "old.extxyz", "--lora", 4, "--layer-decay", 0.5]
    result = call("finetune", "model", "new.extxyz", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    (config,) = seen
    assert [source.path for source in config.data.replay] == ["universal", "old.extxyz"]
    assert (config.model.lora, config.model.layer_decay) == (4, 0.5)
    result = call("finetune", "model", "new.extxyz", "--out", tmp_path / "out", "--layer-decay", 2)
    assert result.exit_code == 1
    assert "model.layer_decay must be in (0, 1]; got 2.0" in result.stderr


def test_options_of_readers_go_to_every_source() -> None:
    found = sources(["a.extxyz", "b/a.extxyz"], ["naming=ref_"])
    assert [source.title for source in found] == ["a", "a-2"]
    assert [source.options for source in found] == [{"naming": "ref_"}] * 2


@pytest.mark.parametrize("arguments", [("finetune", "model"), ("compare", "--models", "gptff")])
def test_frames_of_two_namings_can_be_trained_on_as_the_message_says(
    call, settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    frames = emt_frames(4, seed=1)
    for atoms in frames[1::2]:
        atoms.info["REF_energy"] = atoms.get_potential_energy()
    write(tmp_path / "two.extxyz", frames)
    seen = []

    def compare(configs: dict[str, TrainingConfig], *_: object, **__: object) -> Comparison:
        seen.append(configs["gptff"])
        model = ComparedModel("gptff", "gptff", 1, 1, 1.0, 1.0, 1, "CPU", Scores(), Scores())
        return Comparison("test", {"frames": 1, "atoms": 1}, (model,))

    finetune = import_module("torch_gptff.cli.finetune")
    monkeypatch.setattr(finetune, "run_training", lambda config, *_: seen.append(config))
    monkeypatch.setattr("torch_gptff.comparison.compare", compare)
    refused = call("evaluate", save_small(tmp_path), tmp_path / "two.extxyz")
    assert refused.exit_code == 1
    advice = re.search(r"--option (naming=\w+)", " ".join(refused.stderr.split()))
    assert advice is not None, refused.stderr
    result = call(*arguments, tmp_path / "two.extxyz", "--out", tmp_path / "out", "--option", advice[1])
    assert result.exit_code == 0, result.output
    (source,) = seen[0].data.train
    frames = list(read_frames(source.path, **source.options))
    assert [has_labels(frame) for frame in frames] == [advice[1] == "naming=plain", True] * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the (forces|stresses) are")
def test_cooldown(call, settings, tmp_path):
    path, _ = settings
    common = ["--accelerator", "cpu", "--no-report"]
    result = call("cooldown", tmp_path / "none", "--out", tmp_path / "cold", *common)
    assert result.exit_code == 1
    assert "has no config.yaml" in result.output
    for schedule in ("cosine", "constant"):
        changes = ["--set", f"optimizer.schedule={schedule}", "--set", "epochs=1"]
        assert call("train", path, "--out", tmp_path / schedule, *changes, *common).exit_code == 0
    result = call("cooldown", tmp_path / "cosine", "--out", tmp_path / "cold", *common)
    assert result.exit_code == 1
    assert "and falls by itself" in " ".join(result.output.split())
    arguments = ["--epochs", 2, "--set", "loss.energy=20"]
    result = call("cooldown", tmp_path / "constant", "--out", tmp_path / "cold", *arguments, *common)
    assert result.exit_code == 0, result.output
    used = yaml.safe_load((tmp_path / "cold" / "config.yaml").read_text())
    assert used["optimizer"]["schedule"] == "decay"
    assert used["loss"]["energy"] == 20
    assert len(losses(tmp_path / "cold")) == 4


@pytest.mark.slow
def test_two_processes_or_machines_give_the_losses_of_one(call, settings, tmp_path):
    """Gradients are averaged over two batches, by two processes or by one that accumulates them.

    The machines, which torchrun starts, are both this one.
    """
    path, _ = settings
    common = (str(path), "--no-report", "--accelerator", "cpu")
    result = call("train", *common, "--out", tmp_path / "one", "--set", "batch.accumulate=2")
    assert result.exit_code == 0, result.output
    two = command("train", *common, "--out", tmp_path / "two", "--devices", 2)
    subprocess.run(two, check=True, env=ALONE, capture_output=True, timeout=300)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = ("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(port))
    training = ("-m", "torch_gptff", "train", *common, "--out", str(tmp_path / "machines"), "--nodes", "2")
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *meeting, "--node-rank", str(rank), *training],
            env=ALONE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [machine.communicate(timeout=300)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    found = {name: losses(tmp_path / name) for name in ("one", "two", "machines")}
    assert found["two"][1::2] == pytest.approx(found["one"][1::2], rel=1e-4), "validation losses"
    assert found["machines"] == pytest.approx(found["two"], rel=1e-6)


@pytest.mark.slow
def test_a_killed_process_resumes(call, settings, tmp_path):
    path, _ = settings
    arguments = ("train", path, "--no-report", "--accelerator", "cpu", "--out")
    process = subprocess.Popen(command(*arguments, tmp_path / "killed"), env=ALONE)
    state = tmp_path / "killed" / "last.ckpt"
    while not state.is_file():
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for more in ((tmp_path / "killed", "--resume"), (tmp_path / "whole",)):
        result = call(*arguments, *more)
        assert result.exit_code == 0, result.output
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_what_is_refused(call, settings, tmp_path):
    path, table = settings
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({**table, "epoch": 3}))
    result = call("train", wrong, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert not (tmp_path / "run").exists()
    assert call("train", path, "--out", tmp_path / "run", "--set", "epochs").exit_code == 2
    assert call("train", tmp_path / "absent.yaml", "--out", tmp_path / "run").exit_code == 1
    assert call("finetune", tmp_path / "absent.pth", path, "--out", tmp_path / "run").exit_code == 1
