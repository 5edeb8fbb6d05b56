"""X-ray diffraction along a trajectory of a crystal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import DiffractionError
from torch_gptff.record import Record
from torch_gptff.report import Column, Table
from torch_gptff.workflows.diffraction.local_structure import LOCAL_STRUCTURES, structure_fractions
from torch_gptff.workflows.diffraction.pattern import DiffractionPattern, diffraction_pattern
from torch_gptff.workflows.diffraction.peaks import PeakTrack, track_peaks
from torch_gptff.workflows.inputs import as_atoms

STEP = 0.05
"""Spacing of the angles of a profile, degrees of 2θ."""

LEAST_FRAMES = 0.1
"""Smallest share of the frames through which a peak is followed, to be shown."""


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
        atoms: the first frame; ``None`` in files of older versions
        reflections: of the first frame, likewise
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
    atoms: Atoms | None = None
    reflections: DiffractionPattern | None = None

    def strain(self, axis: int) -> NDArray[np.float64]:
        """Strain of a cell vector relative to the first frame, ``[F]``."""
        return np.asarray(self.lengths[:, axis] / self.lengths[0, axis] - 1)

    @property
    def lasting_tracks(self) -> tuple[PeakTrack, ...]:
        """Peaks that were followed through a tenth of the frames or more."""
        return tuple(track for track in self.tracks if len(track.frames) >= LEAST_FRAMES * len(self.profiles))

    def peak_table(self) -> Table:
        """A table of the peaks in :attr:`lasting_tracks`: their first and last frames, places and heights."""
        columns = (
            Column("first"),
            Column("last"),
            Column("2θ first", "°", 2),
            Column("2θ last", "°", 2),
            Column("height last/first", "", 2),
        )
        rows = [
            [
                int(track.frames[0]),
                int(track.frames[-1]),
                float(track.two_theta[0]),
                float(track.two_theta[-1]),
                float(track.heights[-1] / track.heights[0]),
            ]
            for track in self.lasting_tracks
        ]
        return Table(columns, rows)


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
        if number == 0:
            first, reflections = atoms, pattern
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
        atoms=first,
        reflections=reflections,
    )
