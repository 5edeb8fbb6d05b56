"""X-ray diffraction of powders of crystals, one structure or a trajectory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import DiffractionError
from torch_gptff.graph.convert import from_ase, to_pymatgen
from torch_gptff.workflows.inputs import as_atoms
from torch_gptff.workflows.local_structure import LOCAL_STRUCTURES, structure_fractions
from torch_gptff.workflows.peaks import PeakTrack, track_peaks
from torch_gptff.workflows.record import Record

if TYPE_CHECKING:
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

STEP = 0.05
"""Of a profile, degrees of 2θ."""


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


@dataclass(frozen=True)
class DiffractionSeries(Record):
    """Diffraction along a trajectory.

    Attributes:
        wavelength: Å
        fwhm: of reflections, degrees
        times: ps, ``[F]``; ``None`` where frames do not tell
        lengths: of the cell vectors, Å, ``[F, 3]``
        two_theta: degrees, ``[P]``
        profiles: ``[F, P]``
        tracks: peaks that are followed from frame to frame
        structures: names of local structures
        fractions: of atoms in each of these, ``[F, S]``; ``None`` where they were not asked for
    """

    units: ClassVar[dict[str, str]] = {"wavelength": "Å", "fwhm": "°", "times": "ps", "lengths": "Å", "two_theta": "°"}

    wavelength: float
    fwhm: float
    times: NDArray[np.float64] | None
    lengths: NDArray[np.float64]
    two_theta: NDArray[np.float64]
    profiles: NDArray[np.float64]
    tracks: tuple[PeakTrack, ...]
    structures: tuple[str, ...]
    fractions: NDArray[np.float64] | None

    def strain(self, axis: int) -> NDArray[np.float64]:
        """Of a cell vector relative to the first frame, ``[F]``."""
        return np.asarray(self.lengths[:, axis] / self.lengths[0, axis] - 1)


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
    if len(atoms) == 0 or not atoms.pbc.all() or atoms.cell.rank < 3:
        raise DiffractionError("a powder pattern is that of a crystal, periodic in three directions")
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


def diffraction_series(
    frames: Iterable[Any],
    *,
    wavelength: str | float = "CuKa",
    two_theta: tuple[float, float] = (10.0, 90.0),
    fwhm: float = 0.4,
    structures: bool = True,
    on_frame: Callable[[int], None] | None = None,
) -> DiffractionSeries:
    """Powder patterns and local structures along a trajectory, whose frames are read once and not kept.

    Args:
        frames: of crystals, of any such kind
        wavelength: see :func:`diffraction_pattern`
        two_theta: between which angles, degrees
        fwhm: of reflections, degrees
        structures: whether to classify atoms, which needs pyscal3
        on_frame: called with the number of frames done

    Raises:
        DiffractionError: there is no frame, a frame is no crystal, or a setting makes no sense; or pyscal3 is missing.
    """
    if not fwhm > 0:
        raise DiffractionError(f"a reflection has a positive width, not {fwhm}°")
    profiles, lengths, times, fractions = [], [], [], []
    angles = np.arange(two_theta[0], two_theta[1] + STEP / 2, STEP)
    for number, frame in enumerate(frames):
        atoms = as_atoms(frame)
        try:
            pattern = diffraction_pattern(atoms, wavelength=wavelength, two_theta=two_theta)
        except DiffractionError as error:
            raise DiffractionError(f"frame {number}: {error}") from error
        profiles.append(pattern.profile(angles, fwhm))
        lengths.append(atoms.cell.lengths())
        times.append(atoms.info.get("time_fs"))
        if structures:
            fractions.append(structure_fractions(atoms))
        if on_frame is not None:
            on_frame(number + 1)
    if not profiles:
        raise DiffractionError("there is no frame")
    return DiffractionSeries(
        wavelength=pattern.wavelength,
        fwhm=fwhm,
        times=None if any(time is None for time in times) else np.array(times, dtype=float) / 1000,
        lengths=np.array(lengths),
        two_theta=angles,
        profiles=np.array(profiles),
        tracks=track_peaks(angles, np.array(profiles)),
        structures=LOCAL_STRUCTURES if structures else (),
        fractions=np.array(fractions) if structures else None,
    )


def _calculator(wavelength: str | float) -> XRDCalculator:
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS, XRDCalculator

    if isinstance(wavelength, str) and wavelength not in WAVELENGTHS:
        raise DiffractionError(f"no wavelength is called {wavelength!r}; there are {', '.join(WAVELENGTHS)}, or Å")
    if not isinstance(wavelength, str) and not wavelength > 0:
        raise DiffractionError(f"a wavelength of {wavelength} Å makes no sense")
    return XRDCalculator(wavelength=wavelength)
