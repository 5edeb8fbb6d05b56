"""Dispersion by D3(BJ), added to a calculator whose training data lack it."""

from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, InputError, all_changes
from ase.calculators.mixing import SumCalculator
from ase.units import Bohr

from torch_gptff.errors import DispersionError

CUTOFF = 60 * Bohr
"""Largest distance of two atoms that attract each other, Å."""

FADING = 10 * Bohr
"""Length below :data:`CUTOFF` over which their attraction fades out, Å: at a sharp end, forces and stress would not be
derivatives of the energy."""

KEPT = ("energy_std",)
"""Results of the calculator that dispersion leaves as they are."""


class DispersionCorrected(SumCalculator):
    """The sum of a calculator and of D3(BJ) dispersion: energy in eV, forces in eV/Å, stress in eV/Å³.

    Dispersion is that of `Grimme, Ehrlich and Goerigk, J. Comput. Chem. 32, 1456 (2011)
    <https://doi.org/10.1002/jcc.21759>`_, between pairs of atoms, without three-body terms, by the library of its
    authors (``dftd3``), which sums over pairs up to :data:`CUTOFF`, 32 Å.

    Args:
        calculator: anything that gives energy, forces and stress by ASE's interface
        functional: whose damping parameters are taken: that of the calculator's training data

    Attributes:
        calculator: without dispersion
        dispersion: ASE calculator of dispersion alone

    Raises:
        DispersionError: ``dftd3`` is not installed, or has no parameters of the functional.
    """

    implemented_properties: list[str]
    results: dict[str, Any]

    def __init__(self, calculator: Any, functional: str = "pbe") -> None:
        try:
            from dftd3.ase import DFTD3
            from dftd3.interface import RationalDampingParam
        except ImportError as error:
            raise DispersionError("dispersion needs dftd3: pip install 'torch-gptff[d3]'") from error
        try:
            RationalDampingParam(method=functional)
        except RuntimeError as error:
            raise DispersionError(f"D3(BJ) has no parameters of the functional {functional!r}: take pbe") from error
        self.calculator, self.dispersion = (
            calculator,
            DFTD3(method=functional, damping="d3bj", realspace_cutoff={"disp2": CUTOFF, "width2": FADING}),
        )
        super().__init__([calculator, self.dispersion])
        self.implemented_properties = [*self.implemented_properties, "free_energy"]

    def calculate(
        self,
        atoms: Atoms,
        properties: list[str] | tuple[str, ...] = ("energy",),
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``self.results`` for ``atoms``.

        Raises:
            DispersionError: dispersion cannot be computed.
        """
        wanted = ["forces", "energy"]  # forces bring the energy, and not the other way round
        if "stress" in properties or (atoms.pbc.any() and atoms.cell.rank == 3):
            wanted.append("stress")
        try:
            super().calculate(atoms, wanted, system_changes)
        except (InputError, CalculationFailed) as error:
            raise DispersionError(f"the dispersion of {atoms.symbols} cannot be computed: {error}") from error
        self.results = {name: self.results[name] for name in wanted}
        self.results["free_energy"] = self.results["energy"]
        self.results |= {name: value for name, value in self.calculator.results.items() if name in KEPT}

    def reset(self) -> None:
        """Forget what was computed."""
        self.atoms, self.results = None, {}
        self.dispersion.reset()
        if hasattr(self.calculator, "reset"):
            self.calculator.reset()


def with_dispersion(calculator: Any, functional: str = "pbe") -> DispersionCorrected:
    """A calculator with the D3(BJ) dispersion of a functional added to it.

    Its training data must lack dispersion: those of PBE without a correction, as of the models of this package.

    Args:
        calculator: an ASE calculator, a :class:`~torch_gptff.Potential`, or the name or path of a model
        functional: of the training data

    Raises:
        DispersionError: ``dftd3`` is not installed, or has no parameters of the functional.
        CheckpointError, DownloadError: the model cannot be loaded.
    """
    from torch_gptff.calculators.ase import GPTFFCalculator

    if not hasattr(calculator, "get_potential_energy"):
        calculator = GPTFFCalculator(calculator)
    return DispersionCorrected(calculator, functional)
