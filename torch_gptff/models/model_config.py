"""Base of the configurations of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from torch_gptff.errors import ConfigError
from torch_gptff.settings import check_types, from_table

Config = TypeVar("Config", bound="ModelConfig")


class ModelConfig:
    """Base of a frozen dataclass that a model is built from: to JSON and back, with unknown keys refused."""

    @classmethod
    def from_dict(cls: type[Config], entries: Mapping[str, Any]) -> Config:
        """The configuration that :meth:`to_dict` wrote; what is left out keeps its default.

        Raises:
            ConfigError: a key is unknown, or a value of another type or out of range.
        """
        return from_table(cls, entries)

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, for JSON."""
        return asdict(self)  # type: ignore[call-overload]

    def _check_fields(self, *positive: str) -> None:
        """Hold every field to its declared type, and those named to be positive."""
        check_types(self)
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)!r}")
