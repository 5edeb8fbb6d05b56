"""Low-rank updates of weights, for fine-tuning that leaves everything else as it is."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from torch_gptff.errors import ConfigError
from torch_gptff.models import EnergyModel


class LowRank(nn.Module):
    r"""A weight that stays as it is, and a product of two thin matrices that is added to it: :math:`W + B A`.

    :math:`B` is zero at first, so that training starts at :math:`W`: `LoRA: Low-Rank Adaptation of Large Language
    Models <https://arxiv.org/abs/2106.09685>`_.

    Args:
        weight: :math:`W`, ``[m, n]``
        rank: number of rows of :math:`A`; at most the least of ``m`` and ``n`` is used
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        m, n = weight.shape
        rank = min(rank, m, n)
        self.a = nn.Parameter(weight.new_empty(rank, n))
        self.b = nn.Parameter(weight.new_zeros(m, rank))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)  # as the weight of an nn.Linear

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


def add_low_rank(model: nn.Module, rank: int, freeze: Sequence[str] = (), seed: int = 0) -> None:
    """Give the weights of all linear maps a low-rank update, and freeze every other parameter.

    Args:
        model: the model to change
        rank: rank of the updates
        freeze: beginnings of the names of weights that get none
        seed: random seed of the updates

    Raises:
        ConfigError: there is no linear map.
    """
    linears = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(f"{name}.weight".startswith(start) for start in freeze)
    ]
    if not linears:
        raise ConfigError("model.lora changes the weights of linear maps, and model.freeze leaves none")
    model.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for linear in linears:
            parametrize.register_parametrization(linear, "weight", LowRank(linear.weight, rank))


def merged(model: EnergyModel) -> EnergyModel:
    """The model with its low-rank updates added to the weights: one of ordinary parameters, under their usual names.

    A model without such updates is returned as it is, any other as a copy.
    """
    if not _updated(model):
        return model
    copy = deepcopy(model)
    for module in _updated(copy):
        weight = module.weight.detach()
        # PyTorch's remove_parametrizations would take the weight off the class, which the model itself has, too
        module.__class__ = type(module).__bases__[0]
        del module.parametrizations
        module.weight = nn.Parameter(weight)
    return copy


def _updated(model: nn.Module) -> list[nn.Linear]:
    """The linear maps whose weight has a low-rank update."""
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear)
        and parametrize.is_parametrized(module, "weight")
        and isinstance(module.parametrizations["weight"][0], LowRank)  # type: ignore[index]
    ]
