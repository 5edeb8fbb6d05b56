"""Learning rates of the parameters."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from torch_gptff.errors import ConfigError
from torch_gptff.training.config import TrainingConfig


def learning_rate(done: float, config: TrainingConfig) -> float:
    """The current learning rate: see ``schedule`` of :class:`~torch_gptff.training.config.OptimizerSettings`.

    The square root, by which a decay falls, is that of `Scaling laws and compute-optimal training beyond fixed training
    durations <https://arxiv.org/abs/2405.18392>`_.

    Args:
        done: number of epochs done, a fraction included
        config: settings of the run
    """
    settings = config.optimizer
    rising = settings.warmup if config.start is None else 0.0
    length = 1 if settings.schedule == "constant" else config.epochs
    progress = min(1.0, done / length)
    if progress < rising:
        return settings.lr * progress / rising
    progress = (progress - rising) / (1 - rising)
    left = {
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "constant": 1.0,
        "decay": 1 - math.sqrt(progress),
    }[settings.schedule]
    return settings.final_lr + (settings.lr - settings.final_lr) * left


def parameter_groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The parameters that are trained, by the factor of their learning rate.

    Those whose names, in the energy model, begin with one of ``model.freeze`` are frozen; the longest beginning in
    ``model.learning_rates`` gives the factor of others, and ``model.layer_decay`` multiplies it once for every layer
    between a parameter and the end of the model. The readouts of a committee do not decay, since decay would
    make its members equal where the data do not determine them.

    Raises:
        ConfigError: a beginning that no parameter has, or nothing is left to train.
    """
    frozen, factors = config.model.freeze, config.model.learning_rates
    used: set[str] = set()
    is_committee = module.potential.model.num_readouts > 1  # type: ignore[operator, union-attr]
    distance = distances_from_the_end(module.potential.model)  # type: ignore[arg-type, union-attr]
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for full_name, parameter in module.named_parameters():
        name = full_name.removeprefix("potential.model.")
        held = [start for start in frozen if name.startswith(start)]
        matching = sorted((start for start in factors if name.startswith(start)), key=len)
        used.update(held, matching)
        if held:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            factor = factors[matching[-1]] if matching else 1.0
            factor *= config.model.layer_decay ** distance.get(name, 0)
            decays = not (is_committee and name.startswith("readout."))
            groups.setdefault((factor, decays), []).append(parameter)
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


def distances_from_the_end(model: nn.Module) -> dict[str, int]:
    """For each parameter of a model, the number of layers through which it acts on the result.

    Layers are the members of lists of modules; what stands before the first of them comes before all layers, and the
    readout, which stands after them, is at distance 0.
    """
    names = [name for name, _ in model.named_parameters()]
    lists = [f"{name}." for name, child in model.named_children() if isinstance(child, nn.ModuleList)]
    layer_of = {
        name: int(name.removeprefix(start).split(".")[0]) for name in names for start in lists if name.startswith(start)
    }
    if not layer_of:
        return dict.fromkeys(names, 0)
    first, count = names.index(next(iter(layer_of))), max(layer_of.values()) + 1
    before = set(names[:first])
    return {name: count - layer_of[name] if name in layer_of else count + 1 if name in before else 0 for name in names}
