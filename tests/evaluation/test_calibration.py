"""Uncertainties beside errors: of a model whose errors are drawn from its own uncertainties, and of ones that fail."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from ase.build import bulk

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import TrainingError, UncertainPredictionWarning
from torch_gptff.evaluation.calibration import calibrate
from torch_gptff.graph import CrystalData
from torch_gptff.prediction import Calibration
from torch_gptff.workflows import Phase, convex_hull, equation_of_state, relax, relax_many

SMALL = {"channels": 8, "num_layers": 2, "num_radial": 4, "cutoff": 4.5}


def committee(num_readouts: int = 4) -> Potential:
    return Potential(GPTFF(GPTFFConfig(**SMALL, num_readouts=num_readouts)))


def frames_of(potential: Potential, energy: float, forces: float, tails: bool = False) -> list[CrystalData]:
    """Crystals whose labels are off by so many times the uncertainty, drawn at random."""
    generator = torch.Generator().manual_seed(0)
    frames = []
    for seed in range(60):
        atoms = bulk(("Cu", "Al", "Si")[seed % 3]) * (2, 1, 1)
        atoms.rattle(0.02 + 0.003 * seed, seed=seed)
        data = CrystalData.from_ase(atoms)
        found = potential.predict([data], energy_std=True, forces_std=True)[0]
        draws = torch.randn(3 * len(atoms) + 1, generator=generator, dtype=torch.float64)
        if tails:
            draws = torch.where(draws.abs() < 1.5, 0.2 * draws, 2.5 * draws)
        data.energy = found.energy + energy * draws[0] * found.energy_std
        data.forces = found.forces + forces * draws[1:].reshape(-1, 3) * found.forces_std.unsqueeze(1)
        frames.append(data)
    return frames


def test_factors_by_which_errors_exceed_the_spread():
    potential = committee()
    frames = frames_of(potential, energy=3.0, forces=0.5)
    potential.calibration = Calibration(energy=100.0, forces=100.0)  # replaced
    report = calibrate(potential, frames)
    assert report.energy.factor == pytest.approx(3.0, rel=0.25)
    assert report.forces.factor == pytest.approx(0.5, rel=0.1)
    found = potential.calibration
    assert (found.energy, found.forces) == (report.energy.factor, report.forces.factor)
    assert report.forces.within_two == pytest.approx(0.95, abs=0.03)
    assert report.energy.number == 60
    assert report.forces.number == 20 * (6 + 6 + 12)
    assert report.forces.rank_correlation > 0.2
    assert "forces" in str(report)


def test_two_in_three_errors_lie_within_the_uncertainty():
    potential = committee()
    frames = frames_of(potential, energy=3.0, forces=0.5)
    calibrate(potential, frames)
    found = potential.predict(frames, energy_std=True, forces_std=True)
    energies = [(p.energy - f.energy).abs() <= p.energy_std for p, f in zip(found, frames, strict=True)]
    forces = [(p.forces - f.forces).abs() <= p.forces_std[:, None] for p, f in zip(found, frames, strict=True)]
    for within in (energies, forces):
        part = torch.cat(within).double().mean().item()
        assert part == pytest.approx(0.683, abs=0.02)


def test_a_few_frames_that_are_far_off_do_not_decide():
    potential = committee()
    frames = frames_of(potential, 3.0, 0.5)
    expected = calibrate(potential, frames)
    for frame in frames[:3]:
        frame.energy = frame.energy + 1e3
        frame.forces = 1e3 * frame.forces
    report = calibrate(potential, frames)
    assert report.energy.factor == pytest.approx(expected.energy.factor, rel=0.25)
    assert report.forces.factor == pytest.approx(expected.forces.factor, rel=0.15)


def test_one_atom_on_which_the_members_agree_does_not_decide():
    potential = committee()
    frames = frames_of(potential, 3.0, 0.5)
    expected = calibrate(potential, frames).forces.factor
    agreed = CrystalData.from_ase(bulk("Cu"))  # by symmetry its force is zero, to rounding
    agreed.energy, agreed.forces = torch.tensor([1.0]), torch.full((1, 3), 2e-5)
    assert calibrate(potential, [*frames, agreed]).forces.factor == pytest.approx(expected, rel=0.01)


def test_features_of_atoms_tell_errors_that_the_members_do_not():
    """Compounds of heavy elements are ten times as wrong as others; no formula is in two folds."""
    torch.manual_seed(0)
    potential, generator, frames = committee(), torch.Generator().manual_seed(0), []
    symbols = ("Li", "Na", "Mg", "Al", "Si", "Ca", "Cu", "Zn", "Ga", "Sr", "Ag", "Cd", "In", "Ba", "Au", "Pb")
    for number, pair in enumerate(itertools.permutations(symbols, 2)):
        data = CrystalData.from_ase(bulk("".join(pair), "cesiumchloride", a=3.2 + 0.01 * (number % 7)))
        size = 0.2 if "Au" in pair or "Pb" in pair or "Ba" in pair else 0.02
        found = potential.predict([data])[0]
        data.energy = found.energy + size * torch.randn(1, generator=generator, dtype=torch.float64)
        data.forces = found.forces + torch.randn(2, 3, generator=generator)
        frames.append(data)
    report = calibrate(potential, frames)
    assert report.by_features
    assert report.energy.rank_correlation > 0.3
    assert (
        0.6
        < sum(
            (each.energy - frame.energy).abs().item() < each.energy_std.item()
            for each, frame in zip(potential.predict(frames, energy_std=True), frames, strict=True)
        )
        / len(frames)
        < 0.8
    )
    gold, copper = bulk("AuLi", "cesiumchloride", a=3.2), bulk("CuLi", "cesiumchloride", a=3.2)
    found = [each.energy_std.item() for each in potential.predict([gold, copper, copper * (2, 1, 1)], energy_std=True)]
    assert found[0] > 1.5 * found[1]
    assert found[2] == pytest.approx(2 * found[1], rel=1e-4)
    assert potential.predict([gold], energy_std=True, forces_std=True)[0].energy_std.item() == pytest.approx(found[0])


def test_few_frames_tell_nothing_of_features():
    potential = committee()
    assert not calibrate(potential, frames_of(potential, 3.0, 0.5)).by_features
    assert potential.calibration.errors is None


def test_tails_show_in_the_coverage():
    potential = committee()
    report = calibrate(potential, frames_of(potential, 1.0, 1.0, tails=True))
    assert report.forces.within_two < 0.93


def test_what_is_not_known_is_left_out():
    potential = committee()
    frames = frames_of(potential, 3.0, 0.5)
    for frame in frames[::2]:
        frame.energy = torch.full((1,), math.nan)
    for frame in frames[::3]:
        frame.forces = torch.full_like(frame.forces, math.nan)
    report = calibrate(potential, frames)
    assert report.energy.number == 30
    assert report.forces.number == 20 * (6 + 12)


def test_forces_that_symmetry_forbids_tell_nothing():
    potential = committee()
    frames = frames_of(potential, 3.0, 0.5)
    still = CrystalData.from_ase(bulk("Cu"))
    still.energy, still.forces = torch.tensor([1.0]), torch.zeros(1, 3)
    assert calibrate(potential, [*frames, still]).forces.number == 20 * (6 + 6 + 12)


def test_what_cannot_be_calibrated():
    potential = committee()
    frames = frames_of(potential, 3.0, 0.5)[:3]
    with pytest.raises(TrainingError, match="one readout"):
        calibrate(Potential(GPTFF(GPTFFConfig(**SMALL))), frames)
    with pytest.raises(TrainingError, match="no frame to calibrate on has known energies"):
        calibrate(potential, [])
    same = committee(2)
    same.model.readout.others[0].load_state_dict(
        {name: weight for name, weight in same.model.readout.state_dict().items() if "others" not in name}
    )
    with pytest.raises(TrainingError, match="the members agree on energies to the last digit"):
        calibrate(same, frames)


def test_what_is_far_outside_of_the_calibration_is_warned_of_by_name():
    potential = committee()
    frames = frames_of(potential, energy=3.0, forces=0.5)
    calibrate(potential, frames)
    found = potential.predict(frames, energy_std=True)
    by_atom = torch.tensor([one.energy_std.item() / len(frame.z) for one, frame in zip(found, frames, strict=True)])
    seen = potential.calibration.seen
    assert by_atom.sort().values[-2] <= seen <= by_atom.max() * (1 + 1e-9)  # 60 frames, of which 99 % are below
    assert potential.doubt(seen * 2 * 1.4, 2) is None
    assert "eV/atom" in potential.doubt(seen * 2 * 1.6, 2)

    potential.calibration = Calibration(energy=3.0, forces=0.5, seen=1e-6)  # of frames that all members agreed on
    atoms = bulk("CuZn", "cesiumchloride", a=2.9)
    with pytest.warns(
        UncertainPredictionWarning, match=r"structure 0 of the list \(CuZn\): its energy is uncertain by"
    ):
        potential.predict([atoms], energy_std=True)
    atoms.calc = GPTFFCalculator(potential, device="cpu")
    with pytest.warns(UncertainPredictionWarning, match=r"the structure \(CuZn\): its energy is uncertain by"):
        atoms.get_potential_energy()
    atoms.rattle(0.01)
    atoms.get_potential_energy()  # is not told again: warnings are errors
    with pytest.warns(UncertainPredictionWarning, match=r"\(CuZn\)") as told:
        list(relax_many([atoms], potential, max_steps=3))
    assert len(told) == 1  # and not at every step
    curve = equation_of_state(atoms, potential)
    assert curve.remarks[0].startswith("DOUBTFUL: its energy is uncertain by")


def test_uncertainties_go_through_the_workflows():
    potential = committee().double()
    potential.calibration = Calibration(energy=2.0)
    atoms = bulk("CuZn", "cesiumchloride", a=2.9)
    expected = potential.predict([atoms], energy_std=True)[0].energy_std.item()
    assert relax(atoms, potential, max_steps=0).energy_std == pytest.approx(expected)
    ((_, relaxation),) = relax_many([atoms], potential, max_steps=0)
    assert relaxation.energy_std == pytest.approx(expected)
    curve = equation_of_state(atoms, potential)
    assert curve.energy_stds[6] == pytest.approx(expected)
    assert curve.energy_std == curve.energy_stds[curve.energies.argmin()]
    relaxed = equation_of_state(atoms, potential, relax_positions=True)
    assert relaxed.energy_stds[6] == pytest.approx(expected)
    elements = [Phase(name, bulk(name), -1.0, 0.02) for name in ("Cu", "Zn")]
    hull = convex_hull([*elements, Phase("CuZn", atoms, -2.5, 0.1)])
    assert [entry.energy_std_per_atom for entry in hull.entries] == [0.02, 0.01, 0.05]
    assert relax(atoms, committee(1), max_steps=0).energy_std is None
