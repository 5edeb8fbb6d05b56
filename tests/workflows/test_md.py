"""Molecular dynamics: ensembles are what they are called, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_stress
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixBondLengths
from ase.md import VelocityVerlet
from ase.stress import full_3x3_to_voigt_6_stress

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import (
    EmptyStructureError,
    MissingCellError,
    MolecularDynamicsError,
    StructureError,
    TrajectoryError,
)
from torch_gptff.workflows import (
    MolecularDynamicsFrame,
    MolecularDynamicsRun,
    MolecularDynamicsSettings,
    TrajectoryFile,
    molecular_dynamics,
)
from torch_gptff.workflows.md.settings import CELLS, THERMOSTATS, check_structure

KINDS = [
    {"ensemble": "nve"},
    *({"ensemble": "nvt", "thermostat": thermostat} for thermostat in THERMOSTATS),
    *({"ensemble": "npt", "cell": cell} for cell in CELLS),
    {"ensemble": "npt", "cell": "anisotropic", "mask": (True, False, True)},
    *({"ensemble": "nvt", "thermostat": thermostat, "final_temperature": 600.0} for thermostat in THERMOSTATS),
    *({"ensemble": "npt", "cell": cell, "final_temperature": 600.0} for cell in CELLS),
    {"ensemble": "nve", "strain": 0.02},
    {"ensemble": "nvt", "thermostat": "nose-hoover", "strain": 0.02},
    {"ensemble": "npt", "cell": "anisotropic", "strain": 0.02, "final_temperature": 500.0},
]


def name_of(kind: dict[str, Any]) -> str:
    return "-".join(str(value) for value in kind.values())


@pytest.fixture
def copper() -> Atoms:
    return bulk("Cu", cubic=True, a=3.62)


@pytest.fixture
def crystal() -> Atoms:
    return bulk("Cu", cubic=True, a=3.62) * (2, 2, 2)


class ElasticSolid(Calculator):
    """Every atom on a spring to its place in an elastic cell: 3 N harmonic oscillators, whose averages are known.

    With the cell deformed by F, h = h₀ F, and the strain E = (F Fᵀ − 1) / 2, the cell has the energy ½ V₀ C tr E².
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, atoms: Atoms, stiffness: float = 0.5) -> None:
        super().__init__()
        self.places, self.cell, self.stiffness = atoms.get_scaled_positions(wrap=False), atoms.cell.array, stiffness
        # of many frequencies: a Nosé-Hoover chain does not stir oscillators that are all alike
        self.constants = np.random.default_rng(0).uniform(1, 6, (len(atoms), 1))

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        cell = self.atoms.cell.array
        away = self.atoms.positions - self.places @ cell
        forces = -self.constants * away
        deformation = np.linalg.solve(self.cell, cell)
        strain = (deformation @ deformation.T - np.eye(3)) / 2
        size = abs(np.linalg.det(self.cell)) * self.stiffness
        virial = size * deformation.T @ strain @ deformation - away.T @ forces
        energy = 0.5 * float((self.constants * away**2).sum()) + 0.5 * size * float((strain**2).sum())
        stress = full_3x3_to_voigt_6_stress(virial / self.atoms.get_volume())
        self.results = {"energy": energy, "free_energy": energy, "forces": forces, "stress": stress}

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What has changed, to the last bit; ASE's comparison takes as long as the rest of a step."""
        known = self.atoms is not None and all(
            np.array_equal(ours, theirs)
            for ours, theirs in ((self.atoms.positions, atoms.positions), (self.atoms.cell.array, atoms.cell.array))
        )
        return [] if known else list(all_changes)


@pytest.fixture
def solid() -> Atoms:
    """100 atoms of argon, in a cell of 27 Å³ each."""
    places = 3.0 * np.array(list(np.ndindex(5, 5, 4)))
    return Atoms("Ar100", places, cell=[15, 15, 12], pbc=True)


