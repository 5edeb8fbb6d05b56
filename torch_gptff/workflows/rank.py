"""Polymorphs: crystals of one composition, ranked by their energies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms

from torch_gptff.errors import RankingError
from torch_gptff.graph.formula import formula_of
from torch_gptff.record import FORMULA, Record, uncertainty, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.drawing.words import group_symbol
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_atoms, as_calculator
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.relax import relax

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_STRESS = 0.01 / GPA_PER_EV_PER_ANGSTROM3
"""eV/Å³: component of the stress at the end of a relaxation."""

SAME_ENERGY = 0.001
"""eV per atom: structures that match count as the same where their energies differ by less."""


@dataclass(frozen=True)
class Polymorph(Record):
    """A crystal, relaxed where that was asked for.

    Attributes:
        label: name
        atoms: the structure reached
        energy: of its cell, eV
        space_group_before: of the structure given, ``"Fm-3m (225)"``; empty where none is found
        space_group: of the structure reached
        converged: whether the relaxation has converged
        energy_std: expected error of ``energy``, eV; ``None`` for a calculator that is no committee
    """

    units: ClassVar[dict[str, str]] = dict.fromkeys(("energy", "energy_std"), "eV")
    columns: ClassVar[tuple[Column, ...]] = (
        FORMULA,
        Column("energy", "eV/atom", 4, lambda each: each.energy / len(each.atoms)),
    )

    label: str
    atoms: Atoms
    energy: float
    space_group_before: str
    space_group: str
    converged: bool
    energy_std: float | None = None


@dataclass(frozen=True)
class RankedPolymorph(Record):
    """A polymorph with its place among the others.

    Attributes:
        label: name
        atoms: the structure reached
        energy: eV per atom
        energy_above_lowest: eV per atom
        volume: Å³ per atom
        space_group_before: of the structure given; empty where none is found
        space_group: of the structure reached
        duplicate_of: label of a polymorph of lower energy that is the same structure; empty where there is none
        converged: whether the relaxation has converged
        energy_std: expected error of ``energy``, eV per atom; ``None`` for a calculator that is no committee
    """

    units: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("energy", "energy_above_lowest", "energy_std"), "eV/atom"),
        "volume": "Å³/atom",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("above lowest", "meV/atom", 1, lambda each: 1000 * each.energy_above_lowest),
        Column("energy", "eV/atom", 4, lambda each: each.energy),
        uncertainty(lambda each: each.energy_std),
        Column("volume", "Å³/atom", 3, lambda each: each.volume),
        Column("atoms", value=lambda each: len(each.atoms)),
        Column("group before", value=lambda each: each.space_group_before or None, shown=group_symbol),
        Column("after", value=lambda each: each.space_group or None, shown=group_symbol),
        Column("same as", value=lambda each: each.duplicate_of or None),
        Column("conv.", value=lambda each: verdict(each.converged)),
    )

    label: str
    atoms: Atoms
    energy: float
    energy_above_lowest: float
    volume: float
    space_group_before: str
    space_group: str
    duplicate_of: str
    converged: bool
    energy_std: float | None = None


@dataclass(frozen=True)
class PolymorphRanking(Record):
    """Polymorphs by ascending energy.

    Attributes:
        formula: reduced, of all of them
        entries: one for each polymorph
    """

    formula: str
    entries: tuple[RankedPolymorph, ...]

    @property
    def distinct(self) -> tuple[RankedPolymorph, ...]:
        """Polymorphs that are no duplicates of others."""
        return tuple(entry for entry in self.entries if not entry.duplicate_of)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw energies by volume.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.rank import draw_energies

        return drawn(draw_energies, self, axes)


def polymorph(
    label: str,
    atoms: Any,
    calculator: Any,
    *,
    relax_first: bool = True,
    fmax: float = 0.01,
    max_steps: int = 500,
    symprec: float = 0.01,
) -> Polymorph:
    """Relax a crystal with its cell, and find its space group before and after.

    Args:
        label: name
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes
        relax_first: whether it is relaxed
        fmax: largest force after the relaxation, eV/Å
        max_steps: maximum number of relaxation steps
        symprec: tolerance of the search for symmetry, Å

    Raises:
        RankingError: the structure is no crystal.
        StructureError, RelaxationError: the calculator refuses it, or it falls apart.
    """
    atoms, calculator = as_atoms(atoms), as_calculator(calculator, RankingError)
    require_crystal(atoms, "the energy of a polymorph", RankingError)
    if not relax_first:
        (found,) = evaluate_many([atoms], calculator, forces=False, stress=False)
        group = space_group(atoms, symprec)
        return Polymorph(label, atoms.copy(), found.energy, group, group, True, found.energy_std)
    relaxation = relax(atoms, calculator, fmax=fmax, smax=LARGEST_STRESS, max_steps=max_steps)
    return Polymorph(
        label=label,
        atoms=Atoms(relaxation.final),
        energy=relaxation.energy,
        space_group_before=space_group(atoms, symprec),
        space_group=space_group(relaxation.final, symprec),
        converged=relaxation.converged,
        energy_std=relaxation.energy_std,
    )


def rank_relaxed(polymorphs: Sequence[Polymorph]) -> PolymorphRanking:
    """Rank polymorphs by their energies per atom, and find those that are the same structure.

    Args:
        polymorphs: of one composition

    Raises:
        RankingError: there are none, or they are of several compositions.
    """
    formula = require_one_composition({each.label: each.atoms for each in polymorphs})
    ordered = sorted(polymorphs, key=lambda each: each.energy / len(each.atoms))
    lowest = ordered[0].energy / len(ordered[0].atoms)
    same = _duplicates(ordered)
    return PolymorphRanking(
        formula,
        tuple(
            RankedPolymorph(
                label=each.label,
                atoms=each.atoms,
                energy=each.energy / len(each.atoms),
                energy_above_lowest=each.energy / len(each.atoms) - lowest,
                volume=float(each.atoms.get_volume()) / len(each.atoms),
                space_group_before=each.space_group_before,
                space_group=each.space_group,
                duplicate_of=same.get(number, ""),
                converged=each.converged,
                energy_std=None if each.energy_std is None else each.energy_std / len(each.atoms),
            )
            for number, each in enumerate(ordered)
        ),
    )


def rank_polymorphs(
    structures: Mapping[str, Any],
    calculator: Any,
    *,
    relax_first: bool = True,
    fmax: float = 0.01,
    max_steps: int = 500,
    symprec: float = 0.01,
    on_structure: Callable[[int, int], None] | None = None,
) -> PolymorphRanking:
    """Relax crystals of one composition, and rank them by their energies.

    Args:
        structures: crystals by their names, as :func:`~torch_gptff.workflows.relax` takes them
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes
        relax_first: whether they are relaxed
        fmax: largest force after a relaxation, eV/Å
        max_steps: maximum number of relaxation steps
        symprec: tolerance of the search for symmetry, Å
        on_structure: called with the number of structures that are computed, and of all

    Raises:
        RankingError: there are none, they are of several compositions, or one is no crystal.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms = {label: as_atoms(structure) for label, structure in structures.items()}
    require_one_composition(atoms)
    found = []
    for number, (label, each) in enumerate(atoms.items()):
        settings = {"fmax": fmax, "max_steps": max_steps, "symprec": symprec}
        found.append(polymorph(label, each, calculator, relax_first=relax_first, **settings))  # type: ignore[arg-type]
        if on_structure is not None:
            on_structure(number + 1, len(atoms))
    return rank_relaxed(found)


