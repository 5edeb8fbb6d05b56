"""The laws of physics are the same everywhere, in every direction and for every atom of an element."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from torch_gptff.potential import Potential
from torch_gptff.testing.common import FullPrediction, PotentialTests, float64, predict
from torch_gptff.testing.rotations import ROTATIONS


class SymmetryTests(PotentialTests):
    """Invariance of the energy and covariance of forces and stress, on every structure."""

    def assert_all_same(
        self, potential: Potential, moved: dict[str, Atoms], expected: dict[str, FullPrediction], what: str
    ) -> None:
        for name, prediction in zip(moved, predict(potential, list(moved.values())), strict=True):
            self.assert_same(prediction, expected[name], f"{name}, {what}")

    @pytest.mark.parametrize("source", ROTATIONS)
    def test_rotation(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction], source: str
    ) -> None:
        rotation = ROTATIONS[source](0)
        moved = {name: transformed(atoms, rotation) for name, atoms in structures.items()}
        expected = {name: carried(prediction, rotation) for name, prediction in predictions.items()}
        self.assert_all_same(potential, moved, expected, "rotated")

    @pytest.mark.parametrize("source", ROTATIONS)
    def test_reflection(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction], source: str
    ) -> None:
        reflection = -ROTATIONS[source](1)
        moved = {name: transformed(atoms, reflection) for name, atoms in structures.items()}
        expected = {name: carried(prediction, reflection) for name, prediction in predictions.items()}
        self.assert_all_same(potential, moved, expected, "reflected")

    def test_translation(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        moved = {name: atoms.copy() for name, atoms in structures.items()}
        for atoms in moved.values():
            atoms.translate([3.7, -11.3, 0.9])
        self.assert_all_same(potential, moved, predictions, "translated")

    def test_permutation(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        rng = np.random.default_rng(0)
        order = {name: rng.permutation(len(atoms)) for name, atoms in structures.items()}
        moved = {name: atoms[order[name]] for name, atoms in structures.items()}
        expected = {name: reordered(prediction, order[name]) for name, prediction in predictions.items()}
        self.assert_all_same(potential, moved, expected, "its atoms in another order")

    def test_lattice_translation_of_single_atoms(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        rng = np.random.default_rng(0)
        moved = {name: atoms.copy() for name, atoms in structures.items()}
        for atoms in moved.values():
            atoms.positions += (rng.integers(-3, 4, size=(len(atoms), 3)) * atoms.pbc) @ atoms.cell.array
        self.assert_all_same(potential, moved, predictions, "each atom moved by lattice vectors")

    def test_choice_of_cell(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        other_vectors = np.array([[1, 1, 0], [0, 1, -1], [1, 1, 1]])  # determinant 1: the same lattice
        moved = {name: atoms.copy() for name, atoms in structures.items() if atoms.pbc.all()}
        for atoms in moved.values():
            atoms.set_cell(other_vectors @ atoms.cell.array, scale_atoms=False)
        self.assert_all_same(potential, moved, predictions, "other vectors of the same lattice")

    def test_open_directions(
        self, potential: Potential, structures: dict[str, Atoms], predictions: dict[str, FullPrediction]
    ) -> None:
        moved: dict[str, Atoms] = {}
        expected: dict[str, FullPrediction] = {}
        for name in ("slab", "wire"):
            atoms, prediction = structures[name].copy(), predictions[name]
            volume = atoms.get_volume()
            lengths = np.where(atoms.pbc, 1, 4 + 2 * potential.model.cutoff)
            atoms.set_cell(atoms.cell.array * lengths[:, None], scale_atoms=False)
            atoms.pbc = True
            stress = prediction.stress * (volume / atoms.get_volume())
            moved[name] = atoms
            expected[name] = FullPrediction(prediction.energy, prediction.forces, stress, prediction.energies)
        self.assert_all_same(potential, moved, expected, "periodic across a wide vacuum")


def transformed(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """The atoms and their cell under ``r → r M``."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ matrix, scale_atoms=False)
    copy.positions = atoms.positions @ matrix
    return copy


def carried(prediction: FullPrediction, matrix: np.ndarray) -> FullPrediction:
    """A prediction transformed by the orthogonal map ``r → r M``."""
    by = float64(matrix)
    return FullPrediction(prediction.energy, prediction.forces @ by, by.T @ prediction.stress @ by, prediction.energies)


def reordered(prediction: FullPrediction, order: np.ndarray) -> FullPrediction:
    """The prediction of the same atoms in another order."""
    at = torch.as_tensor(order)
    energies = None if prediction.energies is None else prediction.energies[at]
    return FullPrediction(prediction.energy, prediction.forces[at], prediction.stress, energies)
