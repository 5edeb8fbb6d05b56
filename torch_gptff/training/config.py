"""Settings of a training run: one frozen dataclass for each part, together one YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch_gptff.errors import ConfigError
from torch_gptff.settings import check_types, from_table

MAX_ITEMS = 100_000
"""Values in a YAML file of settings."""

SCHEDULES = ("cosine", "constant", "decay")
CHOSEN_BY = ("loss", "energy", "forces", "stress")


def _check(ok: bool, name: str, value: object, must: str) -> None:
    if not ok:
        raise ConfigError(f"{name} must be {must}; got {value!r}")


@dataclass(frozen=True)
class ModelSettings:
    """Settings of the model.

    Attributes:
        name: name of a registered energy model
        config: fields of its configuration; others keep their defaults
        checkpoint: a path or name to start from, instead of random weights; ``name`` and ``config`` are then its own,
            but for ``config.properties``, which are added to a GPTFF
        repair: whether a GPTFF from a checkpoint gets the recommended readout and envelope
        freeze: beginnings of the names of parameters that are not trained
        learning_rates: factors of the learning rate, by the beginning of parameter names
        layer_decay: factor of the learning rate from a layer to the one before it: the readout learns with ``lr``, the
            last layer with ``layer_decay`` times that, and so on down to the embedding of the elements
        lora: rank of updates of the weights of a checkpoint, which are all that is trained; 0 to train the parameters
            themselves
    """

    name: str = "gptff"
    config: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    repair: bool = False
    freeze: tuple[str, ...] = ()
    learning_rates: Mapping[str, float] = field(default_factory=dict)
    layer_decay: float = 1.0
    lora: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name, factor in self.learning_rates.items():
            _check(factor >= 0, f"model.learning_rates.{name}", factor, "at least 0")
        _check(0 < self.layer_decay <= 1, "model.layer_decay", self.layer_decay, "in (0, 1]")
        _check(self.lora >= 0, "model.lora", self.lora, "at least 0")


@dataclass(frozen=True)
class SourceSettings:
    """Settings of a source: frames whose energies share a reference. In YAML, a path alone is a source with defaults.

    Attributes:
        path: a file or folder, of any format that :mod:`torch_gptff.datasets` reads
        name: name of the source; by default that of the file or folder
        format: format of the data; by default found from name and content
        options: options of the reader
        frequency: number of times that each frame is used in an epoch; 0.1 takes a tenth of the frames each time
        weight: weight of its frames in the loss
        licence: licence of the data, stored with the model
        reference: the name of another source whose reference of energy these frames share; by default they have one of
            their own
    """

    path: str
    name: str | None = None
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    frequency: float = 1.0
    weight: float = 1.0
    licence: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("frequency", "weight"):
            _check(getattr(self, name) > 0, f"{name} of {self.path}", getattr(self, name), "positive")

    @property
    def title(self) -> str:
        """Name of the source."""
        return self.name or Path(self.path).name.split(".")[0]


@dataclass(frozen=True)
class DataSettings:
    """Settings of the data.

    Energies of all sources are counted from the reference of the first one in ``train``: element energies are fitted to
    each source, with those that share its reference, and the differences taken off.

    Attributes:
        train: sources of training frames
        validation: sources of validation frames; where there are none, a part of ``train`` is held out
        test: sources of test frames; where there are none, a part of ``train`` is held out
        split: division of ``train``: ``"material"``, no material in two parts; ``"random"``; or ``"given"``, as the
            files themselves say, and what they do not say by material (at random where all is one material); or the
            path of a stored split of the training frames, whose parts beside train, validation and test are left out
        validation_fraction: fraction of ``train`` for validation, where ``validation`` is empty
        test_fraction: fraction of ``train`` for the test, where ``test`` is empty
        replay: sources of older frames, mixed in against forgetting; the name ``"universal"`` stands for known crystals
            with the labels of the checkpoint that is trained, see :mod:`torch_gptff.training.replay`
        replay_fraction: fraction of the frames of an epoch that come from ``replay``
        workers: number of processes that load data and build graphs; 0 for the training process
    """

    train: tuple[SourceSettings, ...] = ()
    validation: tuple[SourceSettings, ...] = ()
    test: tuple[SourceSettings, ...] = ()
    split: str = "material"
    validation_fraction: float = 0.05
    test_fraction: float = 0.0
    replay: tuple[SourceSettings, ...] = ()
    replay_fraction: float = 0.2
    workers: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        choices = ("material", "random", "given")
        known = self.split in choices or self.split.endswith(".json")
        _check(known, "data.split", self.split, f"one of {', '.join(choices)}, or the path of a split (.json)")
        for name in ("validation_fraction", "test_fraction", "replay_fraction"):
            value = getattr(self, name)
            _check(0 <= value < 1, f"data.{name}", value, "in [0, 1)")
        _check(self.workers >= 0, "data.workers", self.workers, "at least 0")


@dataclass(frozen=True)
class LossSettings:
    """Settings of the loss: a weighted sum of the errors of energy per atom (eV), forces (eV/Å) and stress (GPa).

    Attributes:
        energy: weight of the energy
        forces: weight of the forces
        stress: weight of the stress
        function: ``"huber"``, ``"l1"`` or ``"l2"``
        delta: error at which the Huber loss changes from quadratic to linear, in the units above
        force_norm: whether the length of the error of an atom's force enters, instead of its three components
        properties: weights of the properties in ``model.config.properties``, in the units of the data: ``{"magmoms":
            0.1}``.
            A property without a weight here is not trained
    """

    energy: float = 1.0
    forces: float = 1.0
    stress: float = 1.0
    function: str = "huber"
    delta: float = 0.1
    force_norm: bool = False
    properties: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        for name, weight in self.properties.items():
            _check(weight >= 0, f"loss.properties.{name}", weight, "at least 0")
        _check(self.function in ("huber", "l1", "l2"), "loss.function", self.function, "'huber', 'l1' or 'l2'")
        _check(self.delta > 0, "loss.delta", self.delta, "positive")
        for name in ("energy", "forces", "stress"):
            _check(getattr(self, name) >= 0, f"loss.{name}", getattr(self, name), "at least 0")
        total = self.energy + self.forces + self.stress + sum(self.properties.values())
        _check(total > 0, "loss", asdict(self), "of something")

    @property
    def is_of_energies(self) -> bool:
        """Whether energies or their derivatives are learned, and not properties alone."""
        return self.energy + self.forces + self.stress > 0


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of the optimizer.

    Attributes:
        schedule: schedule of the learning rate. ``"cosine"``: a linear warm-up, then a cosine from ``lr`` to
            ``final_lr``. ``"constant"``: a linear warm-up, then ``lr``; such a run can be made longer at any time.
            ``"decay"``: a fall from ``lr`` to ``final_lr``, in a run that starts from a constant one
        name: ``"adamw"``; or ``"muon"``, :class:`~torch_gptff.training.Muon`, which learns more in a step where there
            is much to learn
        lr: highest learning rate
        final_lr: the learning rate at the end
        weight_decay: decoupled from the loss; not of the readouts of a committee, which stay apart
        warmup: fraction of all steps, or with ``"constant"`` of the first epoch, in which the learning rate rises from
            0; nothing rises in a run that starts from another
        clip: largest norm of the gradient; 0 for no limit
        ema: decay of the moving average of the weights, which is what is validated and kept; 0 for none
    """

    schedule: str = "cosine"
    name: str = "adamw"
    lr: float = 2e-4
    final_lr: float = 5e-6
    weight_decay: float = 1e-2
    warmup: float = 0.01
    clip: float = 10.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        check_types(self)
        _check(self.schedule in SCHEDULES, "optimizer.schedule", self.schedule, f"one of {', '.join(SCHEDULES)}")
        _check(self.name in ("adamw", "muon"), "optimizer.name", self.name, "'adamw' or 'muon'")
        _check(self.lr > 0, "optimizer.lr", self.lr, "positive")
        _check(0 <= self.final_lr <= self.lr, "optimizer.final_lr", self.final_lr, f"in [0, lr = {self.lr}]")
        _check(0 <= self.warmup < 1, "optimizer.warmup", self.warmup, "in [0, 1)")
        _check(0 <= self.ema < 1, "optimizer.ema", self.ema, "in [0, 1)")
        _check(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "at least 0")
        _check(self.clip >= 0, "optimizer.clip", self.clip, "at least 0")


