"""Distillation with EMT as the teacher: what is made, what is left out, and that a kill changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.datasets import open_dataset
from torch_gptff.errors import ConfigError, DistillationError, SingularCellError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.convert import to_ase
from torch_gptff.nn import ZBLRepulsion
from torch_gptff.report import Report
from torch_gptff.training.distillation import Distillation, DistillationSettings, Teacher, distill, make_teacher, run
from torch_gptff.training.distillation.coverage import Coverage, PairCoverage, kind_of
from torch_gptff.training.distillation.limits import strongest_repulsion

FEW = DistillationSettings(
    strained=2, rattled=2, rescaled=1, temperatures=(600.0,), md_steps=10, md_interval=5, md_length=3
)


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, which take longer than the rest; those of ``made`` are there."""
    monkeypatch.setattr(run, "coverage_page", lambda coverage, job: Report("without pictures"))


def seeds() -> list[Atoms]:
    mixed = bulk("Cu", cubic=True)
    mixed.numbers[0] = 13
    return [bulk("Cu"), bulk("Al", cubic=True), mixed]


def frames_of(path: Path) -> list:
    return list(open_dataset(path))


def same(one: Path, other: Path) -> bool:
    """Whether two datasets hold the same frames, to the last bit."""
    pairs = list(zip(frames_of(one), frames_of(other), strict=True))
    keys = ("z", "pos", "cell", "energy", "forces", "stress")
    return all(a.frame_id == b.frame_id and all(torch.equal(a[key], b[key]) for key in keys) for a, b in pairs)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Distillation:
    """A distillation that no test changes, with pictures on its page."""
    return distill(seeds(), "emt", tmp_path_factory.mktemp("made"), FEW)


@pytest.fixture(scope="module")
def of_copper(tmp_path_factory: pytest.TempPathFactory) -> Distillation:
    """The same of the first seed alone."""
    return distill(seeds()[:1], "emt", tmp_path_factory.mktemp("copper"), FEW)


def test_the_labels_are_the_teachers(made: Distillation) -> None:
    frames = frames_of(made.dataset)
    assert len(frames) == made.coverage.n_frames == 3 * (1 + 2 + 2 + 1 + 2)
    for frame in frames:
        atoms = to_ase(frame)
        atoms.calc = EMT()
        assert frame.energy.item() == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=1e-5)
        np.testing.assert_allclose(frame.stress[0], atoms.get_stress(voigt=False), atol=1e-6)
        assert frame.source == "emt"
    assert {kind_of(frame.frame_id) for frame in frames} == {"seed", "strained", "rattled", "rescaled", "dynamics"}
    assert len({frame.frame_id for frame in frames}) == len(frames)


def test_copies_are_out_of_equilibrium(of_copper: Distillation) -> None:
    for frame in frames_of(of_copper.dataset):
        kind, size = kind_of(frame.frame_id), frame.forces.abs().max()
        assert (size > 1e-3) == (kind in ("rattled", "dynamics")), kind  # one atom alone feels no force
        if kind == "rattled":
            assert len(frame.z) >= 4


def test_the_same_again_and_other_seeds(made: Distillation, tmp_path: Path) -> None:
    assert same(made.dataset, distill(seeds(), "emt", tmp_path / "again", FEW).dataset)
    other = DistillationSettings(**{**FEW.__dict__, "seed": 1})
    assert not same(made.dataset, distill(seeds(), "emt", tmp_path / "other", other).dataset)


def test_more_of_one_kind_leaves_the_others_as_they_are(of_copper: Distillation, tmp_path: Path) -> None:
    more = DistillationSettings(**{**FEW.__dict__, "strained": 4})
    larger = distill(seeds()[:1], "emt", tmp_path, more)
    by_name = {frame.frame_id: frame.pos for frame in frames_of(larger.dataset)}
    assert all(torch.equal(by_name[frame.frame_id], frame.pos) for frame in frames_of(of_copper.dataset))


class Killed(BaseException):
    """As of a process that is killed: nothing catches it."""


