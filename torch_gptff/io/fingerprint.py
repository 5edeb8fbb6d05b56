"""A checkpoint's fingerprint: the energies that its weights must give, whatever version of the code reads them.

Weights say nothing of the formulas they were trained in. When a later version of the code changes a formula, the file
still loads, and is wrong; for the elements perhaps not even by much. So a checkpoint carries the energies of three
small compounds, and beside them the reference energy of every element that it knows, which loading computes again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch_geometric.data import Batch

from torch_gptff.errors import CheckpointFingerprintError
from torch_gptff.graph import CrystalData
from torch_gptff.nn import ElementEnergies
from torch_gptff.potential import Potential

TOLERANCE = 1e-9
"""Relative; what float64 on another processor may differ by is a thousand times less, and a changed formula may show
little in weights that are not trained yet."""

# Cell vectors in Å, and atoms as (atomic number, fractional coordinates). The atoms stand off their ideal sites, so
# that the energy depends on every part of a model.
_COMPOUNDS: dict[str, tuple[Sequence[Sequence[float]], Sequence[tuple[int, tuple[float, float, float]]]]] = {
    "NaCl": ([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]], [(11, (0, 0, 0)), (17, (0.51, 0.49, 0.48))]),
    "SiO2": (
        [[4.92, 0, 0], [-2.46, 4.26, 0], [0, 0, 5.41]],
        [
            (14, (0.47, 0.01, 0.00)),
            (14, (0.01, 0.47, 0.66)),
            (14, (0.53, 0.53, 0.34)),
            (8, (0.41, 0.27, 0.12)),
            (8, (0.73, 0.14, 0.79)),
            (8, (0.86, 0.59, 0.45)),
            (8, (0.27, 0.41, 0.55)),
            (8, (0.14, 0.73, 0.88)),
            (8, (0.59, 0.86, 0.21)),
        ],
    ),
    "CuZr": ([[3.26, 0, 0], [0, 3.30, 0], [0.1, 0, 3.22]], [(29, (0, 0, 0)), (40, (0.52, 0.47, 0.51))]),
}


def fingerprint(potential: Potential) -> dict[str, float]:
    """Energies in eV, computed in float64 on the CPU: of the reference compounds, and of the elements by symbol.

    An element that the model does not know gives its place in a compound to one that it knows. The energy of an element
    is what every one of its atoms adds to an energy.
    """
    from ase.data import chemical_symbols

    exact = deepcopy(potential).to("cpu", torch.float64).eval()
    exact.element_energies = ElementEnergies(exact.element_energies.energies)  # 0 of elements that a reference lacks
    batch = Batch.from_data_list([_compound(name, exact.model.elements) for name in _COMPOUNDS])
    with torch.no_grad():
        energies = exact(batch, forces=False, stress=False).energy
        elements = sorted(exact.model.elements)
        of_elements = exact.element_energies(torch.tensor(elements))
    names = (*_COMPOUNDS, *(chemical_symbols[number] for number in elements))
    return dict(zip(names, [*energies.tolist(), *of_elements.tolist()], strict=True))


def of_compounds(energies: Mapping[str, float]) -> dict[str, float]:
    """The part of a fingerprint that is of compounds."""
    return {name: energy for name, energy in energies.items() if name in _COMPOUNDS}


def check_fingerprint(
    potential: Potential, saved: Mapping[str, float], source: str, *, compounds_alone: bool = False
) -> None:
    """Compare the fingerprint now with the one in a checkpoint.

    Args:
        potential: as it was loaded
        saved: the fingerprint in the checkpoint
        source: of the checkpoint, for messages
        compounds_alone: whether the checkpoint may be of a time when fingerprints had no elements

    Raises:
        CheckpointFingerprintError: an energy differs; names the compound and both energies.
    """
    now = fingerprint(potential)
    if compounds_alone and saved.keys() == of_compounds(now).keys():
        now = of_compounds(now)
    if now.keys() != saved.keys():
        raise CheckpointFingerprintError(f"{source} has fingerprints of {list(saved)}; this version makes {list(now)}")
    for name, energy in now.items():
        if not abs(energy - saved[name]) <= TOLERANCE * max(1.0, abs(saved[name])):
            raise CheckpointFingerprintError(
                f"{source} gave {saved[name]:.6f} eV for {name} when it was saved, and gives {energy:.6f} eV now: the "
                "file was altered, or this version of torch_gptff reads it differently; use the version that wrote it"
            )


def _compound(name: str, elements: frozenset[int]) -> CrystalData:
    vectors, atoms = _COMPOUNDS[name]
    known = sorted(elements)
    numbers = [number if number in elements else known[number % len(known)] for number, _ in atoms]
    cell = torch.tensor(vectors, dtype=torch.float64)
    sites = torch.tensor([site for _, site in atoms], dtype=torch.float64)
    return CrystalData.from_tensors(z=torch.tensor(numbers), pos=sites @ cell, cell=cell.unsqueeze(0))
