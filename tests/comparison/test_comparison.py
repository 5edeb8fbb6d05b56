"""Models compared: the same frames and settings, each in a process of its own, and what is written of it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from undrawn import undrawn_figures

from torch_gptff.comparison import ComparedModel, Comparison, compare
from torch_gptff.comparison.contender import Contender
from torch_gptff.comparison.memory import peak_memory
from torch_gptff.comparison.process import main
from torch_gptff.comparison.report import error_and_cost
from torch_gptff.datasets import Split
from torch_gptff.errors import ConfigError, RecordError, TrainingError
from torch_gptff.graph import CrystalData
from torch_gptff.io import load
from torch_gptff.report import Table
from torch_gptff.training import contender
from torch_gptff.training.config import BatchSettings, DataSettings, ModelSettings, TrainingConfig
from torch_gptff.training.data import TrainingData

SMALL = {
    "schnet": {"hidden_channels": 8, "num_filters": 8, "num_interactions": 1, "cutoff": 3.5},
    "visnet": {"hidden_channels": 8, "num_heads": 2, "num_layers": 1, "num_rbf": 4, "cutoff": 3.5},
}


class InThisProcess:
    """Stands for a process of its own, whose start takes long."""

    def __init__(self, command: list[str], log: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few frames, and of Lightning: in a process they go to its log
            self.returncode = main(Path(command[-1]))

    def poll(self) -> int:
        return self.returncode

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copper and aluminium of effective-medium theory."""
    frames = []
    for seed in range(10):
        atoms = bulk("Cu" if seed % 2 else "Al", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    path = tmp_path_factory.mktemp("data") / "emt.extxyz"
    write(path, frames)
    return path


def settings(data: Path, model: str, **changes: object) -> TrainingConfig:
    config = TrainingConfig(
        model=ModelSettings(model, SMALL[model]),
        data=DataSettings(train=(str(data),), split="random", validation_fraction=0.2, test_fraction=0.3),
        batch=BatchSettings(max_frames=2),
        epochs=1,
    )
    return config.changed(**changes)


def frames(config: TrainingConfig) -> list[CrystalData]:
    return list(TrainingData.of(config.data, config.seed).train)[:2]


@pytest.fixture(scope="module")
def configs(data: Path) -> dict[str, TrainingConfig]:
    return {name: settings(data, name) for name in SMALL}


@pytest.fixture(scope="module")
def compared(configs: dict[str, TrainingConfig], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch, undrawn_figures():
        patch.setattr(contender, "_running", InThisProcess)
        return folder, compare(configs, folder, accelerator="cpu")


@pytest.mark.slow
def test_a_process_of_its_own_gives_what_this_one_gives(
    compared: tuple[Path, Comparison], configs: dict[str, TrainingConfig], tmp_path: Path
) -> None:
    _, comparison = compared
    config = configs["schnet"]
    stages: list[str] = []
    alone = Contender("schnet", config, tmp_path, "cpu").result(frames(config), progress=stages.append)
    assert ComparedModel.from_dict(alone).mae.forces == pytest.approx(comparison.models[0].mae.forces, rel=1e-4)
    assert stages[0] == "epoch 1 of 1"
    assert stages[-1] == "measuring time and memory"


def test_every_model_is_trained_on_the_same_frames_and_measured(compared: tuple[Path, Comparison]) -> None:
    folder, comparison = compared
    assert (comparison.part, comparison.counts["frames"], comparison.counts["forces"]) == ("test", 3, 36)
    splits = [Split.load(folder / name / "split.json") for name in SMALL]
    assert all((splits[0].parts[part] == splits[1].parts[part]).all() for part in ("train", "validation", "test"))
    for model in comparison.models:
        potential = load(folder / model.label / "best.safetensors")
        assert potential.model.name == model.model == model.label
        assert potential.model.config.cutoff == 3.5
        assert model.parameters == sum(weight.numel() for weight in potential.model.parameters())
        assert 0 < model.mae.forces <= model.rmse.forces
        assert model.epochs == 1
        assert min(model.seconds_per_epoch, model.seconds_per_inference) > 0
        assert model.memory >= 0


def test_what_is_written(compared: tuple[Path, Comparison]) -> None:
    folder, comparison = compared
    assert Comparison.load(folder / "comparison.json") == comparison
    page = (folder / "comparison.html").read_text()
    assert "Comparison of schnet, visnet" in page
    assert f"{comparison.models[0].parameters:,}" in page
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "comparison.svg").read_text()


def test_what_is_there_is_kept_on_a_resume(
    compared: tuple[Path, Comparison], configs: dict[str, TrainingConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, comparison = compared
    monkeypatch.setattr(Contender, "_apart", lambda *_: pytest.fail("a model was trained anew"))
    assert compare(configs, folder, resume=True) == comparison
    with pytest.raises(TrainingError, match="has a model schnet already"):
        compare(configs, folder)
    longer = {name: config.changed(epochs=2) for name, config in configs.items()}
    with pytest.raises(ConfigError, match="holds a model of other settings"):
        compare(longer, folder, resume=True)
    data = Path(configs["schnet"].data.train[0].path)
    kept = data.read_text()
    try:
        write(data, read(data, ":")[::-1])
        with pytest.raises(TrainingError, match="holds a model of other data than those that the files hold now"):
            compare(configs, folder, resume=True)
    finally:
        data.write_text(kept)


def test_models_differ_in_nothing_but_the_model(data: Path, tmp_path: Path) -> None:
    configs = {"schnet": settings(data, "schnet"), "visnet": settings(data, "visnet", epochs=2, seed=1)}
    with pytest.raises(ConfigError, match="visnet and schnet differ in epochs, seed"):
        compare(configs, tmp_path)
    with pytest.raises(ConfigError, match="cannot be the name of a folder"):
        compare({"../schnet": configs["schnet"]}, tmp_path)
    with pytest.raises(ConfigError, match="no models"):
        compare({}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_something_must_be_held_out(data: Path, tmp_path: Path) -> None:
    config = settings(data, "schnet")
    config = config.changed(data=replace(config.data, validation_fraction=0.0, test_fraction=0.0))
    with pytest.raises(TrainingError, match="nothing is held out"):
        compare({"schnet": config}, tmp_path)


def test_a_model_that_fails_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = settings(data, "schnet").changed(model=ModelSettings("schnet", {"cutoff": 0.0}))

    monkeypatch.setattr(contender, "_running", InThisProcess)
    with pytest.raises(TrainingError, match=r"^mine: cutoff must be positive"):
        compare({"mine": broken}, tmp_path)


def test_a_process_that_dies_is_reported(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = []
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dies"))
    (tmp_path / "dies").write_text("#!/bin/sh\nsleep 0.3\necho out of memory\nexit 9\n")
    (tmp_path / "dies").chmod(0o755)
    configs = {"schnet": settings(data, "schnet")}
    with pytest.raises(TrainingError, match=r"schnet: .* with exit code 9 after it printed 'out of memory'"):
        compare(configs, tmp_path / "out", progress=lambda *stage: stages.append(stage))
    assert (tmp_path / "out" / "schnet" / "output.txt").read_text() == "out of memory\n"
    assert ("schnet", "epoch 1 of 1") in stages


def test_a_process_ends_with_the_one_that_started_it() -> None:
    code = (
        "import sys, time\nfrom torch_gptff.comparison.parent import end_with_parent\n"
        "end_with_parent()\nprint('waiting', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    assert process.poll() is None
    process.stdin.close()  # as the system does for a process that is killed
    assert process.wait(timeout=60) == 1
    process.stdout.close()


def test_a_process_that_is_done_ends_by_itself() -> None:
    """While the thread that waits for its parent still reads; Python aborted there, with exit code -6."""
    code = (
        "import sys, time\nfrom torch_gptff.comparison.parent import end_with_parent\n"
        "end_with_parent()\ntime.sleep(0.3)\nsys.exit(0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stdin.close()
    process.stderr.close()


def test_table_and_plot_without_forces(compared: tuple[Path, Comparison]) -> None:
    _, comparison = compared
    blind = replace(
        comparison, models=tuple(replace(model, mae=replace(model.mae, forces=None)) for model in comparison.models)
    )
    table = Table.of([(model.label, model) for model in blind.models], ComparedModel.columns, "model")
    assert [len(row) for row in table.rows] == [len(table.columns)] * 2
    assert [column.name for column in table.columns][2:4] == ["energy MAE", "forces MAE"]
    assert table.rows[0][3] is None
    assert "energy" in error_and_cost(blind).axes[0].get_ylabel()
    assert "forces" in error_and_cost(comparison).axes[0].get_ylabel()


def test_a_file_of_something_else_is_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    for text in ("{", "[]", json.dumps({"models": [{"label": "schnet"}]})):
        path.write_text(text)
        with pytest.raises(RecordError, match=r"comparison\.json"):
            Comparison.load(path)


def test_peak_memory_is_that_of_the_work() -> None:
    """Not less where as much was used and released before, in pieces that the C library keeps."""

    def work() -> None:
        _ = [torch.ones(2**16, dtype=torch.uint8) for _ in range(640)]

    work()
    found = peak_memory(work, torch.device("cpu"))
    assert 30 * 2**20 < found < 80 * 2**20
