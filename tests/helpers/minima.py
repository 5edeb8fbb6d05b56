"""Structures at the minimum of their energy."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from torch_gptff.workflows import relax


def relaxed(atoms: Atoms, calculator: Any) -> Atoms:
    """Relaxed with its cell, to much smaller forces and stresses than the tests ask for."""
    return relax(atoms, calculator, fmax=1e-6, smax=1e-8, optimizer="BFGS", max_steps=1000).final
