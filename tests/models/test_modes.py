"""Models in 16 bits, in inference mode, compiled and exported: they give the same numbers, or say why they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from torch_geometric.data import Batch

from torch_gptff import GPTFF, CrystalData, GPTFFCalculator, GPTFFConfig, Potential
from torch_gptff.errors import ConfigError, GraphError, UnsupportedElementError
from torch_gptff.models import (
    DimeNetConfig,
    DimeNetPlusPlus,
    EnergyModel,
    SchNet,
    SchNetConfig,
    ViSNet,
    ViSNetConfig,
    build_model,
)

SMALL: dict[str, Any] = {"channels": 32, "num_layers": 1, "num_radial": 4, "feedforward_channels": 16}
BASELINES = {
    "schnet": SchNetConfig(hidden_channels=16, num_filters=16, num_interactions=1),
    "dimenet++": DimeNetConfig(hidden_channels=16, num_blocks=1),
    "visnet": ViSNetConfig(hidden_channels=16, num_heads=2, num_layers=2, num_rbf=8),
}
GPTFFS = {
    "recommended": GPTFFConfig(**SMALL, heads=2),
    "committee": GPTFFConfig(**SMALL, num_readouts=2, repulsion=True),
    "odd width": GPTFFConfig(**SMALL | {"channels": 10, "heads": 2}),
    "paper": GPTFFConfig.paper(**SMALL),
    "harmonic": GPTFFConfig.paper(**SMALL, angle_update="harmonic"),
    "global": GPTFFConfig.paper(**SMALL, transformer="global"),
    "pooled": GPTFFConfig.paper(**SMALL, transformer="none", readout="pooled", envelope_exponent=None),
    "committee of the paper": GPTFFConfig.paper(**SMALL, num_readouts=2, repulsion=True),
    "odd width of the paper": GPTFFConfig.paper(**SMALL | {"channels": 10}),
}


def make(name: str) -> EnergyModel:
    torch.manual_seed(0)
    if name in BASELINES:
        return build_model(name, BASELINES[name].to_dict()).eval()
    return GPTFF(GPTFFS[name]).eval()


def crystal(repeat: int = 1) -> CrystalData:
    atoms = bulk("NaCl", "rocksalt", a=5.64) * (2, repeat, 1)
    atoms.rattle(0.1, seed=3)
    return CrystalData.from_ase(atoms)


NAMES = [*GPTFFS, *BASELINES]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_sixteen_bits(name: str, dtype: torch.dtype) -> None:
    """The energy to the digits of the dtype, forces near enough to tell their direction, and gradients."""
    expected = Potential(make(name).double())(crystal())
    potential = Potential(make(name).to(dtype))
    found = potential(crystal(), create_graph=True)
    assert found.energy.dtype == torch.float64
    assert found.forces.dtype == dtype
    error = float((found.energy - expected.energy).detach().abs())
    assert error < 100 * torch.finfo(dtype).eps * max(1.0, float(expected.energy.abs()))
    product = (found.forces.double() * expected.forces).sum() / (found.forces.double().norm() * expected.forces.norm())
    assert float(product.detach()) > 0.95
    found.forces.float().square().sum().backward()
    assert any(p.grad is not None and bool(p.grad.isfinite().all()) for p in potential.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_inference_mode(name: str) -> None:
    potential = Potential(make(name))
    expected = potential(crystal())
    graph = potential.model.build_graph(crystal())
    with torch.inference_mode():
        inside = CrystalData.from_ase(crystal().to_ase())
        for found in (potential(inside), potential(graph), potential.predict([crystal()])[0]):
            torch.testing.assert_close(found.energy, expected.energy)
            torch.testing.assert_close(found.forces, expected.forces)
            torch.testing.assert_close(found.stress, expected.stress)
        energy = potential.model(inside.z, inside.pos, None, inside.cell, inside.pbc)
        torch.testing.assert_close(energy.double().squeeze(-1), expected.energy)
    torch.testing.assert_close(potential(inside).forces, expected.forces)  # a record of inference mode, outside it


def test_a_calculator_goes_on_outside_inference_mode() -> None:
    atoms = crystal().to_ase()
    atoms.calc = GPTFFCalculator(Potential(make("recommended")))
    with torch.inference_mode():
        forces = atoms.get_forces()
    atoms.positions += 0.001  # the same neighbours, kept from before
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-5)


def test_a_model_made_in_inference_mode_says_that_it_gives_no_forces() -> None:
    with torch.inference_mode():
        potential = Potential(make("recommended"))
        potential(crystal(), forces=False, stress=False)
        with pytest.raises(ConfigError, match="make it outside"):
            potential(crystal())


def arguments(model: EnergyModel, data: CrystalData) -> tuple[tuple[Any, ...], dict[str, Any]]:
    graph = model.build_graph(data)
    names = ("edge_index", "edge_shift", "angle_index")
    return (graph.z, graph.pos.float(), graph.get("batch"), graph.cell.float(), graph.pbc), {
        name: graph[name] for name in names if name in graph
    }


@pytest.mark.slow
def test_compiled() -> None:
    """The search for neighbours stands outside what is compiled."""
    model = SchNet(SchNetConfig(hidden_channels=8, num_filters=8, num_interactions=1)).eval().requires_grad_(False)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    for repeat in (1, 2):
        inputs, graph = arguments(model, crystal(repeat))
        torch.testing.assert_close(compiled(*inputs), model(*inputs))
    torch.testing.assert_close(compiled(*inputs, **graph), model(*inputs))
    with pytest.raises(UnsupportedElementError):
        compiled(torch.full_like(inputs[0], 119), *inputs[1:])
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["recommended", "paper", "pooled", "schnet", "visnet"])
def test_exported_with_a_graph(name: str) -> None:
    model = make(name).requires_grad_(False)
    inputs, graph = arguments(model, crystal())
    exported = torch.export.export(model, inputs, graph, strict=False).module()
    torch.testing.assert_close(exported(*inputs, **graph), model(*inputs, **graph))
    z, pos, *rest = inputs
    moved = (z.flip(0), pos + 0.01 * torch.randn_like(pos), *rest)
    torch.testing.assert_close(exported(*moved, **graph), model(*moved, **graph))


@pytest.mark.parametrize("name", ["recommended", "paper"])
def test_exported_batch(name: str) -> None:
    model = make(name).requires_grad_(False)
    inputs, graph = arguments(model, Batch.from_data_list([crystal(), crystal(2)]))
    exported = torch.export.export(model, inputs, graph, strict=False).module()
    torch.testing.assert_close(exported(*inputs, **graph), model(*inputs, **graph))


def test_what_cannot_be_exported_says_why() -> None:
    for name in ("harmonic", "global", "dimenet++"):
        model = make(name)
        inputs, graph = arguments(model, crystal())
        with pytest.raises(ConfigError, match=r"torch\.export cannot trace this"):
            torch.export.export(model, inputs, graph, strict=False)
    model = make("recommended")
    inputs, _ = arguments(model, crystal())
    with pytest.raises(GraphError, match="give edge_index, edge_shift"):
        torch.export.export(model, inputs, strict=False)


def test_every_baseline_is_here() -> None:
    assert {type(make(name)) for name in BASELINES} == {SchNet, DimeNetPlusPlus, ViSNet}