@pytest.mark.parametrize("after", [3, 12, 20, 40])
def test_a_killed_run_goes_on_with_the_same_result(
    after: int, made: Distillation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SEEDS_PER_PART", 1)

    class Mortal(EMT):
        calls = 0

        def calculate(self, *arguments: object) -> None:
            Mortal.calls += 1
            if Mortal.calls == after:
                raise Killed
            super().calculate(*arguments)

    teacher = Teacher("emt", Mortal())
    with pytest.raises(Killed):
        distill(seeds(), teacher, tmp_path / "killed", FEW)
    assert not (tmp_path / "killed" / "dataset").exists()
    calls = Mortal.calls
    resumed = distill(seeds(), teacher, tmp_path / "killed", FEW)
    assert same(made.dataset, resumed.dataset)
    assert resumed.coverage.to_dict() == made.coverage.to_dict()
    finished = Mortal.calls
    distill(seeds(), teacher, tmp_path / "killed", FEW)
    assert Mortal.calls == finished  # nothing is done again
    assert calls < finished


def test_a_folder_of_another_distillation_is_refused(tmp_path: Path) -> None:
    distill(seeds()[:1], "emt", tmp_path / "out", FEW)
    with pytest.raises(DistillationError, match="belongs to a distillation with other seeds: name another folder"):
        distill(seeds(), "emt", tmp_path / "out", FEW)
    with pytest.raises(DistillationError, match="other settings"):
        distill(seeds()[:1], "emt", tmp_path / "out", DistillationSettings())
    with pytest.raises(DistillationError, match="other teacher"):
        distill(seeds()[:1], make_teacher("emt", {"asap_cutoff": True}), tmp_path / "out", FEW)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.pt").write_text("one")
    teacher = Teacher("emt", EMT(), {}, tmp_path / "weights")
    distill(seeds()[:1], teacher, tmp_path / "read", FEW)
    (tmp_path / "weights" / "model.pt").write_text("two")
    with pytest.raises(DistillationError, match="other teacher"):
        distill(seeds()[:1], teacher, tmp_path / "read", FEW)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(DistillationError, match="holds files of something else"):
        distill(seeds(), "emt", tmp_path / "mine", FEW)


# -- what is left out


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    tight = DistillationSettings(
        rattled=8, rattle=(0.02, 0.5), temperatures=(), max_force=3.0, max_stress=10.0, substituted=1
    )
    result = distill([*seeds(), bulk("Cu", a=3.0), Atoms("Cu", cell=[9, 9, 9])], "emt", tmp_path, tight)
    left_out = result.coverage.left_out
    assert left_out["force above the limit"] > 0
    assert left_out["stress above the limit"] > 0
    assert left_out["no periods to strain"] == 5 + 2
    assert any(reason.startswith("the teacher failed: NotImplementedError") for reason in left_out)  # not in EMT
    made = 5 * (1 + 5 + 8 + 2 + 1)
    assert result.coverage.n_frames + sum(left_out.values()) == made
    assert json.loads((tmp_path / "coverage.json").read_text())["left_out"] == left_out
    for frame in frames_of(result.dataset):
        assert frame.forces.norm(dim=1).max() <= 3.0
        assert frame.stress.isnan().all() or frame.stress.abs().max() * 160.21766 <= 10.0


def test_atoms_too_close_are_left_out_before_the_teacher_sees_them(tmp_path: Path) -> None:
    class Sees(EMT):
        def calculate(self, atoms: Atoms, *arguments: object) -> None:
            assert atoms.get_all_distances(mic=True)[0, 1] > 0.62 * 2 * 1.32
            super().calculate(atoms, *arguments)

    close = Atoms("Cu2", positions=[[0, 0, 0], [1.5, 0, 0]], cell=[8, 8, 8], pbc=True)
    far = Atoms("Cu2", positions=[[0, 0, 0], [2.3, 0, 0]], cell=[8, 8, 8], pbc=True)
    few = DistillationSettings(
        strained=0, rattled=3, rattle=(0.01, 0.02), rattled_atoms=2, rescaled=0, md_steps=10, md_interval=5
    )
    result = distill([close, far], Sees(), tmp_path, few)
    assert result.coverage.left_out["atoms too close"] == 4
    assert result.coverage.pairs["Cu–Cu"].closest > 1.64


def test_collided_copies_are_nearer_than_others_may_be(tmp_path: Path) -> None:
    none = DistillationSettings(unchanged=False, strained=0, rattled=0, rescaled=0, temperatures=())
    only = replace(none, collided=30, max_force=1e3)
    result = distill([bulk("Cu")], "emt", tmp_path, only)
    frames = frames_of(result.dataset)
    assert {kind_of(frame.frame_id) for frame in frames} == {"collided"}, "the seed is not among them"
    assert len(frames) + sum(result.coverage.left_out.values()) == 30
    assert {len(frame.z) for frame in frames} == {8}
    nearest = [min(to_ase(frame).get_all_distances(mic=True)[np.triu_indices(8, 1)]) / 2.64 for frame in frames]
    assert min(nearest) > 0.45
    assert sum(each < 0.62 for each in nearest) > 5
    with pytest.raises(DistillationError, match=r"no frame is left .*30 × an atom has no neighbour to collide with"):
        distill([Atoms("Cu", cell=[9, 9, 9])], "emt", tmp_path / "lone", only)


def test_a_hole_of_the_teacher_is_not_learned(tmp_path: Path) -> None:
    """A teacher without any force does not say how near is too near: the repulsion of nuclei does."""

    class Ghost(EMT):
        def calculate(self, atoms: Atoms, *arguments: object) -> None:
            super().calculate(atoms, *arguments)
            self.results["forces"] = np.zeros((len(atoms), 3))
            self.results["stress"] = np.zeros(6)

    only = DistillationSettings(unchanged=False, strained=0, rattled=0, rescaled=0, temperatures=(), collided=40)
    result = distill([bulk("Cu")], Ghost(), tmp_path, only)
    assert result.coverage.left_out["nuclei repel each other above the limit of forces"] > 5
    frames = [to_ase(frame) for frame in frames_of(result.dataset)]
    assert max(strongest_repulsion(atoms) for atoms in frames) <= only.max_force
    assert min(atoms.get_all_distances(mic=True)[np.triu_indices(8, 1)].min() for atoms in frames) > 0.55 * 2.64


def test_the_strongest_repulsion_is_the_slope_of_that_of_nuclei() -> None:
    energies = []
    for distance in (1.4999, 1.5, 1.5001):
        pair = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, distance]])
        data = CrystalData.from_ase(pair)
        vectors = torch.tensor([[0, 0, distance], [0, 0, -distance]])
        energies.append(ZBLRepulsion(5.0)(data.z, torch.tensor([[0, 1], [1, 0]]), vectors).sum().item())
    assert strongest_repulsion(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1.5]])) == pytest.approx(
        (energies[0] - energies[2]) / 2e-4, rel=1e-3
    )
    assert strongest_repulsion(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 3]])) == 0


