"""CHGNet (Deng et al., Nature Machine Intelligence 5, 1031 (2023)), with the weights in its wheel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ase import Atoms
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.io.ase import AseAtomsAdaptor


def calculator(device: str) -> CHGNetCalculator:
    """An ASE calculator."""
    return CHGNetCalculator(use_device=device, check_cuda_mem=False)


def prebuilt(calculator: CHGNetCalculator, atoms: Atoms) -> Callable[[], Any]:
    """Energy, forces and stress of a graph that is there already."""
    model = calculator.model
    graph = model.graph_converter(AseAtomsAdaptor.get_structure(atoms)).to(str(calculator.device))
    return lambda: model.predict_graph(graph, task="efs")
