"""Energy models by name: how a checkpoint finds the class that its weights belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from torch_gptff.errors import ConfigError
from torch_gptff.models.base import EnergyModel

_OURS = {
    "gptff": ("gptff:GPTFF", "config:GPTFFConfig"),
    "schnet": ("schnet:SchNet", "schnet:SchNetConfig"),
    "dimenet++": ("dimenet:DimeNetPlusPlus", "dimenet:DimeNetConfig"),
    "visnet": ("visnet:ViSNet", "visnet:ViSNetConfig"),
}
"""Modules and classes of the models of this package and of their configurations, imported when one is built."""

_MODELS: dict[str, tuple[type[EnergyModel], type]] = {}


def register_model(model: type[EnergyModel], config: type) -> None:
    """Make a model known by its ``name``.

    Args:
        model: built as ``model(config)``, keeping it as ``model.config``
        config: a dataclass with ``from_dict`` and ``to_dict``
    """
    _MODELS[model.name] = (model, config)


def build_model(name: str, config: Mapping[str, Any]) -> EnergyModel:
    """A model with fresh weights.

    Raises:
        ConfigError: no model has this name, or the configuration has an unknown key or a value out of range.
    """
    if name in _MODELS:
        model, config_type = _MODELS[name]
    elif name in _OURS:
        model, config_type = (resolve_name(f"torch_gptff.models.{home}") for home in _OURS[name])
    else:
        raise ConfigError(f"no model {name!r}; there are {', '.join(sorted({*_MODELS, *_OURS}))}")
    return model(config_type.from_dict(config))  # type: ignore[attr-defined]
