"""Evaluation: the errors are those of the predictions, whatever is known, in whatever batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from torch_gptff import GPTFF, GPTFFConfig, Potential, load_pretrained
from torch_gptff.datasets import make_frame, read_frames
from torch_gptff.errors import DatasetError, GPTFFError, NoLabelsError, UnsupportedElementError
from torch_gptff.evaluation import Compared, Evaluation, Scores, evaluate
from torch_gptff.graph import CrystalData, PeriodicRadiusGraph


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(1)
    return Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4)), {11: -1.0, 17: -2.0}).double().eval()


def crystals(n_frames: int = 6) -> list[CrystalData]:
    """Rattled rocksalt, with some chlorine replaced by sodium, without labels."""
    frames = []
    for number in range(n_frames):
        atoms = bulk("NaCl", "rocksalt", a=5.5 + 0.1 * number, cubic=number % 2 == 0)
        if number % 3 == 0:
            atoms.symbols[1] = "Na"
        atoms.rattle(0.1, seed=number)
        frames.append(
            make_frame(atoms.numbers, atoms.positions, atoms.cell.array, True, where="test", source="one",
                       frame_id=f"frame-{number}")
        )  # fmt: skip
    return frames


@pytest.fixture
def frames(potential: Potential) -> list[CrystalData]:
    """Frames whose labels are the predictions themselves."""
    labelled = crystals()
    for frame, prediction in zip(labelled, potential.predict(labelled), strict=True):
        frame.energy, frame.forces, frame.stress = prediction.energy, prediction.forces, prediction.stress
    return labelled


def test_known_errors_are_found(potential: Potential, frames: list[CrystalData]) -> None:
    for frame in frames:
        frame.energy = frame.energy - 0.25 * len(frame.z)
        frame.forces = frame.forces + 0.5
        frame.stress = frame.stress - 0.01
    evaluation = evaluate(potential, frames)
    n_atoms = sum(len(frame.z) for frame in frames)
    expected = Scores(pytest.approx(0.25), pytest.approx(0.5), pytest.approx(0.01))
    assert evaluation.mae == expected
    assert evaluation.rmse == expected
    assert evaluation.counts == {
        "frames": 6, "atoms": n_atoms, "energy_per_atom": 6, "forces": 3 * n_atoms, "stress": 54,
    }  # fmt: skip
    assert all(frame.energy_per_atom == pytest.approx(0.25) for frame in evaluation.frame_errors)
    assert all(frame.force == pytest.approx(0.5 * 3**0.5) for frame in evaluation.frame_errors)


def test_scores_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    known, frame = rng.normal(3.0, size=(40, 3)), np.sort(rng.integers(8, size=40))
    predicted = known + rng.normal(0.1, 0.3, size=(40, 3))
    known[5, 1] = np.nan
    sums = Compared(known, predicted, frame).sums(8)
    rows = np.delete(np.arange(40), 5)
    error, true = (predicted - known)[rows], known[rows]
    assert sums.number == 39 * 3
    assert sums.mae() == pytest.approx(np.abs(error).mean())
    assert sums.rmse() == pytest.approx((error**2).mean() ** 0.5)
    assert sums.r2() == pytest.approx(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum())


def test_standard_errors_are_those_of_independent_frames() -> None:
    """For one value a frame, the mean's is known: σ/√F."""
    rng = np.random.default_rng(1)
    error = rng.normal(size=900)
    values = Compared(np.zeros(900), error, np.arange(900))
    errors = values.sums(900).standard_errors()
    assert errors["mae"] == pytest.approx(np.abs(error).std() / 30, rel=0.2)
    assert errors["rmse"] == pytest.approx(1 / 1800**0.5, rel=0.2)
    assert errors["r2"] is None, "all known values are the same"
    tenfold = Compared(np.zeros(9000), error.repeat(10), np.arange(900).repeat(10))
    assert tenfold.sums(900).standard_errors()["mae"] == pytest.approx(errors["mae"]), "copies are no news"
    assert Compared(np.zeros(3), np.ones(3), np.zeros(3, int)).sums(1).standard_errors()["mae"] is None


