"""The training of any energy model on energies, forces and stresses, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch_geometric.data import Batch

from torch_gptff.errors import ConfigError, TrainingError
from torch_gptff.graph import structure_index
from torch_gptff.nn import sum_by_structure
from torch_gptff.potential import Potential, Prediction
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.loss import Errors, errors, loss
from torch_gptff.training.muon import Muon, matrices_apart
from torch_gptff.training.optimizer import learning_rate, parameter_groups
from torch_gptff.training.references import SIZE

QUANTITIES = ("energy", "forces", "stress")


class EnergyModelModule(LightningModule):
    """A potential in training.

    Energies of all sources but the first are counted from references of their own: ``shift`` is what training adds to
    the element energies of each of these, beyond the least-squares fit that their labels were aligned by.

    Args:
        potential: the potential to train
        config: settings of the run
        n_sources: number of sources, each with a reference of its own

    Attributes:
        average: the moving average of the potential, which is validated and kept; ``None`` without one
        shift: eV, ``[S − 1, 119]``
    """

    def __init__(self, potential: Potential, config: TrainingConfig, n_sources: int = 1) -> None:
        super().__init__()
        self.config = config
        self.potential = potential
        self.shift = nn.Parameter(torch.zeros(n_sources - 1, SIZE), requires_grad=n_sources > 1)
        decay = config.optimizer.ema
        self.average: AveragedModel | None = None
        if decay > 0:
            self.average = AveragedModel(potential, multi_avg_fn=moving_average(decay)).requires_grad_(False)
        self._groups = parameter_groups(self, config)
        kinds = potential.model.property_kinds
        unknown = sorted(set(config.loss.properties) - set(kinds))
        if unknown:
            raise ConfigError(
                f"loss.properties names {', '.join(unknown)}, and the model predicts "
                f"{', '.join(kinds) or 'no property'}: name it in model.config.properties, too"
            )
        self._trained = [name for name, weight in config.loss.properties.items() if weight > 0]
        self._sums = _Sums(self._trained)

    @property
    def shifts(self) -> Tensor:
        """``shift`` with that of the first source, which is none, eV, ``[S, 119]``."""
        return F.pad(self.shift, (0, 0, 1, 0))

    @property
    def result(self) -> Potential:
        """The trained potential: the moving average, where there is one."""
        return self.potential if self.average is None else self.average.module  # type: ignore[return-value]

    @property
    def rate(self) -> float:
        """The current learning rate, the highest where parts of the model have their own."""
        return max(group["lr"] for group in self.optimizers().param_groups)  # type: ignore[union-attr]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        decay = self.config.optimizer.weight_decay
        if self.config.optimizer.name == "muon":
            return Muon(matrices_apart(self, self._groups), weight_decay=decay)
        return torch.optim.AdamW(self._groups, weight_decay=decay)

    def on_train_epoch_start(self) -> None:
        self.trainer.train_dataloader.batches.set_epoch(self.current_epoch)  # type: ignore[union-attr]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout and the draw of readouts depend on seed, place and process alone, so that a resumed run repeats them.
        torch.manual_seed(hash((self.config.seed, self.current_epoch, batch_idx, self.global_rank)) % 2**63)
        loader: Any = self.trainer.train_dataloader
        before_step = batch_idx - batch_idx % self.config.batch.accumulate
        done = self.current_epoch + before_step / loader.batches_in(self.current_epoch)
        rate = learning_rate(done, self.config)
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = rate * group["factor"]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        found = self.errors(self.potential, batch, create_graph=True)
        value = loss(found, self.config.loss)
        if not bool(value.isfinite()):
            raise TrainingError(f"the loss is {value.item()} in epoch {self.current_epoch}: {_suspects(found, batch)}")
        self.log_dict({"train_loss": value.detach(), "lr": self.rate}, batch_size=len(batch.energy))
        return value

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.config.optimizer.clip or torch.inf)
        if not bool(norm.isfinite()):
            raise TrainingError(
                f"the gradient is no longer finite in epoch {self.current_epoch}: look at the frames of batch "
                f"{self.trainer.fit_loop.batch_idx}, or lower the learning rate"
            )

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        if self.average is not None:
            self.average.update_parameters(self.potential)

    def on_validation_epoch_start(self) -> None:
        self._sums = _Sums(self._trained)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        found = self.errors(self.result, batch, create_graph=False)
        self._sums.add(found, loss(found, self.config.loss), len(batch.energy))

    def on_validation_epoch_end(self) -> None:
        total = self._sums.total(self.device)
        means = _means(self.trainer.strategy.reduce(total, reduce_op="sum"), self._trained)
        self.log_dict(means, sync_dist=False, rank_zero_only=False)

    def errors(self, potential: Potential, batch: Batch, create_graph: bool) -> Errors:
        """Errors of the prediction of a batch, with energies relative to the reference of the first source."""
        derivatives = self.config.loss.is_of_energies or not create_graph
        prediction: Prediction = potential.evaluate(
            batch, forces=derivatives, stress=derivatives, properties=True, create_graph=create_graph
        )
        if len(self.shift):
            atom, n_structures = structure_index(batch)
            of_atom = self.shifts[batch.source_number[atom], batch.z]
            moved = prediction.energy + sum_by_structure(of_atom, atom, n_structures)
            prediction = replace(prediction, energy=moved)
        return errors(prediction, batch)


def moving_average(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Moving average of weights, faster at the beginning, so that it forgets the initial weights."""

    def update(averages: Any, currents: Any, n_averaged: Tensor | int) -> None:
        number = int(n_averaged)
        torch._foreach_lerp_(averages, currents, 1 - min(decay, (1 + number) / (10 + number)))

    return update


class _Sums:
    """Absolute errors and losses of the validation frames seen so far, in float64.

    Args:
        properties: properties that are trained
    """

    def __init__(self, properties: Sequence[str] = ()) -> None:
        self._properties = properties
        self._values = [0.0] * (8 + 2 * len(properties))

    def add(self, found: Errors, value: Tensor, n_frames: int) -> None:
        row = [float(value) * n_frames, float(n_frames)]
        values = [getattr(found, name) for name in QUANTITIES]
        values += [found.properties[name][0] for name in self._properties]
        for each in values:
            of_one = each.detach()
            row += [float(of_one.double().abs().sum()), float(of_one.numel())]
        self._values = [a + b for a, b in zip(self._values, row, strict=True)]

    def total(self, device: torch.device) -> Tensor:
        return torch.tensor(self._values, dtype=torch.float64, device=device)


def _means(total: Tensor, properties: Sequence[str]) -> dict[str, float]:
    names = ("val_loss", *(f"val_{name}_mae" for name in (*QUANTITIES, *properties)))
    pairs = total.reshape(-1, 2).tolist()
    return {
        name: value / number if number else float("nan") for name, (value, number) in zip(names, pairs, strict=True)
    }


def _suspects(found: Errors, batch: Batch) -> str:
    """The frames whose errors are not finite, or all of the batch."""
    known = ~batch.energy.isnan()
    names = [name for name, is_known in zip(batch.frame_id, known.tolist(), strict=True) if is_known]
    bad = [name for name, ok in zip(names, found.energy.isfinite().tolist(), strict=True) if not ok]
    return f"look at the frames {', '.join(bad or batch.frame_id)}, or lower the learning rate"
