"""Formation energies, and the convex hull of phases that are stable against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms

from torch_gptff.errors import HullError
from torch_gptff.record import Record, uncertainty
from torch_gptff.report import Column
from torch_gptff.report.style import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Phase(Record):
    """A crystal and its energy.

    Attributes:
        label: a name of its own
        atoms: the crystal
        energy: of the cell, eV, with corrections
        energy_std: expected error of ``energy``, eV; ``None`` where it is not known
        correction: of the cell, eV: the part of ``energy`` that corrections have added
    """

    units: ClassVar[dict[str, str]] = {"energy": "eV", "correction": "eV", "energy_std": "eV"}

    label: str
    atoms: Atoms
    energy: float
    energy_std: float | None = None
    correction: float = 0.0


@dataclass(frozen=True)
class HullEntry(Record):
    """A phase among the others.

    Attributes:
        label: of the phase
        formula: of its formula unit
        fractions: of its atoms, by element
        energy_per_atom: eV
        formation_energy: from the most stable phase of each element, eV/atom
        energy_above_hull: of the phase above the mixture of phases of least energy with its composition, eV/atom: zero
            for a stable phase
        separation_energy: of a stable compound above the mixture of phases of other compositions, eV/atom: negative, by
            how much it is stable; ``None`` for elements and for what is not stable
        decomposition: the mixture of phases of least energy: shares of the atoms, by label
        energy_std_per_atom: expected error of ``energy_per_atom``, eV; ``None`` where it is not known. Errors of like
            phases are alike, so that those of differences may be smaller
    """

    units: ClassVar[dict[str, str]] = dict.fromkeys(
        ("energy_per_atom", "energy_std_per_atom", "formation_energy", "energy_above_hull", "separation_energy"),
        "eV/atom",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("formula", value=lambda entry: entry.formula),
        Column("energy", "eV/atom", 4, lambda entry: entry.energy_per_atom),
        uncertainty(lambda entry: entry.energy_std_per_atom),
        Column("formation", "meV/atom", 1, lambda entry: 1000 * entry.formation_energy),
        Column("above hull", "meV/atom", 1, lambda entry: 1000 * entry.energy_above_hull),
        Column(
            "separation",
            "meV/atom",
            1,
            lambda entry: None if entry.separation_energy is None else 1000 * entry.separation_energy,
            detail=True,
        ),
        Column("decomposes into", value=lambda entry: entry.decomposes_into or "stable"),
    )

    label: str
    formula: str
    fractions: dict[str, float]
    energy_per_atom: float
    formation_energy: float
    energy_above_hull: float
    separation_energy: float | None
    decomposition: dict[str, float]
    energy_std_per_atom: float | None = None

    @property
    def is_stable(self) -> bool:
        """Whether it lies on the hull."""
        return self.energy_above_hull == 0

    @property
    def decomposes_into(self) -> str:
        """``"0.75 Cu.cif + 0.25 Au.cif"``, shares of the atoms; empty for a stable phase."""
        if self.is_stable:
            return ""
        return " + ".join(f"{share:.2f} {label}" for label, share in self.decomposition.items())


@dataclass(frozen=True)
class ConvexHull(Record):
    """Phases of a system of elements.

    Attributes:
        elements: of the system
        entries: one for each phase, in the order given
    """

    elements: tuple[str, ...]
    entries: tuple[HullEntry, ...]

    @property
    def stable(self) -> tuple[HullEntry, ...]:
        """Phases on the hull."""
        return tuple(entry for entry in self.entries if entry.is_stable)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the hull of two or three elements.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.hull import draw_hull

        if len(self.elements) not in (2, 3):
            raise HullError(f"a hull of {len(self.elements)} elements cannot be drawn: of two or three, it can")
        return drawn(draw_hull, self, axes)


def convex_hull(phases: Sequence[Phase]) -> ConvexHull:
    """The convex hull of the energies of phases over their compositions, with pymatgen's ``PhaseDiagram``.

    Energies must be comparable: of relaxed structures, from one model. That of each element is the lowest among its
    phases, of which there must be one.

    Args:
        phases: with labels of their own

    Raises:
        HullError: there is none, two have one label, an element has no phase, or an energy is not finite.
    """
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core import Composition
    from pymatgen.entries.computed_entries import ComputedEntry

    _check(phases)
    entries = {
        phase.label: ComputedEntry(Composition(phase.atoms.symbols.formula.count()), phase.energy, entry_id=phase.label)
        for phase in phases
    }
    diagram = PhaseDiagram(list(entries.values()))
    stable = {entry.entry_id for entry in diagram.stable_entries}
    found = []
    for phase in phases:
        entry = entries[phase.label]
        decomposition, above = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True)
        assert decomposition is not None
        assert above is not None
        composition = entry.composition.fractional_composition
        separation = None
        if phase.label in stable and len(composition) > 1:
            separation = float(diagram.get_phase_separation_energy(entry))
        found.append(
            HullEntry(
                label=phase.label,
                formula=str(entry.composition.reduced_formula),
                fractions={
                    str(element): float(share) for element, share in entry.composition.fractional_composition.items()
                },
                energy_per_atom=float(entry.energy_per_atom),
                formation_energy=float(diagram.get_form_energy_per_atom(entry)),
                energy_above_hull=0.0 if phase.label in stable else max(float(above), 0.0),
                separation_energy=separation,
                decomposition={str(part.entry_id): float(share) for part, share in decomposition.items()},
                energy_std_per_atom=None if phase.energy_std is None else phase.energy_std / len(phase.atoms),
            )
        )
    return ConvexHull(elements=tuple(sorted(str(element) for element in diagram.elements)), entries=tuple(found))


def _check(phases: Sequence[Phase]) -> None:
    if not phases:
        raise HullError("a hull needs phases")
    labels = [phase.label for phase in phases]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise HullError(f"two phases are called {twice[0]}: each needs a name of its own")
    for phase in phases:
        if len(phase.atoms) == 0:
            raise HullError(f"{phase.label} has no atoms")
        if not np.isfinite(phase.energy):
            raise HullError(f"the energy of {phase.label} is {phase.energy}")
    elements = {symbol for phase in phases for symbol in phase.atoms.symbols}
    pure = {next(iter(set(phase.atoms.symbols))) for phase in phases if len(set(phase.atoms.symbols)) == 1}
    missing = sorted(elements - pure)
    if missing:
        raise HullError(
            f"there is no phase of {', '.join(missing)} alone: formation energies are from the elements, so that each "
            "needs a crystal of its own, relaxed with the same model"
        )
