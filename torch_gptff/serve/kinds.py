"""Kinds of jobs: commands, with the few of their settings that the page asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch_gptff.errors import JobError

LARGEST = 1e12
"""Largest magnitude of a number in a form; NaN, which compares as not smaller, is refused too."""

MOST_CHARACTERS = 40
"""Largest number of characters of a text in a form."""

SHOWN = ("name", "label", "option", "type", "default", "choices", "low", "high")


@dataclass(frozen=True)
class Setting:
    """A setting of a command, as the page asks for it.

    Attributes:
        name: of the parameter
        label: what it is, with its unit
        option: by which the command takes it, ``"--fmax"``
        type: ``"number"``, ``"integer"``, ``"choice"``, ``"flag"`` or ``"text"``
        default: where nothing is said
        choices: of a choice
        low: smallest number; ``None`` without
        high: largest number; ``None`` without
        otherwise: option of a flag that is off; empty where the command has none
    """

    name: str
    label: str
    option: str
    type: str
    default: Any
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    otherwise: str = ""

    def arguments(self, value: Any) -> list[str]:
        """The words of the command line that stand for a value; none for the default.

        Raises:
            JobError: the setting cannot have this value.
        """
        if self.type == "flag":
            if not isinstance(value, bool):
                raise JobError(f"{self.option} is on or off, and not {_told(value)}")
            if value == self.default:
                return []
            return [self.option if value else self.otherwise]
        text = self._text(value)
        return [] if text == self._text(self.default) else [self.option, text]

    def _text(self, value: Any) -> str:
        if self.type in ("number", "integer"):
            return self._number(value)
        if self.type == "choice" and value not in self.choices:
            raise JobError(f"{self.option} is one of {', '.join(self.choices)}, and not {_told(value)}")
        if not isinstance(value, str) or value.startswith("-") or len(value) > MOST_CHARACTERS:
            raise JobError(f"{self.option} cannot be {_told(value)}")
        return value

    def _number(self, value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
        if not is_number or (self.type == "integer" and value != int(value)):
            raise JobError(
                f"{self.option} is {'a whole' if self.type == 'integer' else 'a'} number, not {_told(value)}"
            )
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            low = "" if self.low is None else f" from {self.low:g}"
            high = "" if self.high is None else f" up to {self.high:g}"
            raise JobError(f"{self.option} {value:g}: it is a number{low}{high}")
        return str(int(value)) if self.type == "integer" else repr(float(value)).removesuffix(".0")


def _told(value: Any) -> str:
    return repr(value)[:60]


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes:
        name: of the command
        about: what it does, one line
        settings: that the page asks for
        outputs: words of the command line that name the files to write
        copies: how often settings repeat the structure
    """

    name: str
    about: str
    settings: tuple[Setting, ...]
    outputs: tuple[str, ...]
    copies: Callable[[Mapping[str, Any]], int] = lambda values: 1

    def arguments(self, values: Mapping[str, Any]) -> list[str]:
        """The words of the command line that stand for settings.

        Raises:
            JobError: there is no such setting, or it cannot have this value.
        """
        known = {setting.name: setting for setting in self.settings}
        for name in values:
            if name not in known:
                raise JobError(f"{self.name} has no setting {_told(name)}")
        return [word for name, setting in known.items() if name in values for word in setting.arguments(values[name])]

    def described(self) -> dict[str, Any]:
        """The kind as the page reads it."""
        settings = [{name: getattr(setting, name) for name in SHOWN} for setting in self.settings]
        return {"name": self.name, "about": self.about, "settings": settings}
