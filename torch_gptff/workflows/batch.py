"""Energy, forces and stress of many structures that move, with one call of a model for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress

from torch_gptff.calculators import potential_of
from torch_gptff.errors import StructureError
from torch_gptff.graph import VerletGraph
from torch_gptff.graph.checks import check_elements
from torch_gptff.graph.convert import from_ase
from torch_gptff.potential import Potential, Prediction
from torch_gptff.workflows.evaluate_many import no_doubts
from torch_gptff.workflows.network import REACH


class HeldResults(Calculator):
    """The calculator of one structure of a batch: it gives what :func:`compute_together` computed for it last.

    Args:
        reach: of bonds, Å, see :func:`~torch_gptff.workflows.network.reach_of`
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, reach: float = REACH) -> None:
        super().__init__()
        self.reach = reach
        self.graph: VerletGraph | None = None

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        if name not in self.results:
            raise PropertyNotImplementedError(f"{name} was not computed")
        value = self.results[name]
        return value.copy() if isinstance(value, np.ndarray) else value


def compute_together(structures: Sequence[Atoms], calculator: Any) -> list[StructureError | None]:
    """Give every structure, whose calculator is a :class:`HeldResults`, its energy, forces and stress.

    Args:
        structures: where they stand now
        calculator: a :class:`~torch_gptff.Potential` or its calculator, which takes them together; or any ASE
            calculator, which is given one after the other

    Returns:
        for every structure, why the calculator refuses it, or ``None``
    """
    potential = potential_of(calculator)
    if potential is not None:
        return _by_potential(structures, potential)
    return [_by_calculator(atoms, calculator) for atoms in structures]


def _by_potential(structures: Sequence[Atoms], potential: Potential) -> list[StructureError | None]:
    device = next(potential.parameters()).device
    refusals: list[StructureError | None] = []
    graphs, calculators = [], []
    is_committee = potential.model.num_readouts > 1
    for atoms in structures:
        held = atoms.calc
        is_new = held.graph is None
        if held.graph is None:
            held.graph = VerletGraph(potential.model.cutoff, potential.model.angle_cutoff)
        try:
            data = from_ase(atoms).to(device)
            check_elements(data, potential.model.elements)
            graphs.append(held.graph.update(data))
        except StructureError as error:
            refusals.append(error)
        else:
            calculators.append((held, is_new, atoms.cell.rank == 3))
            refusals.append(None)
    with no_doubts():  # a structure is doubted once, and not at every step
        predictions = potential.predict(graphs, energy_std=is_committee)
    for graph, (held, is_new, has_volume), prediction in zip(graphs, calculators, predictions, strict=True):
        held.results = _results(prediction, has_volume)
        if is_new and prediction.energy_std is not None:
            potential.warn_of_doubt(prediction.energy_std.item(), graph.z)
    return refusals


def _results(prediction: Prediction, has_volume: bool) -> dict[str, Any]:
    assert prediction.forces is not None
    assert prediction.stress is not None
    results: dict[str, Any] = {"energy": prediction.energy.item(), "forces": prediction.forces.double().numpy()}
    if prediction.energy_std is not None:
        results["energy_std"] = prediction.energy_std.item()
    if has_volume:
        results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress[0].numpy())
    return results


def _by_calculator(atoms: Atoms, calculator: Any) -> StructureError | None:
    alone = atoms.copy()
    alone.set_constraint()
    alone.calc = calculator
    try:
        results: dict[str, Any] = {"energy": float(alone.get_potential_energy()), "forces": alone.get_forces()}
        if alone.cell.rank == 3:
            with suppress(NotImplementedError):
                results["stress"] = alone.get_stress()
    except StructureError as error:
        return error
    atoms.calc.results = results
    return None
