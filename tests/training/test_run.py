"""Whole training runs: what they leave behind, what they learn, and what they refuse."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import read, write
from emt_frames import MODEL, emt_frames
from lightning.pytorch import Callback
from undrawn import undrawn_figures

from torch_gptff.datasets import open_dataset, random_split
from torch_gptff.errors import (
    CheckpointError,
    CheckpointFormatError,
    ConfigError,
    ExistingResultsError,
    GraphError,
    SplitError,
    TrainingError,
    UnsafeCheckpointError,
    UnsupportedElementError,
)
from torch_gptff.io import load
from torch_gptff.io.files import claimed
from torch_gptff.models import GPTFFConfig
from torch_gptff.record import to_dataframe
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.batching import BudgetSampler
from torch_gptff.training.callbacks import Interrupted
from torch_gptff.training.config import DataSettings, LossSettings, ModelSettings, SourceSettings
from torch_gptff.training.record import LearningCurves, TrainingRun


def losses(folder: Path) -> list[tuple[str, ...]]:
    """The figures of every epoch but the time it took."""
    with (folder / "metrics.csv").open() as file:
        return [tuple(value for name, value in row.items() if name != "seconds") for row in csv.DictReader(file)]


def constant(config: TrainingConfig, **changes: object) -> TrainingConfig:
    return replace(config, optimizer=replace(config.optimizer, schedule="constant", name="muon"), **changes)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory) -> TrainingRun:
    """A run of three epochs, which no test changes."""
    with undrawn_figures():
        return train(config, tmp_path_factory.mktemp("finished") / "run", accelerator="cpu")


@pytest.fixture(scope="module")
def steady(config, tmp_path_factory) -> TrainingRun:
    """The same at a constant learning rate."""
    folder = tmp_path_factory.mktemp("steady") / "run"
    return train(constant(config), folder, accelerator="cpu", report=False)


@pytest.fixture(scope="module")
def first(config, tmp_path_factory) -> TrainingRun:
    """The first epoch of it."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return train(constant(config, epochs=1), folder, accelerator="cpu", report=False)


def copied(run: TrainingRun, folder: Path) -> Path:
    """The folder of a run, for a test that goes on with it or changes it."""
    return shutil.copytree(run.folder, folder)


def test_a_run_leaves_model_figures_split_and_report(config, tmp_path, undrawn):
    tested = replace(config, epochs=2, data=replace(config.data, test_fraction=0.2))
    run = train(tested, tmp_path / "run", accelerator="cpu")
    names = {path.name for path in run.folder.iterdir()}
    assert {"best.safetensors", "config.yaml", "evaluation.json", "last.ckpt", "metrics.csv", "report.html",
            "split.json", "run.json"} <= names  # fmt: skip
    assert run.part == "test"
    assert run.evaluation.counts["frames"] == 8
    assert len(losses(run.folder)) == run.epochs == 2
    potential = load(run.best)
    assert potential.model.elements == {29, 79}
    assert potential.seen_pairs == {(29, 79)}
    assert potential.provenance["frames"] == {"train": 24, "validation": 8, "test": 8}


def test_the_record_of_a_run_is_read_again(finished):
    """A run from its files: the same record, and the evaluation whose errors it states."""
    again = TrainingRun.load(finished.folder / "run.json")
    assert again == finished
    assert again.curves == LearningCurves.read(finished.folder / "metrics.csv")
    assert (again.part, again.best) == ("validation", finished.folder / "best.safetensors")
    assert again.mae == again.evaluation.mae
    least = min(again.curves.epochs, key=lambda epoch: epoch.val_loss)
    assert again.best_epoch == least.epoch
    assert again.mae.forces == pytest.approx(least.val_forces_mae, rel=1e-4)
    table = to_dataframe(again.curves.epochs)
    assert list(table["forces MAE (meV/Å)"]) == pytest.approx(1000 * again.curves.values("val_forces_mae"))
    assert list(again.to_dataframe()["epochs"]) == [3]


def test_tensorboard_is_told_of_steps_and_epochs(finished):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.folder / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [9, 19]
    assert len(events.Scalars("lr")) == 2
    assert len(events.Scalars("val_loss")) == 3


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_it_learns(optimizer, config, tmp_path):
    """The error of the forces falls on frames that it was not trained on."""
    fast = replace(config, epochs=8, optimizer=replace(config.optimizer, name=optimizer, lr=0.02))
    run = train(fast, tmp_path / "run", accelerator="cpu", report=False)
    rows = losses(run.folder)
    first, last = (float(row[6]) for row in (rows[0], rows[-1]))
    assert last < 0.6 * first


