"""Energy models by name: how a checkpoint finds the class that its weights belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch_gptff.errors import ConfigError
from torch_gptff.models.base import EnergyModel
from torch_gptff.models.config import GPTFFConfig
from torch_gptff.models.dimenet import DimeNetConfig, DimeNetPlusPlus
from torch_gptff.models.gptff import GPTFF
from torch_gptff.models.schnet import SchNet, SchNetConfig
from torch_gptff.models.visnet import ViSNet, ViSNetConfig

_MODELS: dict[str, tuple[type[EnergyModel], type]] = {
    GPTFF.name: (GPTFF, GPTFFConfig),
    SchNet.name: (SchNet, SchNetConfig),
    DimeNetPlusPlus.name: (DimeNetPlusPlus, DimeNetConfig),
    ViSNet.name: (ViSNet, ViSNetConfig),
}


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
    if name not in _MODELS:
        raise ConfigError(f"no model {name!r}; there are {', '.join(sorted(_MODELS))}")
    model, config_type = _MODELS[name]
    return model(config_type.from_dict(config))  # type: ignore[attr-defined]