def test_dynamics_that_leaves_the_limits_stops(tmp_path: Path) -> None:
    hot = DistillationSettings(strained=0, rattled=0, rescaled=0, temperatures=(30_000.0,), md_steps=200, md_interval=2)
    left_out = distill([bulk("Cu", cubic=True)], "emt", tmp_path, hot).coverage.left_out
    assert any(reason.startswith("molecular dynamics stopped") for reason in left_out)


def test_nothing_left_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        DistillationError, match=r"no frame is left of 1 seeds .*the teacher failed: NotImplementedError"
    ):
        distill([bulk("Si")], "emt", tmp_path, FEW)


def test_seeds_that_are_no_structures(tmp_path: Path) -> None:
    with pytest.raises(DistillationError, match="no seed structures"):
        distill([], "emt", tmp_path / "out", FEW)
    with pytest.raises(SingularCellError, match="seed Cu-1"):
        distill(
            [bulk("Cu"), Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)], "emt", tmp_path / "out", FEW
        )
    assert not (tmp_path / "out").exists()


# -- selection


def committee(n: int = 3) -> Potential:
    settings = {"channels": 4, "num_layers": 1, "num_radial": 3, "feedforward_channels": 8}
    return Potential(GPTFF(GPTFFConfig(**settings, num_readouts=n)))


def test_the_structures_on_which_students_disagree_most(made: Distillation, tmp_path: Path) -> None:
    student = committee()
    frames = frames_of(made.dataset)
    spread = [float(p.forces_std.max()) for p in student.predict(frames, forces_std=True)]
    ranked = sorted(range(len(frames)), key=lambda number: -spread[number])
    chosen = distill(seeds(), "emt", tmp_path / "some", FEW, students=[student], keep=6)
    kept = {frame.frame_id for frame in frames_of(chosen.dataset)}
    assert kept == {frames[number].frame_id for number in ranked[:6]}


def test_an_ensemble_of_models(tmp_path: Path) -> None:
    students = [committee(1), committee(1)]
    frames = frames_of(distill(seeds(), "emt", tmp_path / "some", FEW, students=students, keep=5).dataset)
    assert len(frames) == 5


