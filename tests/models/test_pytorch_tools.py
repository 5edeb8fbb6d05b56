"""What users of PyTorch and PyG reach for: compilers, transforms, explainers, hooks, summaries, processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ase.build import bulk
from torch.nn.parallel import DistributedDataParallel
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import MessagePassing, summary

from torch_gptff import GPTFF, CrystalData, Potential
from torch_gptff.errors import ConfigError, GraphError
from torch_gptff.models import DimeNetPlusPlus, EnergyModel, Explained, SchNet, ViSNet

SMALL: dict[str, Any] = {"hidden_channels": 32, "num_layers": 2, "num_rbf": 4, "feedforward_channels": 32, "lmax": 1}
GPTFFS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "paper": {"transformer": "local"},
    "harmonic": {"transformer": "local", "angle_update": "harmonic"},
    "global": {"transformer": "global"},
    "without attention": {"transformer": "none"},
}
WATER = torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])


def make(name: str, **settings: Any) -> EnergyModel:
    torch.manual_seed(0)
    if name == "schnet":
        return SchNet(hidden_channels=8, num_filters=8, num_interactions=1)
    if name == "visnet":
        return ViSNet(hidden_channels=8, num_heads=2, num_layers=2, num_rbf=4)
    if name == "dimenet++":
        return DimeNetPlusPlus(hidden_channels=8, num_blocks=1, num_spherical=2, out_emb_channels=8)
    return GPTFF(**SMALL | GPTFFS[name] | settings)


def crystal() -> CrystalData:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.rattle(0.1, seed=3)
    return CrystalData.from_ase(atoms)


@pytest.mark.parametrize("name", ["recommended", "paper"])
def test_compiled(name: str) -> None:
    """Called with atoms alone, and its forces; the search for neighbours stands outside what is compiled."""
    torch._dynamo.reset()
    model = make(name, num_layers=1)
    compiled = torch.compile(model, backend="eager")
    z, pos = WATER[0], WATER[1].clone().requires_grad_()
    found, expected = compiled(z, pos), model(z, pos)
    torch.testing.assert_close(found, expected)
    forces = [torch.autograd.grad(energy.sum(), pos)[0] for energy in (found, expected)]
    torch.testing.assert_close(*forces)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", [*GPTFFS, "schnet"])
def test_hessian(name: str) -> None:
    """Of torch.func, with the graph built under its transforms: as autograd's."""
    model, (z, pos) = make(name, num_layers=1).double(), WATER
    found = torch.func.hessian(lambda p: model(z, p).sum())(pos.double())
    expected = torch.autograd.functional.hessian(lambda p: model(z, p).sum(), pos.double())
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(found, expected)


def test_gradients_by_parameters_with_torch_func() -> None:
    model, (z, pos) = make("recommended"), WATER
    parameters = dict(model.named_parameters())
    found = torch.func.grad(lambda p: torch.func.functional_call(model, p, (z, pos)).sum())(parameters)
    model(z, pos).sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(
            found[name], torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        )


def test_vmap_says_what_to_do() -> None:
    model, (z, pos) = make("schnet"), WATER
    with pytest.raises(GraphError, match="put the structures into one batch"):
        torch.func.vmap(lambda p: model(z, p))(pos.expand(2, 3, 3))


class TestExplainers:
    NAMES = (*GPTFFS, "schnet", "dimenet++", "visnet")

    @pytest.mark.parametrize("name", ["recommended", "without attention", "schnet"])
    def test_masks_act_on_bonds(self, name: str) -> None:
        """All ones change nothing; all zeros leave atoms that do not know of each other."""
        model = make(name).double().eval()
        explained = Explained(model, crystal())
        expected = Potential(model)(crystal()).energy
        plain = explained(explained.x, explained.edge_index).squeeze(-1)
        torch.testing.assert_close(plain, expected)
        found = []
        for mask in (torch.ones, torch.zeros):
            set_masks(model, mask(explained.edge_index.size(1)).double(), explained.edge_index, apply_sigmoid=False)
            found.append(explained(explained.x, explained.edge_index).squeeze(-1))
            clear_masks(model)
        alone = sum(model(z.view(1), torch.zeros(1, 3).double()).item() for z in crystal().z)
        torch.testing.assert_close(found[0], expected)
        assert found[1].item() == pytest.approx(alone, rel=1e-9)
        assert abs(expected.item() - alone) > 1e-4

    @pytest.mark.parametrize("name", ["recommended", "paper", "schnet"])
    def test_an_explanation_of_atoms_and_bonds(self, name: str) -> None:
        explained = Explained(make(name).eval(), crystal())
        explainer = Explainer(
            explained,
            GNNExplainer(epochs=2),
            explanation_type="model",
            edge_mask_type="object",
            node_mask_type="object",
            model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
        )
        explanation = explainer(explained.x, explained.edge_index)
        assert explanation.edge_mask.shape == (explained.edge_index.size(1),)
        assert explanation.node_mask.shape == (2, 1)
        assert explanation.edge_mask.max() > 0
        assert explanation.node_mask.max() > 0

    def test_what_cannot_be_explained(self) -> None:
        with pytest.raises(ConfigError, match="has no messages of bonds that an explainer could mask"):
            Explained(make("dimenet++"), crystal())
        explained = Explained(make("schnet"), crystal())
        with pytest.raises(ConfigError, match=r"give explained\.edge_index"):
            explained(explained.x, explained.edge_index[:, :2])


@pytest.mark.parametrize("name", ["recommended", "paper"])
def test_summary_names_the_layers(name: str) -> None:
    table = summary(make(name), *WATER)
    n_parameters = sum(parameter.numel() for parameter in make(name).parameters())
    assert f"{n_parameters:,}" in table
    assert "(readout)AtomwiseReadout" in table
    assert ("GeometricAttention" if name == "recommended" else "AtomConv") in table


@pytest.mark.parametrize("name", GPTFFS)
def test_hooks_are_called(name: str) -> None:
    """Of the layers and the readout, also where one call of a kernel could give energy and forces."""
    model = make(name).eval()
    seen: list[str] = []
    for path, module in model.named_modules():
        module.register_forward_hook(lambda module, inputs, result, path=path: seen.append(path))
    Potential(model)(CrystalData.from_tensors(*WATER), stress=False)
    layers = [path for path, module in model.named_modules() if isinstance(module, MessagePassing)]
    assert {*layers, "layers.0", "layers.1", "readout", "output"} <= set(seen)


def test_hooks_can_change_a_result() -> None:
    model, (z, pos) = make("recommended").eval(), WATER
    before = model(z, pos)
    model.readout.register_forward_hook(lambda module, inputs, result: 2 * result)
    torch.testing.assert_close(model(z, pos), 2 * before)
    torch.testing.assert_close(
        Potential(model)(CrystalData.from_tensors(z, pos)).energy.float(), 2 * before.detach().squeeze(-1)
    )


def test_distributed_by_hand(tmp_path: Path) -> None:
    """DistributedDataParallel around the model, in a group of one process: the same gradients, all parameters used."""
    model, (z, pos) = make("recommended", num_layers=1).double(), WATER
    model(z, pos.double()).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "meeting"), 1), rank=0, world_size=1)
    try:
        parallel = DistributedDataParallel(model)
        for _ in range(2):  # a parameter without a gradient would be told by the second pass
            model.zero_grad()
            parallel(z, pos.double()).sum().backward()
    finally:
        dist.destroy_process_group()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