def test_the_solid_has_the_stress_of_its_energy(solid: Atoms) -> None:
    solid.rattle(0.1, seed=0)
    solid.calc = ElasticSolid(solid)
    solid.set_cell(solid.cell.array @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3) / 9), scale_atoms=True)
    solid.rattle(0.1, seed=1)
    by_differences = calculate_numerical_stress(solid, eps=1e-5)
    np.testing.assert_allclose(solid.get_stress(), by_differences, atol=1e-8)


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_a_thermostat_keeps_the_temperature(solid: Atoms, thermostat: str, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(
        thermostat=thermostat, temperature=300, steps=2000, timestep=8, thermostat_time=100, restart_interval=2000
    )
    run = molecular_dynamics(solid, ElasticSolid(solid), settings, trajectory=tmp_path / "md.traj")
    average = run.averages["temperature"]
    n_degrees = 300
    assert average.mean == pytest.approx(300, rel=0.03)
    # equipartition: ½ k T in every spring
    assert run.averages["potential_energy"].mean == pytest.approx(n_degrees / 2 * units.kB * 300, rel=0.06)
    if thermostat in ("bussi", "langevin"):  # the others do not sample the ensemble of oscillators
        assert average.standard_deviation == pytest.approx(300 * np.sqrt(2 / n_degrees), rel=0.35)


def test_energy_is_conserved_without_a_thermostat(crystal: Atoms, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(ensemble="nve", temperature=600, steps=300, timestep=2, interval=10)
    run = molecular_dynamics(crystal, EMT(), settings, trajectory=tmp_path / "md.traj")
    total = run.potential_energy + run.kinetic_energy
    assert np.ptp(total) / len(crystal) < 1e-3
    assert run.drift == pytest.approx(0, abs=1e-4)
    # a crystal at rest gives half of its kinetic energy to vibrations
    assert run.temperature[0] == pytest.approx(600)
    assert run.averages["temperature"].mean == pytest.approx(300, rel=0.2)
    assert run.averages["volume"].standard_deviation == 0


@pytest.mark.parametrize("kind", [KINDS[1], KINDS[3], *KINDS[5:8]], ids=name_of)
def test_what_thermostat_and_barostat_conserve_with_the_atoms(solid: Atoms, tmp_path: Path, kind: Any) -> None:
    drifts = []
    for timestep in (8, 4):
        settings = MolecularDynamicsSettings(
            steps=2400 // timestep, timestep=timestep, thermostat_time=100, barostat_time=400, pressure=1.0, **kind
        )
        path = tmp_path / f"{timestep}.traj"
        run = molecular_dynamics(solid, ElasticSolid(solid), settings, trajectory=path)
        conserved = TrajectoryFile(path).values("conserved_eV")
        exchanged = np.ptp(run.potential_energy + run.kinetic_energy)
        drifts.append(np.ptp(conserved) / exchanged)
        assert run.drift is not None
    assert drifts[1] < 0.02
    assert drifts[1] < drifts[0] / 2.5  # of second order in the timestep: a quarter


def test_the_same_as_ase_by_hand(crystal: Atoms, tmp_path: Path) -> None:
    crystal.rattle(0.05, seed=1)
    crystal.set_momenta(np.random.default_rng(0).normal(size=(len(crystal), 3)))
    settings = MolecularDynamicsSettings(ensemble="nve", steps=20, timestep=3, interval=5, restart_interval=20)
    molecular_dynamics(crystal, EMT(), settings, trajectory=tmp_path / "md.traj")
    by_hand = crystal.copy()
    by_hand.calc = EMT()
    frames = TrajectoryFile(tmp_path / "md.traj")
    with VelocityVerlet(by_hand, 3 * units.fs) as dynamics:
        for number, frame in enumerate(frames):
            np.testing.assert_allclose(frame.positions, by_hand.positions, atol=1e-12)
            np.testing.assert_allclose(frame.get_momenta(), by_hand.get_momenta(), atol=1e-12)
            assert frame.get_potential_energy() == pytest.approx(by_hand.get_potential_energy(), abs=1e-10)
            np.testing.assert_allclose(frame.get_stress(), by_hand.get_stress(), atol=1e-12)
            assert (frame.info["step"], frame.info["time_fs"]) == (5 * number, 15 * number)
            dynamics.run(5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_barostat_keeps_the_pressure(solid: Atoms, tmp_path: Path, cell: str) -> None:
    settings = MolecularDynamicsSettings(
        ensemble="npt", cell=cell, pressure=2.0, steps=1500, timestep=8, barostat_time=500, restart_interval=1500
    )
    run = molecular_dynamics(solid, ElasticSolid(solid), settings, trajectory=tmp_path / "md.traj")
    assert run.averages["pressure"].mean == pytest.approx(2, abs=0.15)
    assert run.averages["temperature"].mean == pytest.approx(300, rel=0.05)
    assert run.averages["volume"].mean < solid.get_volume()
    shape = run.lengths[-1] / solid.cell.lengths()
    assert (np.ptp(shape) < 1e-12) == (cell == "isotropic")
    angles = TrajectoryFile(tmp_path / "md.traj")[-1].cell.angles()
    assert (np.abs(angles - 90).max() > 1e-6) == (cell == "full")


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_a_temperature_ramp_ends_where_it_should(solid: Atoms, tmp_path: Path, thermostat: str) -> None:
    settings = MolecularDynamicsSettings(
        thermostat=thermostat, temperature=100, final_temperature=700, steps=1500, timestep=8, thermostat_time=50,
        restart_interval=1500,
    )  # fmt: skip
    run = molecular_dynamics(solid, ElasticSolid(solid), settings, trajectory=tmp_path / "md.traj")
    tenth = len(run.time) // 10
    assert run.temperature[-tenth:].mean() == pytest.approx(670, rel=0.1)
    middle = run.temperature[len(run.time) // 2 - tenth // 2 : len(run.time) // 2 + tenth // 2].mean()
    assert middle == pytest.approx(400, rel=0.15)
    assert run.drift is None


def test_a_strain_ramp_stretches_one_vector(crystal: Atoms, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(
        ensemble="nvt", temperature=50, strain=0.03, strain_axis="b", steps=120, timestep=5, restart_interval=120
    )
    run = molecular_dynamics(crystal, EMT(), settings, trajectory=tmp_path / "nvt.traj")
    a = crystal.cell.lengths()[0]
    np.testing.assert_allclose(run.lengths[:, [0, 2]], a, atol=1e-12)
    np.testing.assert_allclose(run.lengths[:, 1], a * (1 + run.strain))
    assert run.strain[-1] == pytest.approx(0.03)
    assert run.axial_stress is not None
    modulus = np.polyfit(run.strain, run.axial_stress, 1)[0]
    assert modulus == pytest.approx(170, rel=0.25)  # C11 of copper in effective medium theory, GPa

    free = replace(settings, ensemble="npt", cell="anisotropic", barostat_time=200.0)
    run = molecular_dynamics(crystal, EMT(), free, trajectory=tmp_path / "npt.traj")
    np.testing.assert_allclose(run.lengths[:, 1], a * (1 + run.strain))
    # the other two contract, as Poisson's ratio wants
    assert run.lengths[-3:, [0, 2]].mean() < a * (1 - 0.002)
    assert run.axial_stress is not None
    assert np.polyfit(run.strain, run.axial_stress, 1)[0] < modulus


def test_a_mask_keeps_vectors_while_the_others_relax(tmp_path: Path) -> None:
    """Copper on a substrate whose lattice is 2 % larger: c contracts by 2 C12/C11 times as much."""
    a = 3.59  # of effective medium theory, Å
    crystal = bulk("Cu", cubic=True, a=a) * (2, 2, 2)
    crystal.set_cell(crystal.cell.array * [1.02, 1.02, 1], scale_atoms=True)
    settings = MolecularDynamicsSettings(
        ensemble="npt", cell="anisotropic", mask=(False, False, True), temperature=20, steps=600, timestep=5,
        thermostat_time=100.0, barostat_time=200.0, restart_interval=100,
    )  # fmt: skip
    run = molecular_dynamics(crystal, EMT(), settings, trajectory=tmp_path / "film.traj")
    np.testing.assert_allclose(run.lengths[:, :2], 2 * 1.02 * a, rtol=1e-12)
    mean = run.lengths[len(run.time) // 3 :, 2].mean() / (2 * a)
    assert mean == pytest.approx(1 - 0.02 * 2 * 115 / 172, abs=0.005)  # constants of effective medium theory, GPa


class StopError(Exception):
    pass


def stop_at(step: int) -> Any:
    def on_frame(frame: MolecularDynamicsFrame) -> None:
        if frame.step == step:
            raise StopError

    return on_frame


def assert_same_frames(path: Path, other: Path) -> None:
    with TrajectoryFile(path) as ours, TrajectoryFile(other) as theirs:
        assert ours.steps.tolist() == theirs.steps.tolist()
        for one, two in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one.positions, two.positions)
            np.testing.assert_array_equal(one.get_momenta(), two.get_momenta())
            np.testing.assert_array_equal(one.cell, two.cell)
            assert one.get_potential_energy() == two.get_potential_energy()
            assert one.info == two.info


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_run_that_was_stopped_goes_on_exactly(copper: Atoms, tmp_path: Path, kind: dict[str, Any]) -> None:
    settings = MolecularDynamicsSettings(
        steps=24, timestep=3, interval=2, restart_interval=8, thermostat_time=30, barostat_time=100, **kind
    )
    whole, part = tmp_path / "whole.traj", tmp_path / "part.traj"
    record = molecular_dynamics(copper, EMT(), settings, trajectory=whole)
    for step in (0, 14, 20):
        with pytest.raises(StopError):
            molecular_dynamics(copper, EMT(), settings, trajectory=part, resume=True, on_frame=stop_at(step))
    again = molecular_dynamics(copper, EMT(), settings, trajectory=part, resume=True)
    assert_same_frames(whole, part)
    np.testing.assert_array_equal(again.temperature, record.temperature)
    assert (again.steps, again.n_frames) == (24, 13)
    # and a run that is finished is left as it is
    before = part.read_bytes()
    molecular_dynamics(copper, EMT(), settings, trajectory=part, resume=True)
    assert part.read_bytes() == before


def test_a_model_in_single_precision_goes_on_exactly_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4)))
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    settings = MolecularDynamicsSettings(steps=60, timestep=1, interval=5, restart_interval=20, temperature=1500)
    whole, part = tmp_path / "whole.traj", tmp_path / "part.traj"
    molecular_dynamics(salt, GPTFFCalculator(potential, device="cpu"), settings, trajectory=whole)
    with pytest.raises(StopError):
        molecular_dynamics(
            salt, GPTFFCalculator(potential, device="cpu"), settings, trajectory=part, on_frame=stop_at(50)
        )
    molecular_dynamics(salt, GPTFFCalculator(potential, device="cpu"), settings, trajectory=part, resume=True)
    assert_same_frames(whole, part)


RUN = """
import sys
from ase.build import bulk
from ase.calculators.emt import EMT
from torch_gptff.workflows import MolecularDynamicsSettings, molecular_dynamics
settings = MolecularDynamicsSettings(steps=400, timestep=2, interval=2, restart_interval=20)
molecular_dynamics(bulk("Cu", cubic=True), EMT(), settings, trajectory=sys.argv[1], resume=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no kill -9")
def test_a_run_does_not_go_on_with_other_forces(copper: Atoms, tmp_path: Path) -> None:
    path, settings = tmp_path / "md.traj", MolecularDynamicsSettings(steps=10, interval=5, restart_interval=5)
    molecular_dynamics(copper, EMT(), settings, trajectory=path)
    longer = replace(settings, steps=20)
    with pytest.raises(TrajectoryError, match="with calculator EMT, and this is LennardJones"):
        molecular_dynamics(copper, LennardJones(epsilon=0.1, sigma=2.3), longer, trajectory=path, resume=True)
    shifted = EMT()
    shifted.calculate = lambda *args, **kwargs: (  # type: ignore[method-assign]
        EMT.calculate(shifted, *args, **kwargs),
        shifted.results.update(energy=shifted.results["energy"] + 0.1),
    )
    with pytest.raises(TrajectoryError, match=r"holds an energy of -?\d+\.\d+ eV at step 10, and the calculator gives"):
        molecular_dynamics(copper, shifted, longer, trajectory=path, resume=True)
    heavier = copper.copy()
    heavier.set_masses([65.0] * len(copper))
    with pytest.raises(TrajectoryError, match="another structure"):
        molecular_dynamics(heavier, EMT(), longer, trajectory=path, resume=True)
    assert molecular_dynamics(copper, EMT(), longer, trajectory=path, resume=True).steps == 20


def test_a_run_does_not_go_on_with_another_model_or_precision(tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    path, settings = tmp_path / "md.traj", MolecularDynamicsSettings(steps=2, interval=1, restart_interval=1)
    torch.manual_seed(0)
    potential, other = (Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))) for _ in range(2))
    molecular_dynamics(salt, potential, settings, trajectory=path)
    longer = replace(settings, steps=4)
    with pytest.raises(TrajectoryError, match="with other weights"):
        molecular_dynamics(salt, other, longer, trajectory=path, resume=True)
    precise = GPTFFCalculator(potential, device="cpu", dtype=torch.float64)
    with pytest.raises(TrajectoryError, match="with dtype float32, and this is float64"):
        molecular_dynamics(salt, precise, longer, trajectory=path, resume=True)
    assert molecular_dynamics(salt, potential, longer, trajectory=path, resume=True).steps == 4


@pytest.mark.parametrize("constraint", [FixBondLengths([(0, 1), (0, 2), (1, 2)]), FixAtoms([0])])
def test_constrained_molecules_move_and_go_on(constraint: Any, tmp_path: Path) -> None:
    water = molecule("H2O", calculator=None)
    water.set_constraint(constraint)
    settings = MolecularDynamicsSettings(steps=20, timestep=0.5, interval=5, restart_interval=5, temperature=400)
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4))).double()
    run = molecular_dynamics(water, potential, settings, trajectory=tmp_path / "whole.traj")
    assert run.problem is None
    molecular_dynamics(water, potential, replace(settings, steps=10), trajectory=tmp_path / "part.traj")
    molecular_dynamics(water, potential, settings, trajectory=tmp_path / "part.traj", resume=True)
    with TrajectoryFile(tmp_path / "whole.traj") as whole, TrajectoryFile(tmp_path / "part.traj") as part:
        np.testing.assert_array_equal(whole[-1].positions, part[-1].positions)
        if isinstance(constraint, FixBondLengths):
            np.testing.assert_allclose(whole[-1].get_all_distances(), water.get_all_distances(), atol=1e-9)
        else:
            np.testing.assert_array_equal(whole[-1].positions[0], water.positions[0])
        assert run.temperature[0] == pytest.approx(400, rel=1e-6)


@pytest.mark.slow
def test_kill_9_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    for size in (30_000, 80_000):
        running = subprocess.Popen([sys.executable, "-c", RUN, path])
        while (not path.is_file() or path.stat().st_size < size) and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a frame may be unfinished
        n_done = len(TrajectoryFile(path))
    assert 20 < n_done < 201
    settings = MolecularDynamicsSettings(steps=400, timestep=2, interval=2, restart_interval=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        molecular_dynamics(bulk("Cu", cubic=True), EMT(), settings, trajectory=path, resume=True)
    whole = tmp_path / "whole.traj"
    molecular_dynamics(bulk("Cu", cubic=True), EMT(), settings, trajectory=whole)
    assert_same_frames(whole, path)


def test_more_steps_of_the_same(copper: Atoms, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(steps=40, interval=10, restart_interval=20)
    molecular_dynamics(copper, EMT(), settings, trajectory=tmp_path / "md.traj")
    longer = molecular_dynamics(
        copper, EMT(), replace(settings, steps=80), trajectory=tmp_path / "md.traj", resume=True
    )
    assert longer.steps == 80
    molecular_dynamics(copper, EMT(), replace(settings, steps=80), trajectory=tmp_path / "whole.traj")
    assert_same_frames(tmp_path / "whole.traj", tmp_path / "md.traj")


def test_no_run_goes_on_with_another(copper: Atoms, crystal: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    settings = MolecularDynamicsSettings(steps=20, restart_interval=20)
    molecular_dynamics(copper, EMT(), settings, trajectory=path)
    before = path.read_bytes()
    with pytest.raises(TrajectoryError, match="exists"):
        molecular_dynamics(copper, EMT(), settings, trajectory=path)
    with pytest.raises(TrajectoryError, match="another structure"):
        molecular_dynamics(crystal, EMT(), settings, trajectory=path, resume=True)
    for other in ({"temperature": 310}, {"timestep": 2}, {"ensemble": "nve"}, {"seed": 1}):
        with pytest.raises(TrajectoryError, match=f"made with {next(iter(other))}"):
            molecular_dynamics(copper, EMT(), replace(settings, **other), trajectory=path, resume=True)
    ramp = replace(settings, final_temperature=400)
    molecular_dynamics(copper, EMT(), ramp, trajectory=tmp_path / "ramp.traj")
    with pytest.raises(TrajectoryError, match="made with steps 20, and this is 40"):
        molecular_dynamics(copper, EMT(), replace(ramp, steps=40), trajectory=tmp_path / "ramp.traj", resume=True)
    assert path.read_bytes() == before


def test_the_seed_decides(copper: Atoms, tmp_path: Path) -> None:
    energies = []
    for number, seed in enumerate((0, 0, 1)):
        settings = MolecularDynamicsSettings(steps=10, seed=seed, thermostat="langevin")
        run = molecular_dynamics(copper, EMT(), settings, trajectory=tmp_path / f"{number}.traj")
        energies.append(run.potential_energy[-1])
    assert energies[0] == energies[1] != energies[2]


def test_velocities_that_are_given_are_kept(copper: Atoms, tmp_path: Path) -> None:
    copper.set_momenta([[1, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -2, 0]])
    settings = MolecularDynamicsSettings(ensemble="nve", steps=10)
    before = copper.copy()
    molecular_dynamics(copper, EMT(), settings, trajectory=tmp_path / "md.traj")
    np.testing.assert_array_equal(TrajectoryFile(tmp_path / "md.traj")[0].get_momenta(), copper.get_momenta())
    assert copper == before
    assert copper.calc is None


def test_records_come_back(copper: Atoms, tmp_path: Path) -> None:
    settings = MolecularDynamicsSettings(steps=20)
    run = molecular_dynamics(copper, EMT(), settings, trajectory=tmp_path / "md.traj")
    run.save(tmp_path / "run.json")
    again = MolecularDynamicsRun.load(tmp_path / "run.json")
    assert again.settings == settings
    np.testing.assert_array_equal(again.temperature, run.temperature)
    assert again.averages == run.averages
    cluster = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.3]])
    molecular_dynamics(cluster, EMT(), settings, trajectory=tmp_path / "cluster.traj").save(tmp_path / "cluster.json")
    again = MolecularDynamicsRun.load(tmp_path / "cluster.json")
    assert (again.pressure, again.volume) == (None, None)


class Exploding(EMT):
    """EMT that goes wrong in a certain way after some calls."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.calls = how, 0

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.calls += 1
        if self.calls > 30:
            if self.how == "refusal":
                raise StructureError("two atoms on one spot")
            self.results["forces"] = self.results["forces"] * {"nan": np.nan, "hot": 1e4}[self.how] + 1e-3


@pytest.mark.parametrize(
    ("how", "said"), [("nan", "no longer finite"), ("hot", "the temperature is"), ("refusal", "on one spot")]
)
def test_a_run_that_explodes_ends_and_leaves_its_frames(crystal: Atoms, tmp_path: Path, how: str, said: str) -> None:
    crystal.rattle(0.02, seed=0)
    settings = MolecularDynamicsSettings(ensemble="nve", steps=100, timestep=2, interval=5, restart_interval=10)
    run = molecular_dynamics(crystal, Exploding(how), settings, trajectory=tmp_path / "md.traj")
    assert run.problem is not None
    assert said in run.problem
    assert "smaller timestep" in run.problem
    assert 20 <= run.steps < 100
    assert np.isfinite(run.temperature).all()
    frames = TrajectoryFile(tmp_path / "md.traj")
    assert len(frames) == run.n_frames == run.steps // 5 + 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timestep": 50}, "femtoseconds.*take 1 or 2"),
        ({"timestep": 0.001}, "femtoseconds"),
        ({"temperature": 0.025}, "kelvin"),
        ({"temperature": 1e6}, "kelvin"),
        ({"final_temperature": -5}, "kelvin"),
        ({"pressure": 1e5}, "GPa"),
        ({"ensemble": "nph"}, "there are nve, nvt, npt"),
        ({"thermostat": "andersen"}, "there are bussi"),
        ({"cell": "cubic"}, "there are isotropic"),
        ({"ensemble": "nve", "final_temperature": 500}, "needs a thermostat"),
        ({"steps": 0}, "1 or more"),
        ({"steps": 25, "interval": 10}, "take 20 or 30"),
        ({"interval": 30, "steps": 60, "restart_interval": 1000}, "take a multiple"),
        ({"thermostat_time": 0.1}, "5 timesteps or more"),
        ({"strain": 20}, "0.2 for 20 %"),
        ({"strain": 0.5, "steps": 100}, "at least 500 steps"),
        ({"strain": 0.1, "strain_axis": "x"}, "there are a, b, c"),
        ({"strain": 0.1, "ensemble": "npt"}, "cell='anisotropic'"),
        ({"mask": (True, True)}, "for each of a, b and c"),
        ({"mask": (True, True, False)}, "nvt has none: take npt with cell='anisotropic'"),
        ({"mask": (True, True, False), "ensemble": "npt"}, "a cell that is isotropic has none"),
        ({"mask": (False, False, False), "ensemble": "npt", "cell": "anisotropic"}, "take nvt"),
        (
            {"mask": (False, False, True), "ensemble": "npt", "cell": "anisotropic", "strain": 0.1, "strain_axis": "c"},
            "take nvt",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(MolecularDynamicsError, match=said):
        MolecularDynamicsSettings(**settings)


def test_structures_that_cannot_move_so_are_refused(copper: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    water = molecule("H2O")
    with pytest.raises(EmptyStructureError):
        molecular_dynamics(Atoms(), EMT(), trajectory=path)
    with pytest.raises(MolecularDynamicsError, match=r"5 fs is too large for H.*take at most 2"):
        molecular_dynamics(water, EMT(), MolecularDynamicsSettings(timestep=5), trajectory=path)
    with pytest.raises(MissingCellError, match="crystal"):
        molecular_dynamics(water, EMT(), MolecularDynamicsSettings(ensemble="npt"), trajectory=path)
    with pytest.raises(MolecularDynamicsError, match=r"set atoms\.calc"):
        molecular_dynamics(copper, trajectory=path)
    titanium = bulk("Ti", "hcp", a=2.95, c=4.68) * (2, 2, 2)
    free = MolecularDynamicsSettings(ensemble="npt", cell="anisotropic")
    with pytest.raises(MolecularDynamicsError, match=r"a and b are at 120\.0°"):
        molecular_dynamics(titanium, EMT(), free, trajectory=path)
    check_structure(titanium, replace(free, mask=(False, False, True)))  # c is perpendicular to both
    copper.set_constraint(FixAtoms([0]))
    with pytest.raises(MolecularDynamicsError, match="constraints"):
        molecular_dynamics(copper, EMT(), MolecularDynamicsSettings(ensemble="npt"), trajectory=path)
    broken = Exploding("nan")
    broken.calls = 100
    with pytest.raises(MolecularDynamicsError, match="not finite at the start"):
        molecular_dynamics(bulk("Cu", cubic=True), broken, trajectory=tmp_path / "broken.traj")
    assert not path.exists()


def test_fixed_atoms_stay(copper: Atoms, tmp_path: Path) -> None:
    copper.set_constraint(FixAtoms([0]))
    run = molecular_dynamics(
        copper, EMT(), MolecularDynamicsSettings(steps=20, temperature=500), trajectory=tmp_path / "md.traj"
    )
    assert run.problem is None
    with TrajectoryFile(tmp_path / "md.traj") as frames:
        np.testing.assert_array_equal(frames[-1].positions[0], copper.positions[0])
        assert np.abs(frames[-1].positions[1] - copper.positions[1]).max() > 1e-3
