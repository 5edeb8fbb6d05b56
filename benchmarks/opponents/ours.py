"""This package: a checkpoint, or an architecture with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ase import Atoms
from torch import Tensor, nn

from torch_gptff import GPTFF, CrystalData, GPTFFCalculator, GPTFFConfig, Potential, load_pretrained


def calculator(
    device: str, checkpoint: str | None = None, config: Mapping[str, Any] | None = None, skin: float = 0.0
) -> GPTFFCalculator:
    """An ASE calculator; without a skin it searches neighbours anew at every call, as the others do."""
    return GPTFFCalculator(potential(checkpoint, config), device=device, skin=skin)


def prebuilt(calculator: GPTFFCalculator, atoms: Atoms) -> Callable[[], Any]:
    """Energy, forces and stress of a graph that is there already."""
    graph = calculator.potential.model.build_graph(CrystalData.from_ase(atoms).to(calculator.device))
    return lambda: calculator.potential.evaluate(graph)


def trainable(
    device: str,
    crystals: Sequence[Atoms],
    checkpoint: str | None = None,
    config: Mapping[str, Any] | None = None,
    fuse: bool = True,
) -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor, Tensor]]]:
    """A model in training mode, and a function that gives its energies, forces and stresses of one batch."""
    from torch_geometric.data import Batch  # makes a tensor, after which no large pages can be asked for

    trained = potential(checkpoint, config).to(device).train()
    set_fused(trained, fuse)
    graphs = [trained.model.build_graph(CrystalData.from_ase(atoms)) for atoms in crystals]
    batch = Batch.from_data_list(graphs).to(device)

    def predict() -> tuple[Tensor, Tensor, Tensor]:
        prediction = trained.evaluate(batch, create_graph=True)
        assert prediction.forces is not None
        assert prediction.stress is not None
        return prediction.energy, prediction.forces, prediction.stress

    return trained, predict


def set_fused(model: nn.Module, fuse: bool) -> None:
    """Whether its updates are fused operators, or messages made one by one in plain operations."""
    for module in model.modules():
        if hasattr(module, "fuse"):
            module.fuse = fuse


def potential(checkpoint: str | None, config: Mapping[str, Any] | None) -> Potential:
    """From a file or a name; or the architecture of a configuration, the recommended one by default."""
    if checkpoint is not None:
        return load_pretrained(checkpoint)
    torch.manual_seed(0)
    return Potential(GPTFF(GPTFFConfig.from_dict(config or {})))
