"""Inputs of every workflow: a structure of any kind, and anything that gives energies and forces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase import Atoms

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import GPTFFError
from torch_gptff.graph.convert import from_structure, to_ase
from torch_gptff.potential import Potential


def as_atoms(structure: Any) -> Atoms:
    """ASE ``Atoms`` of a structure; those that are given are returned themselves.

    Args:
        structure: ASE ``Atoms``, a pymatgen ``Structure`` or ``Molecule``, or a :class:`~torch_gptff.CrystalData`

    Raises:
        GraphError: it is none of these, or a batch.
        StructureError: it has no atoms, or a site is shared by several species.
    """
    if isinstance(structure, Atoms):
        return structure
    atoms = to_ase(from_structure(structure))
    masses = [float(site.specie.atomic_mass) for site in getattr(structure, "sites", ())]
    if any(abs(mass - usual) > 0.5 for mass, usual in zip(masses, atoms.get_masses(), strict=False)):  # isotopes
        atoms.set_masses(masses)
    return atoms


def as_inputs(structure: Any, calculator: Any, error: type[GPTFFError]) -> tuple[Atoms, Any]:
    """The two things that a workflow starts from: see :func:`as_atoms` and :func:`as_calculator`.

    Args:
        structure: of any kind
        calculator: of any kind; ``None``: that of ``structure``, where it is ASE ``Atoms`` with one
        error: that is raised where nothing gives energies and forces
    """
    atoms = as_atoms(structure)
    return atoms, as_calculator(atoms.calc if calculator is None else calculator, error)


def as_calculator(calculator: Any, error: type[GPTFFError] = GPTFFError) -> Any:
    """An ASE calculator of anything that gives energies and forces.

    Args:
        calculator: an ASE calculator, a :class:`~torch_gptff.Potential`, or the name or path of a model
        error: that is raised

    Raises:
        GPTFFError: it is nothing, or something else; of the class ``error``.
        CheckpointError, DownloadError: the model cannot be loaded.
    """
    if calculator is None:
        raise error("nothing gives energies and forces: pass a calculator, a Potential or a model, or set atoms.calc")
    if isinstance(calculator, Potential):
        return GPTFFCalculator(calculator, device=next(calculator.parameters()).device)
    if isinstance(calculator, str | Path):
        return GPTFFCalculator(calculator)
    if not hasattr(calculator, "get_potential_energy"):
        raise error(
            f"a {type(calculator).__name__} gives no energies and forces: pass an ASE calculator, a Potential, or the "
            "name or path of a model"
        )
    return calculator
