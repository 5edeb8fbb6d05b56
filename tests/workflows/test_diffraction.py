"""Diffraction: reflections where Bragg says, peaks that move with the lattice, and the structure about each atom."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff.errors import DiffractionError
from torch_gptff.workflows import (
    LOCAL_STRUCTURES,
    DiffractionPattern,
    DiffractionSeries,
    diffraction_pattern,
    diffraction_series,
    local_structure,
    structure_fractions,
)
from torch_gptff.workflows.diffraction.peaks import track_peaks

pytest.importorskip("pyscal3")

CU_K_ALPHA = 1.54184  # Å


def bragg(spacings: np.ndarray, wavelength: float = CU_K_ALPHA, highest: float = 90) -> np.ndarray:
    """2θ of λ = 2 d sin θ, in degrees, each once."""
    sines = wavelength / (2 * np.asarray(spacings))
    angles = 2 * np.degrees(np.arcsin(sines[sines < np.sin(np.radians(highest / 2))]))
    return np.unique(angles.round(6))


@pytest.mark.parametrize("cubic", [False, True])
def test_fcc_copper(cubic: bool) -> None:
    """All indices even, or all odd."""
    pattern = diffraction_pattern(bulk("Cu", a=3.615, cubic=cubic), wavelength="CuKa1", two_theta=(10, 95))
    allowed = [hkl for hkl in product(range(6), repeat=3) if len({index % 2 for index in hkl}) == 1 and any(hkl)]
    expected = bragg(3.615 / np.linalg.norm(allowed, axis=1), pattern.wavelength, 95)
    np.testing.assert_allclose(pattern.two_theta, expected, atol=1e-3)
    assert len(pattern.two_theta) == 4
    # the card of copper, PDF 4-836: 43.30, 50.43, 74.13, 89.93 degrees, the first two as 100 to 46
    np.testing.assert_allclose(pattern.two_theta, [43.30, 50.43, 74.13, 89.93], atol=0.05)
    assert pattern.intensities[1] / pattern.intensities[0] == pytest.approx(0.46, abs=0.02)
    np.testing.assert_allclose(2 * pattern.d_spacings * np.sin(np.radians(pattern.two_theta / 2)), pattern.wavelength)


def test_hcp_titanium() -> None:
    """No reflection of odd l where h + 2k is a multiple of three."""
    a, c = 2.9505, 4.6826
    pattern = diffraction_pattern(bulk("Ti", "hcp", a=a, c=c))
    allowed = [
        (h, k, m)
        for h, k, m in product(range(-4, 5), range(-4, 5), range(6))
        if (h or k or m) and not ((h + 2 * k) % 3 == 0 and m % 2)
    ]
    spacings = [1 / np.sqrt(4 / 3 * (h * h + h * k + k * k) / a**2 + m * m / c**2) for h, k, m in allowed]
    np.testing.assert_allclose(pattern.two_theta, bragg(np.array(spacings)), atol=1e-3)
    # the card of α-titanium, PDF 44-1294: 100, 002, 101, 102, 110, 103
    np.testing.assert_allclose(pattern.two_theta[:6], [35.09, 38.42, 40.17, 53.00, 62.95, 70.66], atol=0.07)
    assert pattern.intensities.argmax() == 2
    assert tuple(pattern.indices[1]) == (0, 0, 2)


def test_the_cell_does_not_matter() -> None:
    one, many = (diffraction_pattern(bulk("Cu", cubic=True) * (n, n, n)) for n in (1, 2))
    np.testing.assert_allclose(many.two_theta, one.two_theta)
    np.testing.assert_allclose(many.intensities, one.intensities, rtol=1e-6)


def test_a_profile_holds_the_intensities_as_areas() -> None:
    pattern = diffraction_pattern(bulk("Cu"))
    angles = np.arange(5.0, 100, 0.01)
    for fwhm in (0.2, 0.8):
        profile = pattern.profile(angles, fwhm)
        assert np.trapezoid(profile, angles) == pytest.approx(pattern.intensities.sum(), rel=1e-4)
        top = angles[profile.argmax()]
        assert top == pytest.approx(pattern.two_theta[0], abs=0.02)
        half = profile[np.abs(angles - top - fwhm / 2).argmin()]
        assert half == pytest.approx(profile.max() / 2, rel=0.05)


def test_wavelengths() -> None:
    assert diffraction_pattern(bulk("Cu"), wavelength=1.2).wavelength == 1.2
    shorter = diffraction_pattern(bulk("Cu"), wavelength="MoKa")
    assert shorter.wavelength == pytest.approx(0.7107, abs=1e-3)
    assert shorter.two_theta[0] == pytest.approx(bragg(np.array([3.61 / np.sqrt(3)]), shorter.wavelength)[0], abs=1e-3)


def strained(strains: np.ndarray) -> list[Atoms]:
    frames = []
    for k, strain in enumerate(strains):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array @ np.diag([1, 1, 1 + strain]), scale_atoms=True)
        atoms.info["time_fs"] = 50.0 * k
        frames.append(atoms)
    return frames


def test_peaks_follow_the_lattice() -> None:
    strains = np.linspace(0, 0.1, 21)
    series = diffraction_series(strained(strains), two_theta=(35, 60))
    np.testing.assert_allclose(series.strain(2), strains, atol=1e-12)
    np.testing.assert_allclose(series.strain(0), 0, atol=1e-12)
    assert series.times is not None
    np.testing.assert_allclose(series.times, 0.05 * np.arange(21))
    assert series.profiles.shape == (21, len(series.two_theta))
    whole = [track for track in series.tracks if len(track.frames) == 21]
    first = next(track for track in whole if abs(track.two_theta[0] - 43.3) < 0.2)
    spacings = 1 / np.sqrt((2 + 1 / (1 + strains) ** 2) / 3.61**2)
    expected = 2 * np.degrees(np.arcsin(CU_K_ALPHA / (2 * spacings)))
    np.testing.assert_allclose(first.two_theta, expected, atol=0.02)
    # (200) stays, and (002) leaves it for smaller angles
    stays = next(track for track in whole if abs(track.two_theta[-1] - 50.5) < 0.2)
    assert abs(stays.two_theta[-1] - stays.two_theta[0]) < 0.1
    leaves = next(track for track in series.tracks if track.frames[-1] == 20 and abs(track.two_theta[-1] - 45.7) < 0.5)
    assert leaves.frames[0] > 0


def test_tracks_of_known_peaks() -> None:
    """One that moves, one that ends, and one that appears."""
    angles = np.arange(20.0, 60, 0.05)
    profiles = np.zeros((10, len(angles)))
    for k in range(10):
        places = [30 + 0.3 * k] + ([45.0] if k < 4 else []) + ([52.0] if k >= 6 else [])
        profiles[k] = sum(np.exp(-((angles - place) ** 2) / 0.1) for place in places)
    moving, ending, appearing = track_peaks(angles, profiles)
    np.testing.assert_allclose(moving.two_theta, 30 + 0.3 * np.arange(10), atol=1e-3)
    np.testing.assert_allclose(moving.heights, 1, atol=1e-3)
    assert ending.frames.tolist() == [0, 1, 2, 3]
    assert appearing.frames.tolist() == [6, 7, 8, 9]
    assert track_peaks(angles, np.zeros((3, len(angles)))) == ()


@pytest.mark.parametrize(
    ("name", "atoms"),
    [
        ("fcc", bulk("Cu")),
        ("fcc", bulk("Cu", cubic=True) * (3, 3, 3)),
        ("hcp", bulk("Ti", "hcp", a=2.95, c=4.68)),
        ("bcc", bulk("W")),
        ("other", bulk("Si")),
    ],
)
def test_perfect_crystals_are_what_they_are(name: str, atoms: Atoms) -> None:
    fractions = structure_fractions(atoms)
    assert fractions[LOCAL_STRUCTURES.index(name)] == 1
    assert fractions.sum() == 1


def stacked(layers: str) -> Atoms:
    """Close-packed layers of a metal, one atom in the cell of each."""
    nearest = 2.9
    height = nearest * np.sqrt(2 / 3)
    a1, a2 = nearest * np.array([1, 0, 0]), nearest * np.array([0.5, np.sqrt(3) / 2, 0])
    shifts = {"A": 0 * a1, "B": (a1 + a2) / 3, "C": 2 * (a1 + a2) / 3}
    positions = [shifts[layer] + [0, 0, k * height] for k, layer in enumerate(layers)]
    return Atoms(f"Ti{len(layers)}", positions=positions, cell=[a1, a2, [0, 0, len(layers) * height]], pbc=True)


def test_stacking_faults_are_counted() -> None:
    """A layer between two of one kind is hcp, and between two kinds fcc."""
    layers = "ABCABABABC"
    neighbors = zip(layers[-1] + layers[:-1], layers[1:] + layers[0], strict=True)
    expected = [LOCAL_STRUCTURES.index("hcp" if below == above else "fcc") for below, above in neighbors]
    assert local_structure(stacked(layers)).tolist() == expected
    assert 0 < np.mean(expected) - 1 < 1


def test_vibration_and_wrapping_change_little() -> None:
    atoms = bulk("Cu", cubic=True) * (4, 4, 4)
    atoms.rattle(0.05, seed=1)
    before = atoms.copy()
    assert structure_fractions(atoms)[1] > 0.95
    assert atoms == before
    assert list(atoms.arrays) == list(before.arrays)
    atoms.positions += 31.7
    assert structure_fractions(atoms)[1] > 0.95


def test_a_transition_is_seen_in_fractions() -> None:
    frames = [stacked("ABABABABABAB")] * 2 + [stacked("ABCABCABCABC")] * 3
    series = diffraction_series(frames, two_theta=(30, 45))
    assert series.fractions is not None
    np.testing.assert_allclose(series.fractions[:, LOCAL_STRUCTURES.index("hcp")], [1, 1, 0, 0, 0])
    np.testing.assert_allclose(series.fractions[:, LOCAL_STRUCTURES.index("fcc")], [0, 0, 1, 1, 1])
    assert series.times is None
    assert diffraction_series(frames[:1], two_theta=(30, 45), structures=False).fractions is None


def test_records_come_back(tmp_path: Path) -> None:
    series = diffraction_series(strained(np.array([0, 0.01])), two_theta=(35, 60))
    series.save(tmp_path / "series.json")
    assert DiffractionSeries.load(tmp_path / "series.json").to_dict() == series.to_dict()
    pattern = diffraction_pattern(bulk("Cu"))
    pattern.save(tmp_path / "pattern.json")
    assert DiffractionPattern.load(tmp_path / "pattern.json").to_dict() == pattern.to_dict()


def test_bad_input() -> None:
    with pytest.raises(DiffractionError, match="needs a crystal"):
        diffraction_pattern(molecule("H2O"))
    with pytest.raises(DiffractionError, match="no wavelength is called 'XY'; there are CuKa"):
        diffraction_pattern(bulk("Cu"), wavelength="XY")
    with pytest.raises(DiffractionError, match="-1 Å makes no sense"):
        diffraction_pattern(bulk("Cu"), wavelength=-1)
    with pytest.raises(DiffractionError, match=r"from 90 to 10° makes no sense"):
        diffraction_pattern(bulk("Cu"), two_theta=(90, 10))
    with pytest.raises(DiffractionError, match="positive width"):
        diffraction_series([bulk("Cu")], fwhm=0)
    with pytest.raises(DiffractionError, match="no frame"):
        diffraction_series([])
    with pytest.raises(DiffractionError, match="frame 1: a powder pattern"):
        diffraction_series([bulk("Cu"), molecule("H2O")])
    with pytest.raises(DiffractionError, match="cell of three vectors"):
        local_structure(molecule("H2O"))