@dataclass(frozen=True)
class BatchSettings:
    """Settings of the batches.

    Attributes:
        max_frames: largest number of frames in a batch
        max_bonds: largest number of bonds in a batch
        max_angles: largest number of angles in a batch
        accumulate: number of batches whose gradients are added up for a step
    """

    max_frames: int = 16
    max_bonds: int = 100_000
    max_angles: int = 400_000
    accumulate: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        for name, value in asdict(self).items():
            _check(value >= 1, f"batch.{name}", value, "at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run, on which its result depends.

    Attributes:
        model: settings of the model
        data: settings of the data
        loss: settings of the loss
        optimizer: settings of the optimizer
        batch: settings of the batches
        start: folder of another run, from whose latest weights, optimiser and references of energy this one starts;
            its own data, loss and schedule may be others
        epochs: number of epochs
        frames_per_epoch: number of frames in an epoch, drawn anew each time; ``None`` for all
        patience: stop after this many epochs without a better ``monitor``; 0 for never
        monitor: metric that selects the best checkpoint: ``"loss"``, ``"energy"``, ``"forces"`` or ``"stress"`` (mean
            absolute errors) of the validation frames
        precision: ``"float32"``, ``"float64"``, or ``"bfloat16"`` for the matrix products of a float32 model
        checkpoint_steps: number of steps between two states to resume from; the end of an epoch saves one too
        seed: random seed of weights, splits and the order of frames
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    start: str | None = None
    epochs: int = 100
    frames_per_epoch: int | None = None
    patience: int = 0
    monitor: str = "loss"
    precision: str = "float32"
    checkpoint_steps: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        _check(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        falls = self.optimizer.schedule == "decay"
        _check(not falls or self.start is not None, "start", self.start, "a run, where optimizer.schedule is 'decay'")
        _check(self.frames_per_epoch is None or self.frames_per_epoch >= 1, "frames_per_epoch",
               self.frames_per_epoch, "at least 1")  # fmt: skip
        _check(self.patience >= 0, "patience", self.patience, "at least 0")
        _check(self.monitor in CHOSEN_BY, "monitor", self.monitor, f"one of {', '.join(CHOSEN_BY)}")
        _check(self.checkpoint_steps >= 1, "checkpoint_steps", self.checkpoint_steps, "at least 1")
        _check(self.precision in ("float32", "float64", "bfloat16"), "precision", self.precision,
               "'float32', 'float64' or 'bfloat16'")  # fmt: skip
        _check(0 <= self.seed < 2**32, "seed", self.seed, "at least 0 and less than 2**32")

    @classmethod
    def preset(cls, name: str) -> TrainingConfig:
        """``"paper"``, ``"small-data"`` or ``"fine-tune"``.

        Raises:
            ConfigError: no such preset.
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return PRESETS[name]

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> TrainingConfig:
        """Read nested tables; settings that are left out are those of the preset that the key ``preset`` names.

        Raises:
            ConfigError: a key is unknown, or a value of another type or out of range.
        """
        if not isinstance(table, Mapping):
            raise ConfigError(f"settings must be a table; got {table!r}")
        base = cls.preset(table["preset"]).to_dict() if "preset" in table else {}
        changes = {key: value for key, value in table.items() if key != "preset"}
        return from_table(cls, merged(base, changes))

    @classmethod
    def from_yaml(cls, path: str | Path) -> TrainingConfig:
        """Read a YAML file.

        Raises:
            FileNotFoundError: no such file.
            ConfigError: not YAML, or see :meth:`from_dict`.
        """
        try:
            return cls.from_dict(yaml_value(Path(path).read_bytes()))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        return _plain(asdict(self))

    def to_yaml(self) -> str:
        """The YAML that :meth:`from_yaml` reads."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def changed(self, **parts: Any) -> TrainingConfig:
        """A copy with some fields replaced."""
        return replace(self, **parts)


PRESETS = {
    "paper": TrainingConfig(loss=LossSettings(delta=1.0), epochs=500, frames_per_epoch=1_000_000),
    "small-data": TrainingConfig(
        loss=LossSettings(energy=1.0, forces=10.0, stress=0.1, delta=0.01),
        optimizer=OptimizerSettings(name="muon", lr=1e-2, final_lr=1e-5, weight_decay=0.02, ema=0.99, warmup=0.02),
        batch=BatchSettings(max_frames=4),
        epochs=400,
    ),
    "fine-tune": TrainingConfig(
        loss=LossSettings(energy=1.0, forces=10.0, stress=0.1, delta=0.01),
        optimizer=OptimizerSettings(lr=5e-4, final_lr=5e-6, weight_decay=1e-5, ema=0.99, warmup=0.05),
        batch=BatchSettings(max_frames=4),
        epochs=100,
    ),
}
"""``paper``: the settings of the GPTFF paper; the others are starting points for thousands of frames, not millions."""


def yaml_value(text: str | bytes) -> Any:
    """The value of a YAML document; ``None`` for an empty one.

    Raises:
        ConfigError: it is not YAML, nested deeper than settings are, or holds a value that Python has none for.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # an impossible date is a ValueError
        raise ConfigError(f"not YAML: {error}") from error
    except RecursionError:
        raise ConfigError("not settings: it is nested too deeply") from None
    if not _is_small(value):
        raise ConfigError(f"not settings: it holds more than {MAX_ITEMS:,} values, aliases counted")
    return value


def _is_small(value: Any) -> bool:
    """Whether a YAML value is finite and small: aliases of aliases can make it endless."""
    waiting, items = [value], 0
    while waiting and items <= MAX_ITEMS:
        each = waiting.pop()
        items += 1
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple | set):
            waiting += each
    return items <= MAX_ITEMS


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, part by part."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
