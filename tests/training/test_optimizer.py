"""Which parameters are trained, and how."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.potential import Potential
from torch_gptff.training import TrainingConfig
from torch_gptff.training.module import EnergyModelModule


def stepped(name: str, num_readouts: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Every parameter of the model before and after a step in which no gradient moves it."""
    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(channels=8, heads=2, feedforward_channels=16, num_layers=1, num_readouts=num_readouts))
    config = TrainingConfig()
    config = replace(config, optimizer=replace(config.optimizer, name=name, weight_decay=0.1))
    optimizer = EnergyModelModule(Potential(model), config).configure_optimizers()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = 0.5
        for p in group["params"]:
            p.grad = torch.zeros_like(p)
    optimizer.step()
    return {name: (before[name], p.detach()) for name, p in model.named_parameters()}


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_everything_decays_but_the_readouts_of_a_committee(name):
    one, committee = stepped(name, 1), stepped(name, 3)
    assert sum(each.startswith("readout.others") for each in committee) == 12
    for decayed, steps in ((True, one), (False, committee)):
        for parameter, (before, after) in steps.items():
            factor = 0.95 if decayed or not parameter.startswith("readout.") else 1.0
            torch.testing.assert_close(after, factor * before, msg=parameter)
