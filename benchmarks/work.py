"""What is measured, as :func:`measure.measure` wants it. Runs in the environments of the opponents too.

Work that has an answer returns a function that gives it, for the summary: :func:`answer`.

An adapter is a module of ``opponents/``. It has ``calculator(device, **arguments)``, an ASE calculator; where the
opponent's interface allows, ``prebuilt(calculator, atoms)``, a function that evaluates a graph made once; and, to take
part in training, ``trainable(device, crystals, **arguments)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import cycle
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ase import units
from ase.calculators.calculator import all_changes
from ase.md.verlet import VelocityVerlet
from structures import mixed_crystals, structure

PROPERTIES = ["energy", "forces", "stress"]

MOVES = 8
"""How many configurations of its atoms a structure goes through, again and again."""

STEPS = 10
"""Steps of molecular dynamics at a time, so that the searches of a list with a skin have their share in each time."""

KELVIN = 300


def answer(outcome: Callable[[], Any]) -> Any:
    """What work has to say, worked out when its time and memory have been taken."""
    return outcome()


def whole(adapter: str, arguments: Mapping[str, Any], name: str, device: str) -> Callable[[], Any]:
    """Energy, forces and stress from ``Atoms`` that have all moved since the last time: graph included.

    Its answer is the energy in eV and the forces in eV/Å of the first configuration.
    """
    calculator = _adapter(adapter).calculator(device, **arguments)
    configurations = [structure(name, seed) for seed in range(MOVES)]
    coming = cycle(configurations)

    def results() -> dict[str, Any]:
        calculator.calculate(configurations[0], PROPERTIES, all_changes)
        found = calculator.results
        return {"energy": float(found["energy"]), "forces": np.asarray(found["forces"]).tolist()}

    def work() -> Callable[[], dict[str, Any]]:
        calculator.calculate(next(coming), PROPERTIES, all_changes)
        return results

    return work


def prebuilt(adapter: str, arguments: Mapping[str, Any], name: str, device: str) -> Callable[[], None]:
    """Energy, forces and stress of one graph."""
    module = _adapter(adapter)
    evaluate = module.prebuilt(module.calculator(device, **arguments), structure(name))

    def work() -> None:
        evaluate()

    return work


def dynamics(adapter: str, arguments: Mapping[str, Any], name: str, device: str) -> Callable[[], None]:
    """:data:`STEPS` steps of 1 fs at constant energy, begun at 300 K."""
    atoms = structure(name)
    thermal = np.sqrt(units.kB * KELVIN * atoms.get_masses())
    atoms.set_momenta(thermal[:, None] * np.random.default_rng(0).normal(size=(len(atoms), 3)))
    atoms.calc = _adapter(adapter).calculator(device, **arguments)
    verlet = VelocityVerlet(atoms, timestep=units.fs)

    def work() -> None:
        verlet.run(STEPS)

    return work


def training_step(adapter: str, arguments: Mapping[str, Any], device: str) -> Callable[[], Any]:
    """A step of AdamW on energies, forces and stresses of sixteen crystals. Its answer is the loss of every step.

    The labels are zero: what they are makes no difference to the work.
    """
    crystals = mixed_crystals()
    model, predict = _adapter(adapter).trainable(device, crystals, **arguments)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    n_atoms = torch.tensor([len(atoms) for atoms in crystals], device=device)
    losses: list[float] = []

    def loss_of(prediction: torch.Tensor) -> torch.Tensor:
        return F.huber_loss(prediction, torch.zeros_like(prediction))

    def work() -> Callable[[], list[float]]:
        optimizer.zero_grad()
        energy, forces, stress = predict()
        loss = loss_of(energy / n_atoms) + loss_of(forces) + loss_of(stress)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        return lambda: losses

    return work


def _adapter(name: str) -> Any:
    return import_module(f"opponents.{name}")
