"""Thermal expansion by the quasi-harmonic approximation: harmonic phonons at several volumes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.errors import PhononError
from torch_gptff.units import EV_PER_KJ_PER_MOL
from torch_gptff.workflows.eos.curve import scale_volume
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import require_crystal
from torch_gptff.workflows.phonon_spectrum import NUMERICAL_ZERO, PhononSpectrum
from torch_gptff.workflows.phonons import phonon_spectrum
from torch_gptff.workflows.relax import relax
from torch_gptff.workflows.supercell import repetitions
from torch_gptff.workflows.thermal_expansion import QuasiHarmonicCrystal

DEFAULT_RATIOS = (0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08)

FORMS = ("vinet", "birch-murnaghan", "murnaghan")
"""Equations of state that phonopy fits to free energies."""


def quasi_harmonic(
    atoms: Any,
    calculator: Any = None,
    *,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    max_temperature: float = 1000.0,
    temperature_step: float = 10.0,
    form: str = "vinet",
    supercell: Sequence[int] | None = None,
    min_length: float = 12.0,
    displacement: float = 0.01,
    fmax: float = 0.001,
    max_steps: int = 500,
    mesh_density: float = 60.0,
    symprec: float = 1e-4,
    on_volume: Callable[[int, int], None] | None = None,
) -> QuasiHarmonicCrystal:
    """Thermal expansion, bulk modulus, heat capacity and Gibbs energy by temperature, at zero pressure, with phonopy.

    The cell is scaled to each volume and keeps its shape, in which the atoms relax. At each temperature an equation of
    state is fitted to the free energies of all volumes, as in `Togo, Chaput, Tanaka and Hug, Phys. Rev. B 81, 174301
    (2010) <https://doi.org/10.1103/PhysRevB.81.174301>`_. Temperatures end where the volume in equilibrium leaves the
    range of volumes, and ``remarks`` says so. Grüneisen parameters of modes are finite differences between the volumes
    on either side of that of ``atoms``.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        ratios: of the volumes to that of ``atoms``, at least five, some smaller and some larger than 1
        max_temperature: highest temperature, K
        temperature_step: K
        form: equation of state, a name in :data:`FORMS`
        supercell: repetitions of the cell along its vectors; by default as many as ``min_length`` asks for
        min_length: smallest distance between opposite faces of the supercell, Å
        displacement: of an atom at a time, Å
        fmax: largest force after the relaxation at a volume, eV/Å
        max_steps: maximum number of relaxation steps
        mesh_density: Å; the wave vectors of the mesh are about 2π/``mesh_density`` apart
        symprec: to which symmetry is looked for, Å
        on_volume: called with the number of volumes that are computed, and of all

    Raises:
        PhononError: the structure is no crystal, a setting makes no sense, the free energy has no minimum among the
            volumes, or phonopy is not installed.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms, calculator = as_inputs(atoms, calculator, PhononError)
    require_crystal(atoms, "thermal expansion", PhononError, calculator)
    ratios = sorted(ratios)
    _check(ratios, max_temperature, temperature_step, form)
    repeats = repetitions(atoms, supercell, min_length, PhononError)
    # phonopy takes the last but one as its last, for a derivative between its neighbours
    kelvins = np.arange(0, max_temperature + 1.5 * temperature_step, temperature_step)
    spectra, energies, n_unconverged = [], [], 0
    for number, ratio in enumerate(ratios):
        relaxation = relax(
            scale_volume(atoms, ratio), calculator, fmax=fmax, fix_cell=True, keep_symmetry=True, max_steps=max_steps
        )
        n_unconverged += not relaxation.converged
        crystal = Atoms(relaxation.final)
        energies += [each.energy for each in evaluate_many([crystal], calculator, forces=False, stress=False)]
        spectra.append(
            phonon_spectrum(
                crystal,
                calculator,
                supercell=repeats,
                displacement=displacement,
                temperatures=kelvins,
                mesh_density=mesh_density,
                band_density=5.0,
                symprec=symprec,
            )
        )
        if on_volume is not None:
            on_volume(number + 1, len(ratios))
    middle = int(np.argmin(np.abs(np.array(ratios) - 1)))
    lowest = np.array([each.lowest_frequency for each in spectra])
    expansion = _expansion(spectra, np.array(energies), kelvins, form)
    remarks = _remarks(ratios, lowest, n_unconverged, float(expansion["temperatures"][-1]), max_temperature)
    return QuasiHarmonicCrystal(
        atoms=spectra[middle].atoms,
        supercell=repeats,
        energies=np.array(energies),
        lowest_frequencies=lowest,
        n_unconverged=n_unconverged,
        remarks=remarks,
        **expansion,
        **_modes(*spectra[middle - 1 : middle + 2]),
    )


