"""The learning rate of every parameter at every time."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from torch_gptff.errors import ConfigError
from torch_gptff.training.config import OptimizerSettings, TrainingConfig


def learning_rate(progress: float, settings: OptimizerSettings) -> float:
    """A straight rise from 0 to ``lr``, then half a cosine down to ``final_lr``.

    Args:
        progress: the part of the run that is done, 0 to 1
        settings: of the optimizer
    """
    if progress < settings.warmup:
        return settings.lr * progress / settings.warmup
    fall = min(1.0, (progress - settings.warmup) / (1 - settings.warmup))
    return settings.final_lr + (settings.lr - settings.final_lr) * (1 + math.cos(math.pi * fall)) / 2


def parameter_groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The parameters that are trained, by the factor of their learning rate.

    Those whose names, in the energy model, begin with one of ``model.freeze`` are frozen; the longest beginning in
    ``model.learning_rates`` gives the factor of others. The readouts of a committee do not decay: decay would make
    its members one where the data do not tell them apart.

    Raises:
        ConfigError: a beginning that no parameter has, or nothing is left to train.
    """
    frozen, factors = config.model.freeze, config.model.learning_rates
    used: set[str] = set()
    is_committee = module.potential.model.num_readouts > 1  # type: ignore[operator, union-attr]
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for full_name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        name = full_name.removeprefix("potential.model.")
        held = [start for start in frozen if name.startswith(start)]
        matching = sorted((start for start in factors if name.startswith(start)), key=len)
        used.update(held, matching)
        if held:
            parameter.requires_grad_(False)
        else:
            decays = not (is_committee and name.startswith("readout."))
            groups.setdefault((factors[matching[-1]] if matching else 1.0, decays), []).append(parameter)
    unused = [start for start in (*frozen, *factors) if start not in used]
    if unused:
        known = sorted({name.split(".")[0] for name, _ in module.potential.model.named_parameters()})  # type: ignore[union-attr]
        raise ConfigError(f"no parameter's name begins with {', '.join(unused)}; they begin with {', '.join(known)}")
    if not groups:
        raise ConfigError("model.freeze leaves nothing to train")
    return [
        {"params": parameters, "factor": factor, "lr": 0.0} | ({} if decays else {"weight_decay": 0.0})
        for (factor, decays), parameters in groups.items()
    ]
