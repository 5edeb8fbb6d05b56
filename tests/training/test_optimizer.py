"""Which parameters are trained, and how."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from torch_gptff.errors import ConfigError
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.potential import Potential
from torch_gptff.training import TrainingConfig
from torch_gptff.training.config import OptimizerSettings
from torch_gptff.training.module import EnergyModelModule
from torch_gptff.training.optimizer import learning_rate


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


def rates(schedule: str, at: list[float], **settings: object) -> list[float]:
    """Learning rates of a run of ten epochs from 1.0 to 0.1."""
    optimizer = OptimizerSettings(schedule=schedule, lr=1.0, final_lr=0.1, warmup=0.1)
    return [learning_rate(done, TrainingConfig(optimizer=optimizer, epochs=10, **settings)) for done in at]


def test_a_cosine_rises_over_its_share_of_all_steps_and_falls_to_the_end():
    assert rates("cosine", [0, 0.5, 1, 5.5, 10]) == pytest.approx([0, 0.5, 1, 0.55, 0.1])


def test_a_constant_rate_rises_in_the_first_epoch_whatever_their_number():
    assert rates("constant", [0, 0.05, 0.1, 5, 10]) == pytest.approx([0, 0.5, 1, 1, 1])


def test_a_decay_falls_by_the_square_root_from_the_first_step_on():
    assert rates("decay", [0, 2.5, 10], start="run") == pytest.approx([1, 0.55, 0.1])
    assert rates("constant", [0, 5], start="run") == pytest.approx([1, 1]), "it is warm already"


def test_a_decay_needs_a_run_to_start_from():
    with pytest.raises(ConfigError, match=r"start must be a run, where optimizer\.schedule is 'decay'"):
        rates("decay", [0])
    with pytest.raises(ConfigError, match=r"optimizer\.schedule must be one of cosine, constant, decay"):
        rates("linear", [0])
