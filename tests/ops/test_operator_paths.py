"""The whole model with each implementation of its operators: fused and compiled, fused in chunks, not fused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from torch import Tensor
from torch_geometric.data import Batch

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.graph import CrystalData
from torch_gptff.io.published import load_published
from torch_gptff.ops import native
from torch_gptff.ops.native import geometric

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
PATHS = ("native", "eager", "unfused")


def take(path: str, potential: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "native" and not native.is_available(torch.float64, 32):
        pytest.skip("there is no C++ compiler that makes the native kernels")
    if path != "native":
        for kernels in (native, geometric):
            monkeypatch.setattr(kernels, "is_available", lambda *_: False)
    for layer in potential.model.layers:
        for update in layer.modules():
            if hasattr(update, "fuse"):
                update.fuse = path != "unfused"


@pytest.fixture(
    scope="module",
    params=[GPTFFConfig.paper(num_layers=1), GPTFFConfig(num_layers=2, heads=2), GPTFFConfig(heads=1, degree=3)],
    ids=["paper", "geometric", "geometric, degree 3"],
)  # fmt: skip
def potential(request: pytest.FixtureRequest) -> Potential:
    torch.manual_seed(0)
    return Potential(GPTFF(replace(request.param, channels=32, feedforward_channels=32))).double()


def rattled(atoms: Atoms) -> CrystalData:
    atoms.rattle(0.1, seed=1)
    return CrystalData.from_ase(atoms)


def crystals() -> Batch:
    return Batch.from_data_list([rattled(bulk("NaCl", "rocksalt", a=5.6)), rattled(bulk("Si", cubic=True))])


def test_training_step(potential: Potential, assert_agree: Agree, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient by every parameter of a loss on energy, forces and stress."""
    gradients: dict[str, list[Tensor]] = {}
    for path in PATHS:
        with monkeypatch.context() as patch:
            take(path, potential, patch)
            p = potential(crystals(), create_graph=True)
            loss = p.energy.square().sum() + p.forces.square().sum() + p.stress.square().sum()
            potential.zero_grad()
            loss.backward()
            gradients[path] = [parameter.grad for parameter in potential.model.parameters()]
    assert all(gradient.any() for gradient in gradients["unfused"])
    for path in ("native", "eager"):
        assert_agree(gradients[path], gradients["unfused"], 1000)


@pytest.mark.parametrize("path", PATHS)
def test_hessian_is_the_difference_of_forces(path: str, potential: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    """With frozen parameters, as for phonons: one column by differentiating again, and by moving an atom."""
    take(path, potential, monkeypatch)
    potential.requires_grad_(False)
    try:
        data = rattled(bulk("Si"))
        data.pos.requires_grad_()
        forces = potential(data, stress=False, create_graph=True).forces
        (column,) = torch.autograd.grad(-forces[0, 1], data.pos)

        step = 1e-4
        moved = []
        for sign in (1, -1):
            pos = data.pos.detach().clone()
            pos[0, 1] += sign * step
            moved.append(potential(CrystalData(**{**data.to_dict(), "pos": pos}), stress=False).forces)
        by_difference = -(moved[0] - moved[1]) / (2 * step)
    finally:
        potential.requires_grad_(True)
    assert column.abs().max() > 0.01
    torch.testing.assert_close(column, by_difference, rtol=0, atol=1e-6 * column.abs().max().item())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_golden_energy_and_forces(path: str, version: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    potential = load_published(shared_data / "pretrained" / f"gptff_{version}.pth").double()
    take(path, potential, monkeypatch)
    systems = json.loads((shared_data / "golden" / "published_checkpoints.json").read_text())["systems"]
    small = [system for system in systems if len(system["numbers"]) <= 8][:4]
    assert small
    for system in small:
        atoms = Atoms(system["numbers"], system["positions"], cell=system["cell"], pbc=system["pbc"])
        prediction, golden = potential(CrystalData.from_ase(atoms), stress=False), system[version]
        forces = torch.tensor(golden["forces"], dtype=torch.float64)
        assert prediction.energy.item() == pytest.approx(golden["energy"], abs=1e-8)
        torch.testing.assert_close(prediction.forces, forces, rtol=0, atol=1e-8)
