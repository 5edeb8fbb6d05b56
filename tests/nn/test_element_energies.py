"""Reference energies of the elements stay exact, whatever happens to the model around them."""

from __future__ import annotations

import math

import pytest
import torch

from torch_gptff.errors import ConfigError
from torch_gptff.nn import ElementEnergies, sum_by_structure

IRON = -8.123456789012345


@pytest.mark.parametrize("convert", ["float", "half", "bfloat16", "to_float32", "double"])
def test_stays_in_float64(convert):
    model = torch.nn.Sequential(ElementEnergies({26: IRON}), torch.nn.Linear(1, 1))
    model = model.to(torch.float32) if convert == "to_float32" else getattr(model, convert)()
    assert model[1].weight.dtype != torch.float64 or convert == "double"
    energies = model[0](torch.tensor([26, 1]))
    assert energies.dtype == torch.float64
    assert energies.tolist() == [IRON, 0.0]


def test_follows_to_another_device():
    assert ElementEnergies({26: IRON}).to("meta").energies.device.type == "meta"


def test_ten_thousand_atoms_lose_nothing():
    z = torch.full((10_000,), 26)
    energies = ElementEnergies({26: IRON}).float()(z)
    total = sum_by_structure(energies, torch.zeros_like(z), 1)
    assert total.item() == pytest.approx(10_000 * IRON, abs=1e-7)


@pytest.mark.parametrize("given", [{1: -1.5, 3: 2.0}, [0.0, -1.5, 0.0, 2.0], torch.tensor([0.0, -1.5, 0.0, 2.0])])
def test_by_atomic_number(given):
    assert ElementEnergies(given)(torch.tensor([3, 1, 2, 118])).tolist() == [2.0, -1.5, 0.0, 0.0]


def test_zero_where_none_are_given():
    assert not ElementEnergies()(torch.arange(119)).any()


def test_survives_a_state_dict():
    energies = ElementEnergies()
    energies.load_state_dict(ElementEnergies({26: IRON}).state_dict())
    assert energies(torch.tensor([26])).item() == IRON


@pytest.mark.parametrize("energy", [math.nan, math.inf])
def test_refuses_what_is_not_a_number(energy):
    with pytest.raises(ConfigError, match="Z = 26"):
        ElementEnergies({26: energy})


@pytest.mark.parametrize("number", [-1, 119])
def test_refuses_an_atomic_number_out_of_range(number):
    with pytest.raises(ConfigError, match=f"no atomic number {number}"):
        ElementEnergies({number: 1.0})
