"""A model has the properties it declares, and lacks those it declares it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms

from torch_gptff.potential import Potential
from torch_gptff.testing.common import (
    FullPrediction,
    PotentialTests,
    as_array,
    assert_close,
    largest,
    predict,
    predict_one,
)
from torch_gptff.testing.structures import crossing, fragments, with_elements


class DeclarationTests(PotentialTests):
    """Extensivity, locality and continuity.

    Where a model declares one ``False``, its test must fail: it is reported as an expected failure, and as an error
    if the model has the property after all.

    Attributes:
        reasons: why the model lacks a property, by its name (``is_extensive``, ``is_local``, ``is_smooth``)
    """

    reasons: ClassVar[Mapping[str, str]] = {}

    def crossings(self, potential: Potential) -> list[tuple[str, float]]:
        """The structures that :meth:`test_is_smooth` leads a distance of through a radius in Å, and the radius."""
        model = potential.model
        bonds = [("pair", model.cutoff), ("rattled_crystal", model.cutoff)]
        if model.angle_cutoff is None:
            return bonds
        return [*bonds, ("triplet", model.angle_cutoff), ("rattled_crystal", model.angle_cutoff)]

    def test_is_extensive(self, request: pytest.FixtureRequest, potential: Potential) -> None:
        self._hold_to(request, potential, "is_extensive")
        for name, repeats in (("rattled_crystal", (1, 2, 1)), ("one_atom_cell", (2, 1, 3)), ("slab", (2, 2, 1))):
            cell = self.build(potential, name)
            n_cells = int(np.prod(repeats))
            one, many = predict(potential, [cell, cell.repeat(repeats)])
            assert_close(many.energy, n_cells * one.energy, self.rounding, f"energy of {n_cells} cells of {name}")
            assert_close(
                many.forces, one.forces.repeat(n_cells, 1), self.rounding, f"forces in {n_cells} cells of {name}"
            )
            assert_close(many.stress, one.stress, self.rounding, f"stress of {n_cells} cells of {name}")

        left, right = (with_elements(part, potential.model.elements) for part in fragments())
        one, other, both = predict(potential, [left, right, left + right])
        assert_close(both.energy, one.energy + other.energy, self.rounding, "energy of far-apart fragments")
        separate = np.concatenate([as_array(one.forces), as_array(other.forces)])
        assert_close(both.forces, separate, self.rounding, "forces in far-apart fragments")

    def test_is_local(self, request: pytest.FixtureRequest, potential: Potential) -> None:
        self._hold_to(request, potential, "is_local")
        left, right = (with_elements(part, potential.model.elements) for part in fragments())
        moved = right.copy()
        moved.positions[0] += [0.2, -0.1, 0.1]
        before, after = predict(potential, [left + right, left + moved])
        near, far = slice(len(left)), slice(len(left), None)
        assert largest(after.forces[far] - before.forces[far]) > 0, "a force depends on the distance to a neighbour"
        assert_close(after.forces[near], before.forces[near], self.rounding, "forces far from an atom that moved")
        if before.energies is not None and after.energies is not None:
            assert_close(after.energies[near], before.energies[near], self.rounding, "energies far from it")

    def test_is_smooth(self, request: pytest.FixtureRequest, potential: Potential) -> None:
        self._hold_to(request, potential, "is_smooth")
        for name, radius in self.crossings(potential):
            at = crossing(self.build(potential, name), radius)
            assert_continuous(potential, at, f"{name}, where a distance passes {radius} Å")

    def _hold_to(self, request: pytest.FixtureRequest, potential: Potential, declaration: str) -> None:
        if not getattr(potential.model, declaration):
            reason = self.reasons.get(declaration, f"{type(potential.model).__name__} declares {declaration} = False")
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))


def assert_continuous(potential: Potential, at: Callable[[float], Atoms], what: str) -> None:
    """Energy, forces and stress change in proportion to the step across a point, however small the step.

    A jump would remain as the step becomes a hundredth.
    """
    wide, narrow = 1e-4, 1e-6
    behind, just_behind, just_ahead, ahead = (
        predict_one(potential, at(beyond)) for beyond in (-wide, -narrow, narrow, wide)
    )
    for quantity in ("energy", "forces", "stress"):
        change, jump = _difference(behind, ahead, quantity), _difference(just_behind, just_ahead, quantity)
        rounding = 1e-11 * (1 + largest(getattr(ahead, quantity)))
        assert jump <= 0.1 * change + rounding, f"{what}: {quantity} jumps by {jump:.2e} (eV, Å)"


def _difference(one: FullPrediction, other: FullPrediction, quantity: str) -> float:
    return largest(getattr(one, quantity) - getattr(other, quantity))
