"""A training run, from its configuration to the best model and a report."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from torch_gptff.datasets import Split
from torch_gptff.errors import ConfigError, TrainingError, UnsupportedElementError
from torch_gptff.evaluation import evaluate
from torch_gptff.evaluation.calibration import calibrate
from torch_gptff.graph.checks import element_ranges
from torch_gptff.io import load, save
from torch_gptff.io.files import claimed, written_atomically
from torch_gptff.nn import ElementEnergies
from torch_gptff.potential import Potential
from torch_gptff.training.callbacks import AtomicCheckpointIO, Interrupted, SaveBest, SaveState, WriteMetrics
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.data import TrainingData, held_out_loader, references_for, train_loader
from torch_gptff.training.files import BEST, CONFIG, EVALUATION, RUN, SPLIT, STATE
from torch_gptff.training.graphs import GraphFrames
from torch_gptff.training.loader import BudgetLoader
from torch_gptff.training.lora import add_low_rank
from torch_gptff.training.module import QUANTITIES, EnergyModelModule
from torch_gptff.training.record import LearningCurves, TrainingRun
from torch_gptff.training.references import References, counted_before
from torch_gptff.training.replay import with_replay_sets
from torch_gptff.training.start import starting_potential
from torch_gptff.training.state import StartFrom, known_references, position_of, read_state
from torch_gptff.training.suspicions import disagreements, suspicions

MONITORS = {"loss": "val_loss", **{name: f"val_{name}_mae" for name in QUANTITIES}}


def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    resume: bool = False,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    callbacks: Sequence[Callback] = (),
    report: bool = True,
) -> TrainingRun:
    """Train a potential.

    The folder receives the configuration, the split, the state to resume from, the best model, a line of figures for
    every epoch, logs for TensorBoard where it is installed, and at the end an evaluation, a report and the record of
    the run (``run.json``). SIGINT and SIGTERM take effect when the state has been saved after the step that is under
    way.

    Args:
        config: settings of the run
        out: folder of the run
        resume: whether to continue the run in ``out``, as if it had never stopped
        devices: number of processes of each machine that share the work
        nodes: number of machines that share the work, each of which starts the same run by SLURM or torchrun
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``, as Lightning has it
        callbacks: further callbacks of Lightning
        report: whether to evaluate the best model and write a report

    Raises:
        TrainingError: the folder has a run already, or none to resume, or one of other data; or the loss is no longer a
            number.
        ExistingResultsError: another process trains in the folder.
        ConfigError: the run in ``out`` is of another configuration.
        DatasetError, StructureError, SplitError, CheckpointError: see the modules of the data and the checkpoint. The
            state to resume from is refused where it holds anything but tensors and plain values, which unpickling
            could run; the classes in the state of a callback of one's own are made known with
            :func:`torch.serialization.add_safe_globals`.
    """
    folder = Path(out)
    _check_folder(folder, config, resume)
    with claimed(folder) if _leads() else nullcontext():
        try:
            return _train(config, folder, resume, (nodes, devices), accelerator, callbacks, report)
        except Interrupted as stop:
            signal.raise_signal(stop.signal)
            raise


def _train(
    config: TrainingConfig,
    folder: Path,
    resume: bool,
    processes: tuple[int, int],
    accelerator: str,
    callbacks: Sequence[Callback],
    report: bool,
) -> TrainingRun:
    potential = starting_potential(config.model, config.seed)
    trained = config.model.checkpoint is not None
    data = TrainingData.of(with_replay_sets(config.data, config.model.checkpoint), config.seed)
    _check_data(folder, data, resume)
    start = None if config.start is None or resume else read_state(config.start)
    references, frames, predictions = references_for(data, potential, config.seed, trained, config.loss.is_of_energies)
    if start is not None:
        references = known_references(start, references)
    odd = disagreements(frames, predictions, potential, references) if trained else []
    _warn([*suspicions(data.train), *odd])
    potential = _prepared(potential, references, data.pairs, config.precision, trained)
    if config.model.lora:
        add_low_rank(potential.model, config.model.lora, config.model.freeze, config.seed)
    if _leads():
        data.split.save(folder / SPLIT)
        with written_atomically(folder / CONFIG) as temporary:
            temporary.write_text(config.to_yaml(), encoding="utf-8")

    module = EnergyModelModule(potential, config, len(data.sources))
    metrics = WriteMetrics(folder)
    best = SaveBest(folder, MONITORS[config.monitor], provenance(config, data), references, data.sources)
    started = [] if start is None else [StartFrom(start)]
    with quiet_lightning():
        trainer = _trainer(config, folder, processes, accelerator, [metrics, best, *started, *callbacks])
        loader, held_out = _loaders(data, potential, references, config, trainer)
        state = folder / STATE if resume else None
        if state is not None:
            loader.resume_at(*position_of(read_state(folder), state))
        trainer.fit(module, loader, held_out, ckpt_path=state, weights_only=True)
    run = TrainingRun(folder, LearningCurves.of_rows(metrics.rows), MONITORS[config.monitor])
    if _leads():
        _calibrate(folder, data)
        if report:
            run = _evaluated(run, data)
        run.save(folder / RUN)
    return run


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's messages about devices and tips, and its false warnings, for the duration of a block."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # from Lightning, about torch
            warnings.filterwarnings("ignore", ".*sync_dist=True")  # the metrics are summed over devices before
            warnings.filterwarnings("ignore", "Grad strides do not match")  # for an axis of length one
            yield
    finally:
        logger.setLevel(level)


def provenance(config: TrainingConfig, data: TrainingData) -> dict[str, Any]:
    """Provenance of the weights of a run, for their checkpoint."""
    sources = data.train.frames.sources
    return {
        "trained_on": [
            {"source": source.title, "path": Path(source.path).name, "licence": source.licence} for source in sources
        ],
        "frames": {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)},
        "split": {"fingerprint": data.split.fingerprint, **data.split.made_by},
        "training": config.to_dict(),
    }


def _leads() -> bool:
    """Whether this process writes files: the only one, or the first of several."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _check_folder(folder: Path, config: TrainingConfig, resume: bool) -> None:
    """Refuse a folder that has another run, or none to resume. A run that left no state yet can be started again."""
    if resume:
        if not (folder / STATE).is_file():
            raise TrainingError(f"{folder}: there is no {STATE} to resume from; start the run without resuming")
        before = TrainingConfig.from_yaml(folder / CONFIG)
        if config.optimizer.schedule == "constant":
            before = before.changed(epochs=config.epochs)
        if before != config:
            raise ConfigError(
                f"{folder / CONFIG} is of another run than the one to be resumed: give the same configuration"
            )
    elif _leads() and any((folder / name).exists() for name in (STATE, BEST)):
        raise TrainingError(f"{folder}: there is a run in this folder already; resume it, or choose another folder")


