"""X-ray diffraction of the powder of a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import DiffractionError
from torch_gptff.graph.convert import from_ase, to_pymatgen
from torch_gptff.record import Record
from torch_gptff.report.style import drawn
from torch_gptff.workflows.inputs import as_atoms
from torch_gptff.workflows.network import require_crystal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pymatgen.analysis.diffraction.xrd import XRDCalculator


@dataclass(frozen=True)
class DiffractionPattern(Record):
    """The reflections of a crystal.

    Attributes:
        wavelength: Å
        two_theta: degrees, ascending, ``[R]``
        intensities: with the Lorentz and polarisation factors, divided by the square of the number of atoms, so that
            the cell does not matter, ``[R]``
        d_spacings: Å, ``[R]``
        indices: h, k, l of one lattice plane of each reflection, in the cell given, ``[R, 3]``
    """

    units: ClassVar[dict[str, str]] = {"wavelength": "Å", "two_theta": "°", "d_spacings": "Å"}

    wavelength: float
    two_theta: NDArray[np.float64]
    intensities: NDArray[np.float64]
    d_spacings: NDArray[np.float64]
    indices: NDArray[np.int64]

    def profile(self, two_theta: NDArray[np.float64], fwhm: float) -> NDArray[np.float64]:
        """The pattern with Gaussian reflections of their intensities as areas.

        Args:
            two_theta: where, degrees, ``[P]``
            fwhm: width at half the height, degrees
        """
        width = fwhm / np.sqrt(8 * np.log(2))
        shapes = np.exp(-0.5 * ((two_theta - self.two_theta[:, None]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return np.asarray(self.intensities @ shapes)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the reflections with their indices.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.diffraction import draw_pattern

        return drawn(draw_pattern, self, axes)


def diffraction_pattern(
    atoms: Any, *, wavelength: str | float = "CuKa", two_theta: tuple[float, float] = (10.0, 90.0)
) -> DiffractionPattern:
    """The powder pattern of a crystal at rest, with pymatgen.

    Args:
        atoms: the crystal, of any kind that :func:`~torch_gptff.workflows.relax` takes
        wavelength: a name that pymatgen knows (``"CuKa"``, ``"MoKa"``, ``"CuKa1"``, …), or Å
        two_theta: between which angles, degrees

    Raises:
        DiffractionError: the structure is no crystal, or a setting makes no sense.
    """
    atoms = as_atoms(atoms)
    low, high = two_theta
    if not 0 <= low < high <= 180:
        raise DiffractionError(f"2θ from {low:g} to {high:g}° makes no sense: it lies between 0 and 180°")
    require_crystal(atoms, "a powder pattern", DiffractionError)
    calculator = _calculator(wavelength)
    pattern = calculator.get_pattern(to_pymatgen(from_ase(atoms)), scaled=False, two_theta_range=(low, high))
    indices = [families[0]["hkl"] for families in pattern.hkls]
    return DiffractionPattern(
        wavelength=float(calculator.wavelength),
        two_theta=np.array(pattern.x, dtype=float),
        intensities=np.array(pattern.y, dtype=float) / len(atoms) ** 2,
        d_spacings=np.array(pattern.d_hkls, dtype=float),
        indices=np.array([(hkl[0], hkl[1], hkl[-1]) for hkl in indices], dtype=np.int64).reshape(-1, 3),
    )


def _calculator(wavelength: str | float) -> XRDCalculator:
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS, XRDCalculator

    if isinstance(wavelength, str) and wavelength not in WAVELENGTHS:
        raise DiffractionError(f"no wavelength is called {wavelength!r}; there are {', '.join(WAVELENGTHS)}, or Å")
    if not isinstance(wavelength, str) and not wavelength > 0:
        raise DiffractionError(f"a wavelength of {wavelength} Å makes no sense")
    return XRDCalculator(wavelength=wavelength)
