"""Molecular dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.md import thermalize_momenta
from ase.md.velocitydistribution import Stationary

from torch_gptff.calculators import potential_of
from torch_gptff.errors import MolecularDynamicsError, StructureError, TrajectoryError
from torch_gptff.io.files import claimed
from torch_gptff.io.identity import difference, identity
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.md.drivers import Driver
from torch_gptff.workflows.md.result import MolecularDynamicsRun, summary
from torch_gptff.workflows.md.settings import MolecularDynamicsSettings, check_structure
from torch_gptff.workflows.md.trajectory import STATE, TrajectoryFile, TrajectoryWriter

HOTTEST = 20.0
"""A run has exploded where it is so many times as hot as it should be, and hotter than ..."""

HOTTEST_K = 10_000.0

LARGEST = 3.0
"""... or where its volume has changed by such a factor."""


SAME_ENERGY = 1e-4
"""eV/atom, within which a model gives the energy of a frame again: rounding is less than a tenth of it."""


@dataclass(frozen=True)
class MolecularDynamicsFrame:
    """State of a run at a frame.

    Attributes:
        step: of integration
        time_fs: since the start, fs
        temperature: K
        pressure: with its kinetic part, GPa; ``None`` for a calculator without stress, or atoms without a volume
        potential_energy: eV
        kinetic_energy: eV
        volume: Å³; ``None`` without a cell
    """

    step: int
    time_fs: float
    temperature: float
    pressure: float | None
    potential_energy: float
    kinetic_energy: float
    volume: float | None


def molecular_dynamics(
    atoms: Any,
    calculator: Any = None,
    settings: MolecularDynamicsSettings | None = None,
    *,
    trajectory: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    on_frame: Callable[[MolecularDynamicsFrame], object] | None = None,
) -> MolecularDynamicsRun:
    """Integrate Newton's equations, and write what happens to a trajectory.

    First velocities are those of ``atoms``, or where it has none drawn at ``settings.temperature``, with the centre of
    mass at rest. From an ideal crystal, half of the kinetic energy becomes potential energy: an NVE run settles at
    about half the temperature.

    A run that was killed goes on from the last frame with a restart state (``resume=True``), and its trajectory is that
    of a run which was not, to the last digit, if the calculator gives the same for the same; a GPU may not. Forces are
    computed anew at these frames, so that what comes after depends on nothing else.

    A run that explodes ends there: ``problem`` of the record says how, and the trajectory holds the frames before.

    Args:
        atoms: the structure, of any kind that :func:`~torch_gptff.workflows.relax` takes; left as it is
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        settings: what to do; by default 1,000 steps of 1 fs at 300 K
        trajectory: the file to write, see :class:`~torch_gptff.workflows.TrajectoryWriter`
        resume: go on with the file where it exists
        overwrite: replace the file where it exists and is not gone on with
        on_frame: called at every frame

    Raises:
        MolecularDynamicsError: nothing gives forces, the structure cannot move so (see
            :func:`~torch_gptff.workflows.md.settings.check_structure`), or it is not finite at the start.
        TrajectoryError: the file exists and ``resume`` is not set, or it is of another run.
        StructureError: the calculator refuses the structure as it was given.
    """
    settings = settings or MolecularDynamicsSettings()
    atoms, calculator = as_inputs(atoms, calculator, MolecularDynamicsError)
    check_structure(atoms, settings)
    moving = atoms.copy()
    moving.calc = calculator
    if not moving.has("momenta") or not moving.get_momenta().any():
        _draw_velocities(moving, settings)

    path = Path(trajectory)
    driver, step, keep = _start(moving, settings, path, resume)
    if keep is not None and step == settings.steps:
        with TrajectoryFile(path) as frames:
            return summary(frames, settings, None)
    problem = None
    if overwrite and keep is None:
        path.unlink(missing_ok=True)
    with claimed(path), TrajectoryWriter(path, _description(moving, settings), keep) as writer:
        if keep is None or keep == 0:
            _check_start(moving)
            _write(writer, driver, 0, settings, on_frame)
        try:
            while step < settings.steps:
                with _explosions_told(step + 1, settings):
                    driver.advance(step + 1)
                    _check(moving, settings, step + 1, atoms)
                step += 1
                if step % settings.interval == 0:
                    _write(writer, driver, step, settings, on_frame)
        except _ExplodedError as error:
            problem = str(error)
    with TrajectoryFile(path) as frames:
        return summary(frames, settings, problem)


class _ExplodedError(MolecularDynamicsError):
    """A run that cannot go on."""


def _draw_velocities(atoms: Atoms, settings: MolecularDynamicsSettings) -> None:
    rng = np.random.default_rng([settings.seed, 1])  # not the numbers that a thermostat draws
    thermalize_momenta(atoms, settings.temperature, exact_temperature=True, rng=rng)
    if len(atoms) > 1 and not atoms.constraints:
        Stationary(atoms)


def _description(atoms: Atoms, settings: MolecularDynamicsSettings) -> dict[str, Any]:
    return {"settings": settings.to_dict(), "formula": str(atoms.symbols), "forces_from": _source(atoms.calc)}


def _source(calculator: Any) -> dict[str, Any]:
    """Identity of the forces of a calculator."""
    potential = potential_of(calculator)
    own = {} if potential is None else identity(potential)
    return {"calculator": type(calculator).__name__, **own}


def _start(
    moving: Atoms, settings: MolecularDynamicsSettings, path: Path, resume: bool
) -> tuple[Driver, int, int | None]:
    """The integrator, the step that it stands at, and the frames of the file that stay."""
    _forget(moving)
    if not resume or not path.exists():
        return Driver(moving, settings), 0, None
    try:
        frames = TrajectoryFile(path)
    except TrajectoryError as error:
        if "no whole frame" not in str(error):
            raise
        return Driver(moving, settings), 0, 0
    with frames:
        _check_same(frames, moving, settings)
        place = frames.last_restart()
        if place is None:
            return Driver(moving, settings), 0, 0
        frame = frames[place]
    moving.set_cell(frame.cell)
    moving.positions[:] = frame.positions
    moving.set_momenta(frame.get_momenta(), apply_constraint=False)
    step = int(frame.info["step"])
    driver = Driver(moving, settings, step)
    driver.restore(frame.info[STATE])
    _check_energy(moving, frame, path)
    return driver, step, place + 1


def _check_energy(moving: Atoms, frame: Atoms, path: Path) -> None:
    """Refuse forces of another model than those that led to a frame: its energy tells, whatever gives it."""
    here, there = float(moving.get_potential_energy()), float(frame.get_potential_energy())
    if not abs(here - there) <= SAME_ENERGY * len(moving):
        raise TrajectoryError(
            f"{path} holds an energy of {there:.4f} eV at step {frame.info['step']}, and the calculator gives "
            f"{here:.4f} eV there: go on with the model that the run was made with, or name another file"
        )


def _check_same(frames: TrajectoryFile, moving: Atoms, settings: MolecularDynamicsSettings) -> None:
    """Refuse to continue another run; more steps of the same are allowed, where nothing is spread over all of them."""
    first = frames[0]
    same = len(first) == len(moving) and bool((first.numbers == moving.numbers).all())
    if not same or not all(
        np.allclose(theirs, ours, rtol=0, atol=1e-6)
        for theirs, ours in zip(_geometry(first), _geometry(moving), strict=True)
    ):
        raise TrajectoryError(f"{frames.path} is a run of another structure: name another file, or do not resume")
    theirs = frames.description.get("settings")
    ours = settings.to_dict()
    forces_from = frames.description.get("forces_from")
    other = None if forces_from is None else difference(forces_from, _source(moving.calc))
    if other is not None:
        raise TrajectoryError(f"{frames.path} was made {other}: name another file, or go on with what it was made with")
    if not isinstance(theirs, dict):
        raise TrajectoryError(f"{frames.path} does not tell how it was made, and cannot be continued")
    has_ramp = settings.final_temperature is not None or settings.strain != 0
    free = {"units"} if has_ramp else {"units", "steps"}
    theirs = MolecularDynamicsSettings().to_dict() | theirs  # a file may be older than a setting
    for name in ours.keys() - free:
        if theirs[name] != ours[name]:
            raise TrajectoryError(
                f"{frames.path} was made with {name} {theirs[name]}, and this is {ours[name]}: name another file"
            )


def _geometry(atoms: Atoms) -> tuple[Any, ...]:
    return atoms.positions, atoms.cell.array, atoms.pbc, atoms.get_masses()


def _write(
    writer: TrajectoryWriter,
    driver: Driver,
    step: int,
    settings: MolecularDynamicsSettings,
    on_frame: Callable[[MolecularDynamicsFrame], object] | None,
) -> None:
    atoms = driver.atoms
    frame = _frame(atoms, step, settings)
    values = {"kinetic_eV": frame.kinetic_energy, "temperature_K": frame.temperature}
    conserved = driver.conserved_energy()
    if frame.pressure is not None:
        values["pressure_GPa"] = frame.pressure
    if conserved is not None:
        values["conserved_eV"] = conserved
    is_restart = step % settings.restart_interval == 0 or step == settings.steps
    state = driver.state() if is_restart else None
    writer.write(atoms, step=step, time_fs=frame.time_fs, values=values, state=state)
    if on_frame is not None:
        on_frame(frame)
    if is_restart:
        _forget(atoms)


def _frame(atoms: Atoms, step: int, settings: MolecularDynamicsSettings) -> MolecularDynamicsFrame:
    has_volume = atoms.cell.rank == 3
    pressure = None
    if has_volume:
        try:
            stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
            pressure = -float(np.trace(stress)) / 3 * GPA_PER_EV_PER_ANGSTROM3
        except NotImplementedError:
            pressure = None
    return MolecularDynamicsFrame(
        step=step,
        time_fs=step * settings.timestep,
        temperature=float(atoms.get_temperature()),
        pressure=pressure,
        potential_energy=float(atoms.get_potential_energy()),
        kinetic_energy=float(atoms.get_kinetic_energy()),
        volume=float(atoms.get_volume()) if has_volume else None,
    )


def _forget(atoms: Atoms) -> None:
    """Let the calculator compute all anew: neighbours too, whose order decides the last digits of sums."""
    if hasattr(atoms.calc, "reset"):
        atoms.calc.reset()


def _check_start(atoms: Atoms) -> None:
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise MolecularDynamicsError("energy or forces are not finite at the start: look at the structure")


def _check(atoms: Atoms, settings: MolecularDynamicsSettings, step: int, given: Atoms) -> None:
    """Raise where the run has exploded."""
    moving = (atoms.positions, atoms.get_momenta(), atoms.cell.array, atoms.get_potential_energy())
    if not all(np.isfinite(values).all() for values in moving):
        raise _ExplodedError(_exploded(step, settings, "positions, velocities or energy are no longer finite"))
    target = max(settings.temperature, settings.final_temperature or 0.0)
    temperature = atoms.get_temperature()
    if not temperature <= max(HOTTEST * target, HOTTEST_K):
        raise _ExplodedError(_exploded(step, settings, f"the temperature is {temperature:.3g} K"))
    if settings.ensemble == "npt":
        ratio = atoms.get_volume() / given.get_volume() / (1 + settings.strain_at(step))
        if not 1 / LARGEST < ratio < LARGEST:
            raise _ExplodedError(_exploded(step, settings, f"the volume is {ratio:.2g} times that at the start"))


@contextmanager
def _explosions_told(step: int, settings: MolecularDynamicsSettings) -> Iterator[None]:
    try:
        with np.errstate(all="ignore"):
            yield
    except (StructureError, np.linalg.LinAlgError) as error:
        raise _ExplodedError(_exploded(step, settings, str(error))) from error


def _exploded(step: int, settings: MolecularDynamicsSettings, how: str) -> str:
    return (
        f"the run exploded at step {step} ({step * settings.timestep:g} fs): {how}; relax the structure first, take a "
        "smaller timestep, or a model that knows such structures"
    )
