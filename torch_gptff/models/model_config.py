"""Base of the configurations of models, and of the models that are built from one or from its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, ClassVar, TypeVar

from torch_gptff.errors import ConfigError
from torch_gptff.models.output import UNUSED, OutputConfig, plain
from torch_gptff.settings import check_types, from_table

Config = TypeVar("Config", bound="ModelConfig")
Built = TypeVar("Built", bound="Configured")

_NO_LIMIT = "every neighbour within the cutoff counts, and the graph is built by the model or brought by the record"
_OF_GRAPHS = {"max_num_neighbors": _NO_LIMIT, "interaction_graph": _NO_LIMIT}


class ModelConfig(OutputConfig):
    """Base of a frozen dataclass that a model is built from: to JSON and back, with unknown keys refused.

    Attributes:
        readout: reduction of the values of atoms to that of a structure
        readouts: the names that a readout can be given by, and the one that is kept
    """

    readout: str
    readouts: ClassVar[Mapping[str, str]] = {"add": "add", "mean": "mean", "sum": "add"}

    @classmethod
    def from_dict(cls: type[Config], entries: Mapping[str, Any]) -> Config:
        """The configuration that :meth:`to_dict` wrote; what is left out keeps its default.

        Raises:
            ConfigError: a key is unknown, or a value of another type or out of range.
        """
        return from_table(cls, entries)

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, for JSON: all but those of the output that are at their defaults."""
        return {name: value for name, value in asdict(self).items() if name not in UNUSED or value != UNUSED[name]}

    def _check_fields(self, *positive: str) -> None:
        """Hold every field to its declared type, those named to be positive, and the output to what there is."""
        check_types(self)
        if self.readout not in self.readouts:
            raise ConfigError(f"readout must be one of {', '.join(self.readouts)}; got {self.readout!r}")
        object.__setattr__(self, "readout", self.readouts[self.readout])
        self._check_output(self.readout)
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)!r}")


class Configured:
    """Base of a model that is built from a configuration, from settings by name, or from one with changes.

    Attributes:
        config_type: dataclass of the configuration
        setting_names: further names of fields, as other models of PyG have them
    """

    config_type: ClassVar[type[ModelConfig]]
    setting_names: ClassVar[Mapping[str, str]] = {}
    config: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "config_type" in cls.__dict__:
            cls.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls: type[Built], config: Any) -> Built:
        """A model with random weights from its configuration."""
        return cls(config)  # type: ignore[call-arg]

    @classmethod
    def settled(cls, config: Any, settings: Mapping[str, Any]) -> Any:
        """The configuration that the arguments of the constructor make.

        Args:
            config: an instance of :attr:`config_type`, or ``None`` for its defaults
            settings: fields by name, or by one of :attr:`setting_names`; they replace those of ``config``

        Raises:
            ConfigError: the configuration is of another kind, or a setting is unknown, given twice, or out of range.
        """
        of = cls.config_type
        if config is not None and not isinstance(config, of):
            raise ConfigError(
                f"{cls.__name__} is built from a {of.__name__} or from settings by name, as in "
                f"{cls.__name__}(cutoff=5.0); got {config!r}"
            )
        named: dict[str, Any] = {}
        for name, value in settings.items():
            if name in _OF_GRAPHS:
                raise ConfigError(f"{cls.__name__} has no {name}: {_OF_GRAPHS[name]}")
            field = cls.setting_names.get(name, name)
            if field in named:
                other = next(
                    other for other in settings if other != name and cls.setting_names.get(other, other) == field
                )
                raise ConfigError(f"{other} and {name} are two names of one setting: give one of them")
            named[field] = plain(value)
        before = {} if config is None else {field.name: getattr(config, field.name) for field in fields(config)}
        return from_table(of, before | named)


def _signature(cls: type[Configured]) -> inspect.Signature:
    """The constructor's parameters, as ``help`` and editors show them."""
    names = {field: name for name, field in cls.setting_names.items()}
    parameters = [inspect.Parameter("config", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)]
    own = [field for field in fields(cls.config_type) if field.name not in UNUSED]
    for field in (*own, *fields(OutputConfig)):
        default = field.default if field.default is not MISSING else inspect.Parameter.empty
        name = names.get(field.name, field.name)
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    return inspect.Signature(parameters)
