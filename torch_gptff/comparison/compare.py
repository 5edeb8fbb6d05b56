"""Several models trained on the same frames with the same settings: their errors and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from torch_gptff.comparison.contender import Contender
from torch_gptff.comparison.record import ComparedModel, Comparison
from torch_gptff.errors import ConfigError, TrainingError
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.data import TrainingData


def compare(
    configs: Mapping[str, TrainingConfig],
    out: str | Path,
    *,
    accelerator: str = "auto",
    resume: bool = False,
    progress: Callable[[str, str], None] | None = None,
) -> Comparison:
    """Train several models one after the other, each in a process of its own, and compare them.

    Every model has a folder of its own in ``out``, named by its label, as :func:`~torch_gptff.training.train` leaves
    it. ``out`` itself receives ``comparison.json``, ``comparison.html``, and ``comparison.png`` and ``comparison.svg``,
    errors of forces beside the time of inference.

    Args:
        configs: settings by label, which differ in ``model`` only
        out: folder of the results
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``, as Lightning has it
        resume: whether to keep the models in ``out``, and continue the unfinished one
        progress: called repeatedly with the label of a model and its current stage

    Raises:
        ConfigError: the configurations differ in more than the model, a label cannot be the name of a folder, or
            ``out`` holds a model of other settings.
        TrainingError: nothing is held out, ``out`` holds models already, or one of other data, or a model failed;
            names it.
        DatasetError, StructureError, SplitError: the data or the split cannot be used.
    """
    from torch_gptff.comparison.report import write_comparison

    shared = _shared(configs)
    folder = Path(out)
    there = [label for label in configs if (folder / label).exists()]
    if there and not resume:
        raise TrainingError(f"{folder} has a model {there[0]} already: resume the comparison, or choose another folder")
    data = TrainingData.of(shared.data, shared.seed)
    if not len(data.test) and not len(data.validation):
        raise TrainingError("nothing is held out to compare by: set data.test_fraction, or name files in data.test")
    frames = list(islice(data.train, shared.batch.max_frames))
    results = {}
    for label, config in configs.items():
        contender = Contender(label, config, folder / label, accelerator)
        results[label] = contender.result(frames, resume, progress and partial(progress, label), data.split.fingerprint)
    any_result = next(iter(results.values()))
    models = tuple(ComparedModel.from_dict({**result, "label": label}) for label, result in results.items())
    comparison = Comparison(any_result["part"], any_result["counts"], models)
    write_comparison(folder, comparison, shared)
    return comparison


def _shared(configs: Mapping[str, TrainingConfig]) -> TrainingConfig:
    """The settings that all configurations share: all but the model."""
    if not configs:
        raise ConfigError("there are no models to compare")
    for label in configs:
        if Path(label).name != label or label in (".", ".."):
            raise ConfigError(f"{label!r} cannot be the name of a folder: call the model something else")
    first_label, first = next(iter(configs.items()))
    for label, config in configs.items():
        ours, theirs = first.to_dict(), config.to_dict()
        different = [key for key in ours if key != "model" and ours[key] != theirs[key]]
        if different:
            raise ConfigError(
                f"{label} and {first_label} differ in {', '.join(different)}: models are compared on the same data "
                "with the same settings; give them the same"
            )
    return first