def _check(ratios: Sequence[float], max_temperature: float, temperature_step: float, form: str) -> None:
    if len(set(ratios)) < 5 or ratios[0] <= 0:
        raise PhononError(f"give at least five different positive ratios of volumes, not {list(ratios)}")
    middle = int(np.argmin(np.abs(np.array(ratios) - 1)))
    if middle in (0, len(ratios) - 1):
        raise PhononError(
            f"volumes of {ratios[0]:g} to {ratios[-1]:g} times that of the structure are all on one side of it: take "
            "smaller and larger ones"
        )
    if not 0 < temperature_step <= max_temperature:
        raise PhononError(
            f"temperatures up to {max_temperature:g} K in steps of {temperature_step:g} K are none: take a positive "
            "step, and a highest temperature of at least one step"
        )
    if form not in FORMS:
        raise PhononError(f"no equation of state {form!r}; there are {', '.join(FORMS)}")


def _expansion(
    spectra: Sequence[PhononSpectrum], energies: NDArray[np.float64], kelvins: NDArray[np.float64], form: str
) -> dict[str, NDArray[np.float64]]:
    """Everything that follows from free energies by volume, by phonopy."""
    from phonopy.qha.core import QHA

    n_atoms = len(spectra[0].atoms)
    volumes = np.array([each.atoms.get_volume() for each in spectra])
    vibration = np.stack([each.free_energy for each in spectra], axis=1) * n_atoms  # eV, [T, K]
    total = vibration + energies
    least = total.argmin(axis=1)
    inside = (least > 0) & (least < len(volumes) - 1)
    n_inside = int(np.argmin(inside)) if not inside.all() else len(kelvins)
    if n_inside < 4:
        where = "smallest" if least[n_inside] == 0 else "largest"
        raise PhononError(
            f"the free energy at {kelvins[n_inside]:g} K is least at the {where} of the volumes, "
            f"{volumes[least[n_inside]]:.2f} Å³: relax the structure first, or take other volumes"
        )
    kept = slice(0, n_inside)
    result: Any = QHA(
        volumes,
        energies,
        kelvins[kept],
        np.stack([each.heat_capacity for each in spectra], axis=1)[kept] * n_atoms,
        np.stack([each.entropy for each in spectra], axis=1)[kept] * n_atoms,
        vibration[kept] / EV_PER_KJ_PER_MOL,
        eos=form.replace("-", "_"),
    )
    try:
        result.run()
    except RuntimeError as error:
        raise PhononError(
            f"no {form} equation of state fits the free energies ({error}): take more volumes, closer to that of the "
            "structure"
        ) from error
    volume = np.array(result.volume_temperature)
    if len(volume) != n_inside - 1:
        raise PhononError(f"no {form} equation of state fits the free energies at some temperatures: take more volumes")
    return {
        "volumes": volumes,
        "free_energies": total[: n_inside - 1],
        "temperatures": kelvins[: n_inside - 1],
        "volume": volume,
        "thermal_expansion": np.array(result.thermal_expansion),
        "bulk_modulus": np.array(result.bulk_modulus_temperature),
        "heat_capacity": np.array(result.heat_capacity_P_polyfit) / n_atoms,
        "gibbs_energy": np.array(result.gibbs_temperature) / n_atoms,
        "gruneisen": np.array(result.gruneisen_temperature),
    }


def _modes(smaller: PhononSpectrum, crystal: PhononSpectrum, larger: PhononSpectrum) -> dict[str, NDArray[np.float64]]:
    """Grüneisen parameters of the modes of a mesh, by phonopy."""
    from phonopy import PhonopyGruneisen

    found = PhonopyGruneisen(crystal.to_phonopy(), larger.to_phonopy(), smaller.to_phonopy())
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # a mesh that lacks symmetries of the crystal has more points, and is as good
        found.set_mesh(crystal.mesh, is_gamma_center=True)
    mesh: Any = found.get_mesh()
    _, weights, frequencies, _, parameters = mesh
    real = frequencies > NUMERICAL_ZERO
    if not real.any():
        raise PhononError("no mode has a frequency: the crystal is not held together by its forces")
    return {
        "mode_frequencies": np.array(frequencies[real]),
        "mode_gruneisen": np.array(parameters[real]),
        "mode_weights": np.broadcast_to(np.array(weights, dtype=float)[:, None], frequencies.shape)[real],
    }


def _remarks(
    ratios: Sequence[float], lowest: NDArray[np.float64], n_unconverged: int, last: float, asked: float
) -> tuple[str, ...]:
    remarks = []
    unstable = [f"{ratio:g}" for ratio, low in zip(ratios, lowest, strict=True) if low <= -NUMERICAL_ZERO]
    if unstable:
        remarks.append(
            f"imaginary modes at {', '.join(unstable)} times the volume, down to {lowest.min():.2f} THz, are left out "
            "of the free energies, which have little meaning there"
        )
    if n_unconverged:
        remarks.append(f"the atoms did not relax at {n_unconverged} of {len(ratios)} volumes")
    if last < asked:
        remarks.append(
            f"above {last:g} K the volume in equilibrium is outside of the volumes computed: take larger ones"
        )
    return tuple(remarks)
