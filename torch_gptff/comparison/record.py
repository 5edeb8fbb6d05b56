"""What a comparison of models found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch_gptff import __version__
from torch_gptff.errors import TrainingError
from torch_gptff.evaluation.scores import Scores
from torch_gptff.io.files import written_atomically


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Attributes:
        label: what it is called there
        model: its registered name
        parameters: numbers that were trained
        epochs: that were run
        seconds_per_epoch: of training and validation together, the median over the epochs
        seconds_per_inference: energy, forces and stress of one frame, its graph included: the median over the first
            training frames, as many as a batch may hold
        memory: the most memory, in bytes, that two steps of training on these frames together need beyond model and
            batch: resident memory of a fresh process, or memory that PyTorch has allocated on the GPU, see
            :func:`~torch_gptff.comparison.memory.peak_memory`
        device: what all this was measured on
        mae: mean absolute errors on the frames held out
        rmse: root mean square errors on them
    """

    label: str
    model: str
    parameters: int
    epochs: int
    seconds_per_epoch: float
    seconds_per_inference: float
    memory: int
    device: str
    mae: Scores
    rmse: Scores

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> ComparedModel:
        """From the values of every field; others are passed over."""
        values = {field.name: entries[field.name] for field in fields(cls)}
        return cls(**{**values, "mae": Scores(**values["mae"]), "rmse": Scores(**values["rmse"])})


@dataclass(frozen=True)
class Comparison:
    """Models trained on the same frames with the same settings.

    Attributes:
        part: of the data that the errors are of: ``"test"``, or ``"validation"`` where there is no test part
        counts: of that part: frames, atoms and known labels
        models: in the order they were given
    """

    part: str
    counts: dict[str, int]
    models: tuple[ComparedModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: energies in eV per atom, forces in eV/Å, stresses in eV/Å³, memory in bytes."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Write a JSON file, whole or not at all."""
        write_json(path, {"torch_gptff": __version__, **self.to_dict()})

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: no such file.
            TrainingError: it holds something else.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            models = tuple(map(ComparedModel.from_dict, document["models"]))
            return cls(document["part"], document["counts"], models)
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{path} holds no comparison of models ({error!r})") from error


def write_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a document, whole or not at all."""
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
