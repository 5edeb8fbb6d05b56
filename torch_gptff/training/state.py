"""Reading of the state of a run, from which another one starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from torch_gptff.errors import CheckpointFormatError, TrainingError
from torch_gptff.io.pickled import load_tensors
from torch_gptff.training.callbacks import POSITION
from torch_gptff.training.files import BEST, STATE
from torch_gptff.training.references import References

ANEW = f"start the run anew in another folder, or from {BEST}"
"""Advice in the message about a state that cannot be used."""


def read_state(folder: str | Path) -> dict[str, Any]:
    """The latest state of a run: tensors and plain values, nothing that runs code.

    Raises:
        TrainingError: the folder has none.
        CheckpointError: the file is damaged, or holds objects that unpickling could run.
    """
    path = Path(folder) / STATE
    if not path.is_file():
        raise TrainingError(f"{path} is missing: start from the folder of a run that has written its first state")
    state: dict[str, Any] = load_tensors(path, if_unsafe=f"If it is not yours, {ANEW}", if_damaged=ANEW)
    return state


def position_of(state: Any, path: Path) -> tuple[int, int]:
    """The next epoch and batch after a state.

    Raises:
        CheckpointFormatError: it is no state of a run.
    """
    try:
        epoch, batch = state[POSITION]
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointFormatError(f"{path} is not the state of a training run: {ANEW}") from error
    return epoch, batch


def known_references(state: Mapping[str, Any], fitted: References) -> References:
    """The references that a run has trained with; of sources and elements that it did not know, those fitted now."""
    known = state["callbacks"]["SaveBest"]["references"]
    tables = {name: {**table, **known.get(name, {})} for name, table in fitted.tables.items()}
    return References(tables, fitted.first)


class StartFrom(Callback):
    """Callback that starts a run with the weights, moving average and optimizer state of another run.

    Args:
        state: state of the other run
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Element energies are those of the references: there may be elements that the other run did not know.
        own = pl_module.state_dict()
        weights = {name: own[name] if "element_energies" in name else value
                   for name, value in self._state["state_dict"].items()}  # fmt: skip
        optimizer = trainer.optimizers[0]
        settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        try:
            pl_module.load_state_dict(weights)
            optimizer.load_state_dict(self._state["optimizer_states"][0])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(
                f"this run cannot start from the other: its model, optimizer or number of sources is another ({error})"
            ) from error
        for group, own_settings in zip(optimizer.param_groups, settings, strict=True):
            group.update(own_settings)