def test_one_model_cannot_disagree(tmp_path: Path) -> None:
    with pytest.raises(DistillationError, match="one student with one readout cannot disagree"):
        distill(seeds(), "emt", tmp_path, FEW, students=[committee(1)], keep=5)
    for students, keep in (([committee()], None), ([], 5)):
        with pytest.raises(DistillationError, match="go together"):
            distill(seeds(), "emt", tmp_path, FEW, students=students, keep=keep)


# -- formats and structures of other kinds


def test_as_extended_xyz(of_copper: Distillation, tmp_path: Path) -> None:
    other = distill(seeds()[:1], "emt", tmp_path, FEW, extxyz=True)
    assert other.dataset.name == "frames.extxyz"
    assert same(of_copper.dataset, other.dataset)


def test_molecules_have_no_stress(tmp_path: Path) -> None:
    result = distill([molecule("CH3OH")], LennardJones(sigma=1.0, epsilon=0.1), tmp_path, FEW)
    frames = frames_of(result.dataset)
    assert all(bool(frame.stress.isnan().all()) for frame in frames)
    assert result.coverage.kinds == {"seed": 1, "rattled": 2, "dynamics": 2}


def test_one_atom_alone(tmp_path: Path) -> None:
    result = distill([Atoms("Cu", cell=[9, 9, 9])], "emt", tmp_path, FEW)
    assert result.coverage.pairs == {}
    assert result.coverage.kinds["seed"] == 1


def test_the_coverage(made: Distillation) -> None:
    coverage, folder = made.coverage, made.dataset.parent
    assert list(coverage.elements) == ["Al", "Cu"]
    frames = frames_of(made.dataset)
    assert coverage.elements["Al"][1] == sum(int((frame.z == 13).sum()) for frame in frames)
    assert set(coverage.pairs) == {"Al–Al", "Al–Cu", "Cu–Cu"}
    closest = min(
        float(distance)
        for frame in frames
        if set(frame.z.tolist()) == {13}
        for distance in to_ase(frame).repeat(2).get_all_distances(mic=True)[0][1:]
    )
    assert coverage.pairs["Al–Al"].closest <= closest + 1e-4
    written = json.loads((folder / "coverage.json").read_text())
    assert written["n_frames"] == len(frames)
    assert written["quantiles"]["force components, eV/Å"]["largest"] > 0.1
    again = Coverage.from_dict(written)
    assert again.to_dict() == coverage.to_dict()
    forces = np.concatenate([frame.forces.numpy().ravel() for frame in frames])
    counted = again.distributions["force components, eV/Å"]
    assert counted.counts.sum() == pytest.approx((1 - counted.beyond) * len(forces))
    assert counted.quantiles["median"] == pytest.approx(np.median(forces), abs=1e-6)
    assert list(again.to_dataframe()["elements"]) == [2]
    page = (folder / "coverage.html").read_text()
    assert "A distilled dataset" in page
    assert "Al–Cu" in page


def test_the_terminal_is_told_of_the_closest_pairs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large atoms and small ones, those nearest to each other by the sum of their radii (C 0.76, Cs 2.44 Å)."""
    pairs = {"Cs–Cs": PairCoverage(3, 4.0), "C–C": PairCoverage(2, 1.4), "C–Cs": PairCoverage(1, 2.5)}
    coverage = Coverage(1, 3, 9, {}, {}, {}, pairs, {})
    assert "closest neighbours: C–Cs 2.50 Å, Cs–Cs 4.00 Å, C–C 1.40 Å\n" in f"{coverage}\n"
    monkeypatch.setattr("torch_gptff.training.distillation.coverage.SHOWN", 2)
    assert "closest neighbours: C–Cs 2.50 Å, Cs–Cs 4.00 Å and 1 more\n" in f"{coverage}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strained": -1}, "strained must not be negative"),
        ({"md_interval": 0}, "md_interval must be positive"),
        ({"volume": (1.2, 0.8)}, "volume must be a range"),
        ({"volume": (0.0, 0.8)}, "volume must be a range"),
        ({"temperatures": (0.0,)}, "temperatures must be positive"),
        ({"among": ("Cu", "Kryptonite")}, "no elements: Kryptonite"),
    ],
)
def test_settings_out_of_range(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DistillationSettings(**change)