def test_what_is_not_known_is_left_out(potential: Potential, frames: list[CrystalData]) -> None:
    frames[0].energy = frames[0].energy * torch.nan
    frames[1].forces = frames[1].forces * torch.nan
    for frame in frames:
        frame.stress = frame.stress * torch.nan
    frames[0].forces = frames[0].forces + 1.0
    evaluation = evaluate(potential, frames)
    assert evaluation.mae.energy_per_atom == pytest.approx(0, abs=1e-12)
    assert evaluation.mae.stress is None
    assert evaluation.rmse.stress is None
    assert evaluation.r2.stress is None
    known = sum(len(frame.z) for frame in frames) - len(frames[1].z)
    assert evaluation.counts["energy_per_atom"] == 5
    assert evaluation.counts["forces"] == 3 * known
    assert evaluation.mae.forces == pytest.approx(len(frames[0].z) / known)
    assert evaluation.frame_errors[0].energy_per_atom is None
    assert evaluation.frame_errors[1].force is None
    assert [frame.frame_id for frame in evaluation.worst("force", 1)] == ["frame-0"]
    assert evaluation.worst("stress") == []


def test_frames_are_taken_as_they_come(
    potential: Potential, frames: list[CrystalData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("torch_gptff.evaluation.evaluate"), "FRAMES_AT_ONCE", 4)
    taken, done = [], []

    def stream() -> Iterator[CrystalData]:
        for frame in frames:
            taken.append(frame.frame_id)
            yield frame

    def progress(number: int) -> None:
        done.append((number, len(taken)))

    in_groups = evaluate(potential, stream(), max_bonds=1, progress=progress)
    assert done == [(number, number) for number in range(1, 7)], "none is read ahead"
    at_once = evaluate(potential, frames)
    np.testing.assert_allclose(in_groups.forces.predicted, at_once.forces.predicted, atol=1e-12)
    assert in_groups.frame_id == at_once.frame_id


def test_graphs_that_frames_bring_are_not_used(potential: Potential, frames: list[CrystalData]) -> None:
    short = [PeriodicRadiusGraph(3.0)(frame) for frame in frames]
    assert evaluate(potential, short).mae.forces == pytest.approx(0, abs=1e-12)


def test_errors_by_element_and_by_source(potential: Potential, frames: list[CrystalData]) -> None:
    for number, frame in enumerate(frames):
        frame.source = "even" if number % 2 == 0 else "odd"
        frame.forces[frame.z == 11] += 0.5
        frame.energy = frame.energy + (number % 2) * 0.1 * len(frame.z)
    evaluation = evaluate(potential, frames)
    elements = evaluation.by_element()
    assert elements[11].mae.forces == pytest.approx(0.5)
    assert elements[17].mae.forces == pytest.approx(0, abs=1e-12)
    assert elements[17].n_atoms == int(sum((frame.z == 17).sum() for frame in frames))
    assert elements[11].n_frames == 6
    assert elements[17].n_frames == sum(bool((frame.z == 17).any()) for frame in frames) < 6
    sources = evaluation.by_source()
    assert list(sources) == ["even", "odd"]
    assert sources["even"].mae.energy_per_atom == pytest.approx(0, abs=1e-12)
    assert sources["odd"].mae.energy_per_atom == pytest.approx(0.1)
    assert sources["odd"].rmse.energy_per_atom == pytest.approx(0.1)
    assert sources["even"].n_atoms + sources["odd"].n_atoms == len(evaluation.numbers)


def shifted(frames: list[CrystalData], shifts: dict[str, dict[int, float]]) -> None:
    for frame in frames:
        frame.energy = frame.energy + sum(shifts[frame.source][number] for number in frame.z.tolist())


def test_other_references_are_aligned_for_each_source(potential: Potential, frames: list[CrystalData]) -> None:
    shifts = {"one": {11: 1.5, 17: -0.5}, "two": {11: -3.0, 17: 2.0}}
    for number, frame in enumerate(frames):
        frame.source = "one" if number < 4 else "two"
    frames[5].z[:] = 11
    frames[5].energy = potential.predict([frames[5]])[0].energy
    shifted(frames, shifts)
    evaluation = evaluate(potential, frames, energy_shift="elements")
    assert evaluation.mae.energy_per_atom > 0.3
    assert evaluation.aligned is not None
    assert evaluation.aligned.mae.energy_per_atom == pytest.approx(0, abs=1e-10)
    assert evaluation.aligned.mae.forces == evaluation.mae.forces
    for source, expected in shifts.items():
        assert evaluation.element_shifts[source] == pytest.approx(expected)
    assert evaluate(potential, frames).aligned is None


def test_many_sources_are_names_and_share_their_shifts(potential: Potential) -> None:
    frames = crystals(60)
    for frame, prediction in zip(frames, potential.predict(frames), strict=True):
        frame.source, frame.energy = frame.frame_id, prediction.energy
    frames[7].energy = frames[7].energy + len(frames[7].z)
    evaluation = evaluate(potential, frames, energy_shift="elements")
    assert list(evaluation.element_shifts) == ["all sources"]
    assert max(abs(frame.energy_per_atom) for frame in evaluation.aligned.frame_errors) > 0.5


def test_a_frame_that_cannot_be_predicted_is_named(potential: Potential, frames: list[CrystalData]) -> None:
    model = GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4)).double()
    model.elements = frozenset({11, 17})
    frames[3].z[0] = 3
    with pytest.raises(UnsupportedElementError, match=r"^frame-3: .*Li \(Z = 3\)"):
        evaluate(Potential(model), frames)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(GPTFFError, match=r"^frame-0: the model gives an energy or forces that are not"):
        evaluate(Potential(model), frames[:3])