def _check_data(folder: Path, data: TrainingData, resume: bool) -> None:
    """Refuse to go on with a run whose data have changed: references and the order of frames would be others."""
    if resume and Split.load(folder / SPLIT).fingerprint != data.split.fingerprint:
        raise TrainingError(
            f"{folder}: the run was trained on other frames than those that the data files hold now: the training data "
            "are no longer those of this run; start another run from its state, with the setting "
            f"start: {folder}"
        )


def _warn(sentences: Sequence[str]) -> None:
    if _leads():
        for sentence in sentences:
            warnings.warn(sentence, stacklevel=3)


def _prepared(
    potential: Potential, references: References, pairs: frozenset[tuple[int, int]], precision: str, trained: bool
) -> Potential:
    """The potential with the element energies of the data, in the precision it is trained in."""
    model, energies = potential.model, references.common
    if trained:
        energies = {**counted_before(potential, references.first), **energies}
    model.elements = frozenset(energies) if trained else model.elements & frozenset(energies)
    missing = frozenset(energies) - model.elements
    if missing:
        raise UnsupportedElementError(f"the model has no parameters for {element_ranges(missing)}, which the data hold")
    prepared = Potential(model.double() if precision == "float64" else model.float(), ElementEnergies(energies))
    prepared.provenance = potential.provenance
    if trained:
        prepared.seen_pairs = None if potential.seen_pairs is None else potential.seen_pairs | pairs
    else:
        prepared.seen_pairs = pairs
    return prepared.requires_grad_().train()


def _trainer(
    config: TrainingConfig, folder: Path, processes: tuple[int, int], accelerator: str, callbacks: list[Callback]
) -> Trainer:
    nodes, devices = processes
    if config.patience:
        callbacks.append(EarlyStopping(MONITORS[config.monitor], patience=config.patience, check_finite=False))
    backend = None if accelerator == "auto" else {"cpu": "gloo"}.get(accelerator)
    return Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(process_group_backend=backend) if nodes * devices > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        max_epochs=config.epochs,
        accumulate_grad_batches=config.batch.accumulate,
        callbacks=[*callbacks, SaveState(folder, config.checkpoint_steps)],
        plugins=[AtomicCheckpointIO()],
        logger=_logger(folder),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        inference_mode=False,  # forces are a gradient
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def _logger(folder: Path) -> TensorBoardLogger | bool:
    if find_spec("tensorboard") is None:
        return False
    return TensorBoardLogger(folder, name="", version="tensorboard")


def _loaders(
    data: TrainingData, potential: Potential, references: References, config: TrainingConfig, trainer: Trainer
) -> tuple[BudgetLoader, BudgetLoader | None]:
    """The batches of this process, for training and for validation."""
    train, validation = (
        GraphFrames(part.frames, part.numbers, potential.model, references.shifts(part.titles))
        for part in (data.train, data.validation)
    )
    train.check_stored_graphs()
    rank, world_size = trainer.global_rank, trainer.world_size
    return (
        train_loader(data.train, train, config, rank, world_size),
        held_out_loader(validation, config, rank, world_size) if len(validation) else None,
    )


def _in_common_reference(potential: Potential, first: str) -> tuple[Potential, References]:
    """The potential in the reference that its labels were aligned to, which has every element; and that reference."""
    references = References(potential.references, first)
    return Potential(potential.model, references.common), references


def _calibrate(folder: Path, data: TrainingData) -> None:
    """Calibrate the uncertainties of a committee on the validation frames, where there are some."""
    potential = load(folder / BEST)
    if potential.model.num_readouts > 1 and len(data.validation):
        measured, references = _in_common_reference(potential, data.sources[0])
        try:
            calibrate(measured, data.validation.counted_from(references))
        except TrainingError as error:
            _warn([f"the uncertainties are not calibrated: {error}"])
            return
        potential.calibration = measured.calibration
        save(potential, folder / BEST)


def _evaluated(run: TrainingRun, data: TrainingData) -> TrainingRun:
    """The run with the errors of its best model on frames held out, whose evaluation and report are written."""
    from torch_gptff.training.report import write_training_report

    potential, references = _in_common_reference(load(run.best), data.sources[0])
    for name, part in (("test", data.test), ("validation", data.validation)):
        if len(part):
            evaluation = evaluate(potential, part.counted_from(references))
            evaluation.save(run.folder / EVALUATION)
            write_training_report(run.folder, evaluation, name)
            return replace(run, part=name, mae=evaluation.mae, rmse=evaluation.rmse)
    return run
