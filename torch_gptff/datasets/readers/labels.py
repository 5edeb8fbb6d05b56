"""Detection and report of the keys of energy, forces and stress, which are the same for all frames of a file.

Programs write them under different names: ``energy`` or ``free_energy``, ``forces`` or ``force``, ``stress`` or
``virial`` (ASE, GPUMD, quippy), alone or behind a prefix that says whose they are (``REF_energy``, ``dft_forces``).
A virial is ``−stress × volume``, in eV.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torch_gptff.datasets.frames import LABELS, ORIGIN
from torch_gptff.datasets.readers.extras import STRUCTURE, KeptKey, is_numeric, is_of_atoms, kept_fields
from torch_gptff.errors import LabelError, NoLabelsError
from torch_gptff.units import UnitConvention

logger = logging.getLogger(__name__)

NAMES = {
    "energy": ("energy", "free_energy", "total_energy"),
    "forces": ("forces", "force"),
    "stress": ("stress", "virial", "virials"),
}
"""Accepted keys of each label; the first that a frame has is taken."""

PREFIXES = ("ref_", "dft_", "", "mace_")
"""Namings that are read without being asked for. Where a frame has several, the first is taken: plain names beside
``REF_*`` are what another potential predicted, and ``MACE_*`` beside plain ones likewise."""

PLAIN = "plain"
"""Name of the naming without a prefix in options."""

_LABEL_OF = {name: label for label, names in NAMES.items() for name in names}
_KEY = re.compile(rf"(?P<prefix>.*?)(?P<name>{'|'.join(sorted(_LABEL_OF, key=len, reverse=True))})", re.IGNORECASE)
_CONVERGED = re.compile(r"(is_|scf_|dft_|ref_|electronic(ally)?_)*converged", re.IGNORECASE)


@dataclass(frozen=True)
class LabelKeys:
    """Keys of labels, and selection of frames.

    Attributes:
        energy: key of the energy; ``None`` for one of :data:`NAMES` in the naming of the file
        forces: key of the forces, likewise
        stress: key of the stress, likewise
        naming: the prefix of the names, as ``"REF_"``, or ``"plain"``; ``None`` for the first of :data:`PREFIXES` that
            the frames have
        unconverged: whether frames whose electronic steps did not converge are taken, too
        keep: other keys that become fields of the record
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    naming: str | None = None
    unconverged: bool = False
    keep: tuple[KeptKey, ...] = ()

    def prefix(self) -> str | None:
        """The prefix that is asked for, by name or by one of the keys; ``None`` where none is."""
        if self.naming is not None:
            return "" if self.naming.lower() == PLAIN else self.naming.lower().rstrip("_") + "_"
        matches = (_KEY.fullmatch(key) for key in (self.energy, self.forces, self.stress) if key is not None)
        prefixes = {match["prefix"].lower() for match in matches if match is not None}
        return next((prefix for prefix in PREFIXES if prefix in prefixes), None)