def require_one_composition(structures: Mapping[str, Atoms]) -> str:
    """The reduced formula of structures that all have it.

    Raises:
        RankingError: there are none, or they are of several compositions.
    """
    formulas: dict[str, str] = {}
    for label, atoms in structures.items():
        formulas.setdefault(formula_of(atoms), label)
    if not formulas:
        raise RankingError("there is no structure to rank")
    if len(formulas) > 1:
        (first, one), (second, other), *_ = formulas.items()
        raise RankingError(
            f"polymorphs have one composition, and {one} is {first}, {other} is {second}: rank those of one "
            "composition, or compare compositions with the convex hull (torch-gptff hull)"
        )
    return next(iter(formulas))


def space_group(atoms: Atoms, symprec: float) -> str:
    """``"Fm-3m (225)"``; empty where none is found."""
    import spglib

    found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec)
    return "" if found is None else f"{found.international} ({found.number})"


def _duplicates(ordered: Sequence[Polymorph]) -> dict[int, str]:
    """Labels of the first of the same structure, by the places of the others."""
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    matcher = StructureMatcher(ltol=0.1, stol=0.1, angle_tol=3, scale=False)
    same: dict[int, str] = {}
    firsts: list[tuple[Polymorph, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of noble gases, which have no electronegativity
        for number, each in enumerate(ordered):
            plain = Atoms(each.atoms.symbols, positions=each.atoms.positions, cell=each.atoms.cell, pbc=True)
            structure = AseAtomsAdaptor.get_structure(plain)
            energy = each.energy / len(each.atoms)
            for first, known in firsts:
                is_near = energy - first.energy / len(first.atoms) < SAME_ENERGY
                if is_near and matcher.fit(known, structure):
                    same[number] = first.label
                    break
            else:
                firsts.append((each, structure))
    return same
