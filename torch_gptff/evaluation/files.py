"""Evaluations as files: a summary in JSON for people and programs, and every value in ``.npz``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from torch_gptff import __version__
from torch_gptff.errors import DatasetError
from torch_gptff.evaluation.record import COMPARED, Evaluation, GroupErrors
from torch_gptff.evaluation.scores import Compared
from torch_gptff.io.files import written_atomically

FORMAT = "torch-gptff evaluation"
VERSION = 1

UNITS = {"energy_per_atom": "eV", "forces": "eV/angstrom", "stress": "eV/angstrom^3, nine components"}

WORST = 10
"""Number of frames that the summary lists for each kind of error."""

_TEXTS = ("frame_id", "source", "material")


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values: ``mae``, ``rmse``, ``r2`` and their standard errors, each with ``energy_per_atom`` (eV), ``forces``
    (eV/Å) and ``stress`` (eV/Å³); ``properties`` by name, in the unit of the data; ``counts``; errors by element and by
    source; the worst frames; and under ``aligned`` the energies after a shift for each element, where one was fitted.
    """
    from ase.data import chemical_symbols

    aligned = evaluation.aligned
    return {
        "torch_gptff": __version__,
        "units": UNITS,
        "counts": evaluation.counts,
        **_scores(evaluation),
        "standard_errors": {name: each.to_dict() for name, each in evaluation.standard_errors.items()},
        "properties": {name: asdict(scores) for name, scores in evaluation.property_scores.items()},
        "aligned": None
        if aligned is None
        else {
            **{name: {"energy_per_atom": scores["energy_per_atom"]} for name, scores in _scores(aligned).items()},
            "element_shifts": {
                source: {chemical_symbols[number]: shift for number, shift in shifts.items()}
                for source, shifts in (evaluation.element_shifts or {}).items()
            },
        },
        "by_element": {chemical_symbols[number]: _group(each) for number, each in evaluation.by_element().items()},
        "by_source": {source: _group(each) for source, each in evaluation.by_source().items()},
        "worst": {
            kind: [asdict(frame) for frame in evaluation.worst(kind, WORST)]
            for kind in ("energy_per_atom", "force", "stress")
        },
    }


def save(evaluation: Evaluation, path: Path, arrays: bool) -> None:
    """See :meth:`Evaluation.save`."""
    if arrays:
        write_arrays(evaluation, path.with_suffix(".npz"))
    write_summary(path, summary(evaluation))


def write_arrays(evaluation: Evaluation, path: Path) -> None:
    """Write everything that an evaluation is made of as ``.npz``."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "n_atoms": evaluation.n_atoms,
        "numbers": evaluation.numbers.astype(np.uint8),
        "shifts": json.dumps(evaluation.element_shifts),
    }
    values |= {name: np.array(getattr(evaluation, name)) for name in _TEXTS}
    for name in COMPARED:
        values |= {f"{name}_{kind}": getattr(getattr(evaluation, name), kind) for kind in ("known", "predicted")}
    for name, each in evaluation.properties.items():
        values |= {f"property_{name}_{kind}": getattr(each, kind) for kind in ("known", "predicted", "frame")}
    with written_atomically(path) as temporary:
        np.savez_compressed(temporary, **values)


def write_summary(path: Path, document: Mapping[str, Any]) -> None:
    """Write what :func:`summary` gave as JSON."""
    with written_atomically(path) as temporary:
        temporary.write_text(
            json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def load(path: Path) -> Evaluation:
    """See :meth:`Evaluation.load`."""
    file = path.with_suffix(".npz")
    if not file.is_file():
        raise FileNotFoundError(f"no {file}: it holds the values of every frame, and is written by Evaluation.save")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as values:
            if values["format"] != FORMAT or values["version"] != VERSION:
                raise DatasetError(f"{file}: not an evaluation that this version of the package knows")
            n_atoms = values["n_atoms"]
            frame = np.arange(len(n_atoms))
            frames = {"energy_per_atom": frame, "forces": frame.repeat(n_atoms), "stress": frame}
            fields: dict[str, Any] = {name: tuple(values[name].tolist()) for name in _TEXTS}
            for name in COMPARED:
                fields[name] = Compared(values[f"{name}_known"], values[f"{name}_predicted"], frames[name])
            names = [key[9:-6] for key in values.files if key.startswith("property_") and key.endswith("_known")]
            fields["properties"] = {
                name: Compared(*(values[f"property_{name}_{kind}"] for kind in ("known", "predicted", "frame")))
                for name in names
            }
            shifts = json.loads(str(values["shifts"]))
            return Evaluation(
                **fields,
                n_atoms=n_atoms,
                numbers=values["numbers"].astype(np.int64),
                element_shifts=None
                if shifts is None
                else {source: {int(z): e for z, e in table.items()} for source, table in shifts.items()},
            )
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{file}: not an evaluation, or damaged ({error})") from error


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    scores = {"mae": evaluation.mae, "rmse": evaluation.rmse, "r2": evaluation.r2}
    return {name: each.to_dict() for name, each in scores.items()}


def _group(errors: GroupErrors) -> dict[str, Any]:
    return asdict(errors)