@dataclass
class LabelFinder:
    """The labels of the frames of one file.

    Args:
        path: the file, for messages
        asked: the keys that the user names
        convention: units and signs of energy and stress
        virial: units and signs of a virial
    """

    path: str | Path
    asked: LabelKeys = field(default_factory=LabelKeys)
    convention: UnitConvention = field(default_factory=UnitConvention)
    virial: UnitConvention = field(default_factory=lambda: UnitConvention(stress_unit="eV", positive="compression"))
    _keys: dict[str, str] = field(default_factory=dict)
    _prefix: str | None = None
    _read: Counter[str] = field(default_factory=Counter)
    _unread: Counter[str] = field(default_factory=Counter)
    _others: Counter[str] = field(default_factory=Counter)
    _known: Counter[str] = field(default_factory=Counter)
    _of_atoms: set[str] = field(default_factory=set)
    _n_unconverged: int = 0
    _n_frames: int = 0

    def labels(self, known: Mapping[str, Any], per_atom: Set[str], volume: float, where: str) -> dict[str, Any]:
        """The values of the labels of a frame, the ``convention`` that they are in, and other fields that are ``kept``.

        Args:
            known: everything that the file says of the frame
            per_atom: the keys among these that have a value for each atom, which energy and stress have not
            volume: volume of the cell, Å³
            where: the frame, for messages

        Raises:
            LabelError: a key that was asked for is not there, or the frame has its labels under other names than the
                frames before it.
        """
        keys = {}
        for label in LABELS:
            candidates = known if label == "forces" else [key for key in known if key not in per_atom]
            key = self._key(label, known, candidates, where)
            if key is not None:
                keys[label] = key
        values = {label: known[key] for label, key in keys.items()}
        self._n_frames += 1
        self._read.update(keys.values())
        stress = keys.get("stress")
        convention = self.convention if stress is None else self._convention(stress)
        self._unread.update(self._unread_labels(known, keys, convention, volume))
        n_atoms = len(known["numbers"])
        for key in self._unread_others(known, keys):
            self._others[key] += 1
            if is_of_atoms(key, known[key], per_atom, n_atoms):
                self._of_atoms.add(key)
        kept = kept_fields(self.asked.keep, known, per_atom, n_atoms, where)
        self._known.update(key.name for key in self.asked.keep if known.get(key.key) is not None)
        return {**values, "convention": convention, "kept": kept}

    def is_left_out(self, info: Mapping[str, Any]) -> bool:
        """Whether the file says that the electronic steps of a frame did not converge; counted, and told at the end."""
        says = [value for key, value in info.items() if _CONVERGED.fullmatch(str(key))]
        left_out = not self.asked.unconverged and any(str(value).lower() in ("false", "f", "0", "no") for value in says)
        self._n_unconverged += left_out
        return left_out

    def tell(self) -> None:
        """Say which keys were read and which were not, once the file has been read.

        Raises:
            NoLabelsError: nothing was read, and there are keys that look like labels.
        """
        if self._n_unconverged:
            import warnings

            warnings.warn(
                f"{self.path}: {self._n_unconverged} frames are left out, whose electronic steps did not converge "
                "(--option unconverged=yes takes them)",
                stacklevel=3,
            )
        unread = ", ".join(f"{key} ({number} frames)" for key, number in sorted(self._unread.items()))
        others = self._told_others()
        if not self._read:
            if others:
                logger.info(f"{self.path}: {others}")
            if unread and not self.asked.keep:
                raise NoLabelsError(
                    f"{self.path}: no label was read; are these some: {unread}? Name what to read "
                    "(--option naming=PREFIX, or energy_key, forces_key, stress_key)"
                )
            return
        missing = [label for label in LABELS if label not in self._keys and self._is_unread(label)]
        sentence = f"{self.path}: {', '.join(self._told(label) for label in self._keys)}"
        if unread:
            sentence += f"; not read: {unread}"
        if missing:
            sentence += f", which leaves {' and '.join(missing)} unknown (--option naming=PREFIX reads another naming)"
        if others:
            sentence += f"; {others}"
        logger.log(logging.WARNING if missing else logging.INFO, sentence)

    def _told(self, label: str) -> str:
        key = self._keys[label]
        number = self._read[key]
        of = "" if number == self._n_frames else f" in {number} of {self._n_frames} frames"
        return f"{label} from {key}{' (−stress × volume)' if _is_virial(key) else ''}{of}"

    def _told_others(self) -> str:
        """Keys that are kept, and other keys with numbers that are not read."""
        kept = [f"kept: {', '.join(map(self._told_kept, self.asked.keep))}"] if self.asked.keep else []
        if self._others:
            named = ", ".join(f"{key} of atoms" if key in self._of_atoms else key for key in sorted(self._others))
            kept.append(f"no label, and not read: {named} (--option keep=KEY,KEY keeps them with the frames)")
        return "; ".join(kept)

    def _told_kept(self, key: KeptKey) -> str:
        number = self._known[key.name]
        of = "" if number == self._n_frames else f" in {number} of {self._n_frames} frames"
        return f"{key.name}{'' if key.name == key.key else f' from {key.key}'}{of}"

    def _key(self, label: str, known: Mapping[str, Any], candidates: Iterable[str], where: str) -> str | None:
        asked = getattr(self.asked, label)
        if asked is not None:
            if asked not in known:
                has = ", ".join(sorted(set(map(str, known)) - {"numbers", "positions"})) or "nothing"
                raise LabelError(f"{where}: there is no {asked!r} to take the {label} from; there is {has}")
            self._keys[label] = asked
            return str(asked)
        prefix = self._naming(known, where)
        if prefix is None:
            return None
        names = {key.lower(): key for key in candidates if isinstance(key, str)}
        found = next((names[prefix + name] for name in NAMES[label] if prefix + name in names), None)
        if found is not None and self._keys.setdefault(label, found) != found:
            raise LabelError(
                f"{where}: its {label} {_verb(label)} under {found!r}, and in the frames before under "
                f"{self._keys[label]!r}: one key a file; name it ({label}_key), or take the frames apart"
            )
        return found

    def _naming(self, known: Mapping[str, Any], where: str) -> str | None:
        """The prefix of the names of this frame, the same as of the frames before; ``None`` where it has no labels."""
        asked = self.asked.prefix()
        if asked is not None:
            return asked
        there = {match["prefix"].lower() for match in map(_matched, known) if match is not None}
        found = next((prefix for prefix in PREFIXES if prefix in there), None)
        if found is None:
            return None
        if self._prefix is None:
            self._prefix = found
        if found != self._prefix:
            raise LabelError(
                f"{where}: its labels are {_called(found)}, and those of the frames before {_called(self._prefix)}: "
                f"say which to read, with the option naming={found or PLAIN} or naming={self._prefix or PLAIN} "
                f"(--option naming={found or PLAIN}; in a file of settings, options: {{naming: {found or PLAIN}}} of "
                "the source); frames that have none stay without labels"
            )
        return found

    def _convention(self, stress_key: str) -> UnitConvention:
        return replace(self.virial, energy=self.convention.energy) if _is_virial(stress_key) else self.convention

    @property
    def _kept_keys(self) -> set[str]:
        return {key.key for key in self.asked.keep}

    def _unread_others(self, known: Mapping[str, Any], keys: Mapping[str, str]) -> list[str]:
        """The keys with numbers that neither look like labels nor describe the structure, and are not kept."""
        used = {*keys.values(), *self._kept_keys, *STRUCTURE, *ORIGIN}
        return [
            key
            for key, value in known.items()
            if key not in used and _matched(key) is None and not _CONVERGED.fullmatch(str(key)) and is_numeric(value)
        ]

    def _unread_labels(
        self, known: Mapping[str, Any], keys: Mapping[str, str], convention: UnitConvention, volume: float
    ) -> list[str]:
        """The keys that look like labels and were not read, but for those that say the same as what was read."""
        others = []
        for key in known:
            match = _matched(key)
            if match is None or key in keys.values() or key in self._kept_keys:
                continue
            label = _LABEL_OF[match["name"].lower()]
            if label not in keys or not _says_the_same(
                known[key], self._convention(key), known[keys[label]], convention, label, volume
            ):
                others.append(key)
        return others

    def _is_unread(self, label: str) -> bool:
        return any(_LABEL_OF[match["name"].lower()] == label for key in self._unread if (match := _matched(key)))


def _matched(key: object) -> re.Match[str] | None:
    return _KEY.fullmatch(key) if isinstance(key, str) else None


def _is_virial(key: str) -> bool:
    return "virial" in key.lower()


def _verb(label: str) -> str:
    return "are" if label == "forces" else "is"


def _called(prefix: str) -> str:
    return f"named {prefix.upper()}*" if prefix else "plainly named"


def _says_the_same(
    value: Any, units: UnitConvention, read: Any, read_units: UnitConvention, label: str, volume: float
) -> bool:
    try:
        one, other = (np.asarray(each, dtype=np.float64) for each in (value, read))
        if label == "stress":
            one, other = units.stress_tensor(one, volume), read_units.stress_tensor(other, volume)
        return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-6))
    except (TypeError, ValueError):
        return False