def test_a_frame_that_cannot_be_read_keeps_its_message(potential: Potential, frames: list[CrystalData]) -> None:
    def stream() -> Iterator[CrystalData]:
        yield frames[0]
        raise DatasetError("file.json, entry 1: damaged")

    with pytest.raises(DatasetError, match=r"^file\.json, entry 1: damaged"):
        evaluate(potential, stream())


def test_nothing_to_compare_with(potential: Potential) -> None:
    with pytest.raises(DatasetError, match="no frames"):
        evaluate(potential, [])
    with pytest.raises(NoLabelsError, match="of 6 frames, none has a known energy"):
        evaluate(potential, crystals())


def test_saved_and_loaded(potential: Potential, frames: list[CrystalData], tmp_path: Path) -> None:
    frames[2].stress = frames[2].stress * torch.nan
    frames[2].energy = frames[2].energy + 1.0
    evaluation = evaluate(potential, frames, energy_shift="elements")
    evaluation.save(tmp_path / "errors.json")
    document = json.loads((tmp_path / "errors.json").read_text(encoding="utf-8"))
    assert document["mae"] == evaluation.mae.to_dict()
    assert document["rmse"] == evaluation.rmse.to_dict()
    assert document["counts"] == evaluation.counts
    assert document["aligned"]["mae"]["energy_per_atom"] == evaluation.aligned.mae.energy_per_atom
    assert set(document["by_element"]) == {"Na", "Cl"}
    assert document["worst"]["energy_per_atom"][0]["frame_id"] == "frame-2"
    for name in ("errors.json", "errors.npz"):
        again = Evaluation.load(tmp_path / name)
        assert again.to_dict() == document == evaluation.to_dict()
        np.testing.assert_array_equal(again.forces.predicted, evaluation.forces.predicted)
        assert again.element_shifts == evaluation.element_shifts


def test_a_summary_alone_and_damaged_files_are_refused(
    potential: Potential, frames: list[CrystalData], tmp_path: Path
) -> None:
    evaluation = evaluate(potential, frames)
    evaluation.save(tmp_path / "alone.json", arrays=False)
    with pytest.raises(FileNotFoundError, match=r"alone\.npz"):
        Evaluation.load(tmp_path / "alone.json")
    evaluation.save(tmp_path / "cut.json")
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"cut\.npz: not an evaluation, or damaged"):
        Evaluation.load(tmp_path / "cut.json")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(DatasetError, match=r"other\.npz: not an evaluation, or damaged"):
        Evaluation.load(tmp_path / "other.npz")


@pytest.mark.parametrize(("element", "force"), [("Si", 0.348)])
def test_a_published_checkpoint_has_its_published_errors(shared_data: Path, element: str, force: float) -> None:
    potential = load_pretrained(shared_data / "pretrained" / "gptff_v1.pth").float()
    evaluation = evaluate(potential, read_frames(shared_data / "data" / "mlearn" / element / "test.json"))
    assert evaluation.mae.forces == pytest.approx(force, abs=1e-3)
    assert evaluation.counts["frames"] == 25