def test_the_best_model_is_the_average_of_the_best_epoch(finished):
    best = min(float(row[4]) for row in losses(finished.folder))
    state = torch.load(finished.folder / "last.ckpt", weights_only=False)
    assert any(name.startswith("average.module.") for name in state["state_dict"])
    energy_mae = finished.evaluation.mae.energy_per_atom
    (row,) = [row for row in losses(finished.folder) if float(row[4]) == best]
    assert finished.part == "validation"
    assert energy_mae == pytest.approx(float(row[5]), rel=1e-4)


class Killed(BaseException):
    """Stands for a kill: nothing that a run does at its end is done."""


def killed_after(steps: int):
    class Kill(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == steps:
                raise Killed

    return Kill()


@pytest.fixture
def random(config):
    """With dropout, and readouts that are drawn: a run that goes another way when it meets other random numbers."""
    settings = GPTFFConfig.paper(
        channels=8, num_layers=1, num_radial=4, cutoff=4.0, angle_cutoff=3.2, dropout=0.2, num_readouts=2
    ).to_dict()
    optimizer = replace(config.optimizer, name="muon")  # with a state of its own beside AdamW's
    return replace(config, model=replace(config.model, config=settings), optimizer=optimizer, checkpoint_steps=3)


def test_a_resumed_run_is_the_run_that_was_not_stopped(random, tmp_path):
    """Stopped before the first epoch is over, at its end, in the middle of the second and of the last one."""
    whole = train(random, tmp_path / "whole", accelerator="cpu", report=False)
    for steps in (4, 8, 11, 21):
        stopper = [killed_after(steps)]
        with pytest.raises(Killed):
            train(random, tmp_path / "stopped", accelerator="cpu", report=False, callbacks=stopper, resume=steps > 4)
    resumed = train(random, tmp_path / "stopped", accelerator="cpu", report=False, resume=True)
    assert losses(resumed.folder) == losses(whole.folder)
    ours, theirs = (load(run.best).state_dict() for run in (resumed, whole))
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


def test_a_run_with_a_constant_rate_is_made_longer(config, steady, first, tmp_path):
    """One epoch, made two and, killed in the third, made three, is a run of three."""
    folder = copied(first, tmp_path / "longer")
    longer = constant(config, epochs=4)
    with pytest.raises(Killed):
        train(longer, folder, accelerator="cpu", report=False, resume=True, callbacks=[killed_after(21)])
    run = train(constant(config, epochs=3), folder, accelerator="cpu", report=False, resume=True)
    assert losses(run.folder) == losses(steady.folder)
    with pytest.raises(ConfigError, match="of another run"):
        train(config, run.folder, resume=True)


def test_a_run_cools_down_from_another_which_goes_on(config, tmp_path):
    """It starts from the other's weights, average and optimiser, and ends nearer; the other is not touched."""
    warm = train(constant(config, epochs=6), tmp_path / "warm", accelerator="cpu", report=False)
    before = (warm.folder / "last.ckpt").read_bytes()
    falling = constant(config, epochs=3, start=str(warm.folder), checkpoint_steps=3)
    falling = replace(falling, optimizer=replace(falling.optimizer, schedule="decay"), loss=LossSettings(energy=20.0))
    cold = train(falling, tmp_path / "cold", accelerator="cpu", report=False)
    assert (warm.folder / "last.ckpt").read_bytes() == before
    rates = [float(row[2]) for row in losses(cold.folder)]
    assert config.optimizer.lr > rates[0] > rates[1] > rates[2] > config.optimizer.final_lr
    forces = [float(row[6]) for folder in (warm.folder, cold.folder) for row in losses(folder)]
    assert min(forces[6:]) < min(forces[:6])
    assert load(cold.best).references == load(warm.best).references

    with pytest.raises(Killed):
        train(falling, tmp_path / "stopped", accelerator="cpu", report=False, callbacks=[killed_after(11)])
    resumed = train(falling, tmp_path / "stopped", accelerator="cpu", report=False, resume=True)
    assert losses(resumed.folder) == losses(cold.folder)


def test_the_first_step_from_another_run_is_its_next_one(config, steady, first, tmp_path, monkeypatch):
    """The weights and the memory of the optimiser are the other's: with the same frames it takes the same steps."""
    batches = BudgetSampler.batches
    monkeypatch.setattr(BudgetSampler, "batches", lambda self, epoch: batches(self, epoch + (not self.shuffle or 1)))
    next_one = constant(config, epochs=1, start=str(first.folder))
    second = train(next_one, tmp_path / "second", accelerator="cpu", report=False)
    assert losses(second.folder)[0][3:] == losses(steady.folder)[1][3:]


def test_a_run_starts_from_another_with_more_data(metals, config, first, tmp_path):
    """The reference of energy stays that of the other run, and new elements are added to it."""
    more = [*read(metals, ":"), *emt_frames(30, seed=4, offset=0.5, symbols=("Cu", "Ag"))]
    write(tmp_path / "metals.extxyz", more)
    data = replace(config.data, train=(SourceSettings(str(tmp_path / "metals.extxyz")),))
    second = constant(config, epochs=1, data=data, start=str(first.folder))
    run = train(second, tmp_path / "second", accelerator="cpu", report=False)
    before, after = load(first.best).element_energies.energies, load(run.best).element_energies.energies
    assert torch.equal(before[[29, 79]], after[[29, 79]])
    assert load(first.best).model.elements == {29, 79}
    assert load(run.best).model.elements == {29, 47, 79}
    assert after[47] != before[47]

    changed = tmp_path / "changed.extxyz"
    write(changed, more)
    moved = replace(config.data, train=(SourceSettings(str(changed), name="metals"),))
    again = train(constant(config, epochs=1, data=moved), tmp_path / "again", accelerator="cpu", report=False)
    write(changed, more[:-1])
    with pytest.raises(TrainingError, match="the training data are no longer those of this run"):
        train(constant(config, epochs=2, data=moved), again.folder, accelerator="cpu", resume=True)


def test_what_a_run_cannot_start_from_is_refused(config, first, tmp_path):
    with pytest.raises(TrainingError, match=r"last\.ckpt is missing"):
        train(constant(config, start=str(tmp_path / "none")), tmp_path / "a", accelerator="cpu")
    wider = replace(config.model, config={**MODEL, "channels": 16})
    with pytest.raises(TrainingError, match="its model, optimizer or number of sources is another"):
        train(constant(config, start=str(first.folder), model=wider), tmp_path / "b", accelerator="cpu")
    broken = copied(first, tmp_path / "broken")
    (broken / "last.ckpt").write_bytes(b"no state")
    with pytest.raises(CheckpointFormatError, match="truncated or corrupt"):
        train(constant(config, start=str(broken)), tmp_path / "c", accelerator="cpu")


@pytest.mark.parametrize(("name", "step"), [("SIGINT", 5), ("SIGTERM", 8), ("SIGTERM", 16)])
def test_a_signal_stops_a_run_after_its_state_is_saved(config, tmp_path, name, step):
    """In the middle of an epoch, at its end, and at that of the last; no step is taken twice."""
    config, number = replace(config, epochs=2), getattr(signal, name)
    steps, seen = [], []

    class Send(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            steps.append(trainer.global_step)
            if trainer.global_step == step - 1 and not seen:
                signal.raise_signal(number)

    before = signal.signal(number, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(Interrupted):
            train(config, tmp_path / "run", accelerator="cpu", report=False, callbacks=[Send()])
        assert seen == [number]
    finally:
        signal.signal(number, before)
    assert len(steps) == step
    train(config, tmp_path / "run", accelerator="cpu", report=False, resume=True, callbacks=[Send()])
    assert steps == list(range(16))


class TouchesAFile:
    """Unpickling it makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch '{self.file}'",)


def test_a_state_that_runs_code_is_not_loaded(config, first, tmp_path):
    same, folder = constant(config, epochs=1), copied(first, tmp_path / "run")
    state = folder / "last.ckpt"
    content = torch.load(state, weights_only=True)
    torch.save({**content, "callbacks": TouchesAFile(tmp_path / "ran")}, state)
    with pytest.raises(UnsafeCheckpointError, match=r"last\.ckpt holds objects other than tensors"):
        train(same, folder, accelerator="cpu", resume=True)
    state.write_bytes(pickle.dumps(TouchesAFile(tmp_path / "ran")))
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        train(same, folder, accelerator="cpu", resume=True)
    torch.save({"position": 3}, state)
    with pytest.raises(CheckpointFormatError, match="not the state of a training run"):
        train(same, folder, accelerator="cpu", resume=True)
    state.write_bytes(b"PK\x03\x04 half of it")
    with pytest.raises(CheckpointFormatError, match="truncated or corrupt"):
        train(same, folder, accelerator="cpu", resume=True)
    assert not (tmp_path / "ran").exists()


def test_a_run_does_not_go_on_with_other_frames(config, tmp_path):
    file = tmp_path / "frames.extxyz"
    write(file, emt_frames(20, seed=6))
    short = replace(config, data=replace(config.data, train=(SourceSettings(str(file)),)), epochs=1)
    train(short, tmp_path / "run", accelerator="cpu", report=False)
    write(file, emt_frames(20, seed=7))
    with pytest.raises(TrainingError, match="trained on other frames than those that the data files hold now"):
        train(short, tmp_path / "run", accelerator="cpu", resume=True)


def test_two_runs_do_not_share_a_folder(config, tmp_path):
    with claimed(tmp_path / "run"), pytest.raises(ExistingResultsError, match="another process is writing to"):
        train(config, tmp_path / "run", accelerator="cpu")
    assert not (tmp_path / "run").exists()


def test_a_run_that_left_no_state_is_started_again(config, tmp_path):
    """Data that cannot be read, or a kill before the first state, do not take the folder."""
    absent = replace(config, data=DataSettings(train=(str(tmp_path / "absent.extxyz"),)))
    with pytest.raises(FileNotFoundError):
        train(absent, tmp_path / "run", accelerator="cpu")
    short = replace(config, epochs=1)
    with pytest.raises(Killed):
        train(short, tmp_path / "run", accelerator="cpu", callbacks=[killed_after(1)])
    assert train(short, tmp_path / "run", accelerator="cpu", report=False).best.is_file()


def test_a_monitor_without_labels_is_named(config, tmp_path):
    frames = emt_frames(20, seed=6)
    for atoms in frames:
        del atoms.calc.results["stress"]
    write(tmp_path / "no-stress.extxyz", frames)
    data = replace(config.data, train=(SourceSettings(str(tmp_path / "no-stress.extxyz")),))
    with pytest.raises(TrainingError, match="val_stress_mae is not a number in epoch 0: choose another monitor"):
        train(replace(config, monitor="stress", data=data), tmp_path / "run", accelerator="cpu")


def test_two_sources_share_a_body_and_keep_their_references(metals, config, tmp_path, without_page):
    other = tmp_path / "other.extxyz"
    write(other, emt_frames(40, seed=2, offset=-5.0))
    data = replace(config.data, train=(SourceSettings(str(metals), name="a"), SourceSettings(str(other), name="b")))
    run = train(replace(config, data=data), tmp_path / "run", accelerator="cpu")
    potential = load(run.best)
    assert potential.reference == "a"
    atoms = read(metals, "0")
    in_a = potential.predict([atoms])[0].energy.item()
    in_b = potential.use_reference("b").predict([atoms])[0].energy.item()
    assert (in_b - in_a) / len(atoms) == pytest.approx(-5.0, abs=0.2)
    assert run.evaluation.mae.energy_per_atom < 0.5, "energies of both are counted from the first"


@pytest.mark.filterwarnings("ignore:the (forces|stresses) are")  # one epoch teaches next to nothing
def test_a_source_may_have_elements_that_the_first_lacks(metals, config, tmp_path, without_page):
    other = tmp_path / "other.extxyz"
    write(other, emt_frames(30, seed=4, offset=-3.0, symbols=("Cu", "Ag")))
    sources = (SourceSettings(str(metals), name="a"), SourceSettings(str(other), name="b"))
    settings = replace(config.model, config={**MODEL, "num_readouts": 2})
    run = train(
        replace(config, epochs=1, model=settings, data=replace(config.data, train=sources)),
        tmp_path / "run",
        accelerator="cpu",
    )
    potential = load(run.best)
    assert potential.calibration is not None
    assert run.evaluation.counts["frames"] == 14
    with pytest.raises(UnsupportedElementError, match="'a' has no energy of Ag"):
        potential.predict([read(other, "0")])
    potential.use_reference("b").predict([read(other, "0")])

    again = replace(
        config, epochs=1, model=ModelSettings(checkpoint=str(run.best)), data=replace(config.data, train=sources)
    )
    longer = load(train(again, tmp_path / "longer", accelerator="cpu", report=False).best)
    assert longer.references["b"][47] == pytest.approx(potential.references["b"][47], abs=1.0)
    assert longer.reference == "a"


def test_patience_ends_a_run(config, tmp_path):
    slow = replace(config, patience=2, epochs=30, optimizer=replace(config.optimizer, lr=1e-12, final_lr=0.0, ema=0.0))
    assert train(slow, tmp_path / "run", accelerator="cpu", report=False).epochs < 30


def test_float64_and_bfloat16(config, tmp_path):
    for precision, dtype in (("float64", torch.float64), ("bfloat16", torch.float32)):
        short = replace(config, precision=precision, epochs=1)
        run = train(short, tmp_path / precision, accelerator="cpu", report=False)
        assert load(run.best).model.dtype == dtype
        assert all(np.isfinite(float(value)) for row in losses(run.folder) for value in row)


def test_a_loss_that_is_no_number_names_frames(config, tmp_path):
    hot = replace(config, optimizer=replace(config.optimizer, lr=1e12, warmup=0.0, clip=0.0))
    with pytest.raises(TrainingError, match=r"metals\.extxyz@|gradient is no longer finite"):
        train(hot, tmp_path / "run", accelerator="cpu", report=False)


def test_what_is_refused(config, metals, finished, tmp_path):
    with pytest.raises(TrainingError, match="nothing to train on"):
        train(TrainingConfig(), tmp_path / "none")
    with pytest.raises(TrainingError, match="to resume from"):
        train(config, tmp_path / "new", resume=True)
    with pytest.raises(TrainingError, match="there is a run in this folder already"):
        train(config, finished.folder)
    with pytest.raises(ConfigError, match="of another run"):
        train(replace(config, epochs=1), finished.folder, resume=True)
    twice = replace(config, data=DataSettings(train=(str(metals), str(metals))))
    with pytest.raises(TrainingError, match="two sources have one name"):
        train(twice, tmp_path / "twice")
    with pytest.raises(ConfigError, match="no parameter's name begins with layer_s"):
        train(replace(config, model=replace(config.model, freeze=("layer_s",))), tmp_path / "freeze")


def test_a_stored_split_is_kept(config, metals, tmp_path):
    fractions = {"train": 0.3, "validation": 0.1, "test": 0.2, "unused": 0.4}
    random_split(open_dataset(metals), fractions, seed=3).save(tmp_path / "split.json")
    data = replace(config.data, split=str(tmp_path / "split.json"))
    run = train(replace(config, data=data, epochs=1), tmp_path / "run", accelerator="cpu", report=False)
    assert load(run.best).provenance["frames"] == {"train": 12, "validation": 4, "test": 8}
    write(tmp_path / "other.extxyz", emt_frames(40, seed=2))
    other = replace(data, train=(SourceSettings(str(tmp_path / "other.extxyz")),))
    with pytest.raises(SplitError, match="belongs to other data"):
        train(replace(config, data=other), tmp_path / "other", accelerator="cpu")


def test_stored_graphs_of_other_cutoffs_are_refused(config, metals, tmp_path):
    from torch_gptff.datasets import LMDBCrystalDataset
    from torch_gptff.graph import PeriodicRadiusGraph

    LMDBCrystalDataset(tmp_path / "stored", [metals], pre_transform=PeriodicRadiusGraph(3.0), log=False)
    data = replace(config.data, train=(SourceSettings(str(tmp_path / "stored")),))
    with pytest.raises(GraphError, match="store the frames again with these cutoffs"):
        train(replace(config, data=data), tmp_path / "run", accelerator="cpu")


@pytest.mark.filterwarnings("ignore:the (forces|stresses) are")  # the small model knows next to nothing
def test_fine_tuning_moves_the_reference_and_freezes(config, finished, tmp_path):
    other = tmp_path / "other.extxyz"
    write(other, emt_frames(30, seed=5, offset=2.0))
    tuned = replace(
        config,
        model=ModelSettings(checkpoint=str(finished.best), freeze=("embedding", "layers")),
        data=DataSettings(train=(str(other),), split="random", validation_fraction=0.2),
    )
    with pytest.warns(UserWarning, match=r"\+2\.\d\d eV for"):
        run = train(tuned, tmp_path / "tuned", accelerator="cpu", report=False)
    before, after = load(finished.best), load(run.best)
    assert torch.equal(before.model.embedding.weight, after.model.embedding.weight)
    assert not torch.equal(before.model.readout.fc1.weight, after.model.readout.fc1.weight)
    moved = after.element_energies.energies - before.element_energies.energies
    torch.testing.assert_close(moved[[29, 79]], torch.full((2,), 2.0, dtype=torch.float64), atol=0.3, rtol=0)


def test_a_committee_is_calibrated(config, tmp_path):
    committee = replace(config, model=replace(config.model, config={**MODEL, "num_readouts": 3}))
    potential = load(train(committee, tmp_path / "run", accelerator="cpu", report=False).best)
    assert potential.calibration.energy > 0
    assert potential.calibration.forces > 0
    assert potential.provenance["frames"]["validation"] == 8
