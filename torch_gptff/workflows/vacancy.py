"""Formation energies of neutral vacancies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.build import bulk

from torch_gptff.errors import VacancyError
from torch_gptff.record import Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.relax import relax
from torch_gptff.workflows.supercell import repetitions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Vacancy(Record):
    """The vacancy of one site of a crystal.

    Attributes:
        site: index of the atom that is removed, in the cell given
        element: of the atom
        multiplicity: sites of the cell that are equivalent by symmetry
        chemical_potential: energy of the removed atom in its reference, eV
        unrelaxed_energy: formation energy with all other atoms in their places, eV
        relaxed_energy: formation energy after the other atoms have relaxed in the cell of the crystal, eV; ``None``
            where that was not asked for
        converged: whether the forces fell to what was asked for
    """

    units: ClassVar[dict[str, str]] = dict.fromkeys(("chemical_potential", "unrelaxed_energy", "relaxed_energy"), "eV")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("site", value=lambda vacancy: f"{vacancy.element} {vacancy.site}"),
        Column("sites", value=lambda vacancy: vacancy.multiplicity),
        Column("μ", "eV", 4, lambda vacancy: vacancy.chemical_potential),
        Column("unrelaxed", "eV", 3, lambda vacancy: vacancy.unrelaxed_energy),
        Column("relaxed", "eV", 3, lambda vacancy: vacancy.relaxed_energy),
        Column("conv.", value=lambda vacancy: verdict(vacancy.converged)),
    )

    site: int
    element: str
    multiplicity: int
    chemical_potential: float
    unrelaxed_energy: float
    relaxed_energy: float | None
    converged: bool

    @property
    def energy(self) -> float:
        """Formation energy, relaxed where the atoms were relaxed, eV."""
        return self.unrelaxed_energy if self.relaxed_energy is None else self.relaxed_energy


@dataclass(frozen=True)
class VacancyFormation(Record):
    """The vacancies of all symmetry-distinct sites of a crystal.

    Attributes:
        atoms: the crystal
        supercell: repetitions of its cell, of which one atom is removed
        energy: of the crystal, eV per atom
        vacancies: one for each distinct site
    """

    units: ClassVar[dict[str, str]] = {"energy": "eV/atom"}

    atoms: Atoms
    supercell: tuple[int, int, int]
    energy: float
    vacancies: tuple[Vacancy, ...]

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the formation energies of the distinct sites.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.vacancy import draw_energies

        return drawn(draw_energies, self, axes)


def vacancy_formation(
    atoms: Any,
    calculator: Any = None,
    *,
    chemical_potentials: Mapping[str, float] | None = None,
    supercell: Sequence[int] | None = None,
    min_length: float = 10.0,
    relax_positions: bool = True,
    fmax: float = 0.01,
    max_steps: int = 500,
    symprec: float = 0.01,
    on_vacancy: Callable[[int, int], None] | None = None,
) -> VacancyFormation:
    """Formation energies of the neutral vacancies of a crystal, ``E(vacancy) − E(crystal) + μ``.

    The cell keeps its size and shape. The chemical potential μ of an element is its energy per atom in its own crystal,
    unless it is given: in ``atoms`` where they are of this element alone, otherwise in the crystal that ASE knows as
    its reference state, relaxed.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        chemical_potentials: eV per atom, by element
        supercell: repetitions of the cell along its vectors; by default as many as ``min_length`` asks for
        min_length: smallest distance between opposite faces of the supercell, Å
        relax_positions: whether the atoms around a vacancy relax
        fmax: largest force after a relaxation, eV/Å
        max_steps: maximum number of relaxation steps
        symprec: tolerance of the search for equivalent sites, Å
        on_vacancy: called with the number of vacancies that are computed, and of all

    Raises:
        VacancyError: the structure is no crystal, the supercell has one atom, or the chemical potential of an element
            is neither given nor can be computed.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms, calculator = as_inputs(atoms, calculator, VacancyError)
    require_crystal(atoms, "a vacancy", VacancyError, calculator)
    repeats = repetitions(atoms, supercell, min_length, VacancyError)
    crystal = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True).repeat(repeats)
    if len(crystal) == 1:
        raise VacancyError("the supercell has one atom, and none is left without it: take a larger supercell")
    sites = distinct_sites(atoms, symprec)
    defective = []
    for site in sites:
        defective.append(crystal.copy())
        del defective[-1][site]  # a supercell begins with the atoms of the cell
    perfect, *unrelaxed = (
        each.energy for each in evaluate_many([crystal, *defective], calculator, forces=False, stress=False)
    )
    energy = perfect / len(crystal)
    potentials = dict(chemical_potentials or {})
    vacancies = []
    for number, (site, multiplicity) in enumerate(sites.items()):
        element = atoms.symbols[site]
        if element not in potentials:
            is_element = set(atoms.symbols) == {element}
            potentials[element] = energy if is_element else _energy_of_element(element, calculator, fmax, max_steps)
        zero = perfect - potentials[element]
        relaxation = None
        if relax_positions:
            relaxation = relax(defective[number], calculator, fmax=fmax, fix_cell=True, max_steps=max_steps)
        vacancies.append(
            Vacancy(
                site=site,
                element=element,
                multiplicity=multiplicity,
                chemical_potential=potentials[element],
                unrelaxed_energy=unrelaxed[number] - zero,
                relaxed_energy=None if relaxation is None else relaxation.energy - zero,
                converged=relaxation is None or relaxation.converged,
            )
        )
        if on_vacancy is not None:
            on_vacancy(number + 1, len(sites))
    return VacancyFormation(atoms.copy(), repeats, energy, tuple(vacancies))


def distinct_sites(atoms: Atoms, symprec: float) -> dict[int, int]:
    """The first of each set of sites that symmetry makes equivalent, and their number.

    Raises:
        VacancyError: no symmetry is found.
    """
    import spglib

    found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec)
    if found is None:
        raise VacancyError(f"the symmetry of the structure is not found to {symprec:g} Å: are two atoms in one place?")
    sites, counts = np.unique(found.equivalent_atoms, return_counts=True)
    return dict(zip(sites.tolist(), counts.tolist(), strict=True))


def _energy_of_element(element: str, calculator: Any, fmax: float, max_steps: int) -> float:
    """Energy per atom of the crystal that ASE knows as the reference state of an element, relaxed, eV."""
    try:
        crystal = bulk(element)
    except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise VacancyError(
            f"the crystal of {element} is not known ({error}): give its energy per atom as a chemical potential"
        ) from error
    relaxation = relax(crystal, calculator, fmax=fmax, max_steps=max_steps)
    if not relaxation.converged:
        raise VacancyError(
            f"the crystal of {element} did not relax in {relaxation.n_steps} steps: allow more, or give its energy per "
            "atom as a chemical potential"
        )
    return relaxation.energy / len(relaxation.final)
