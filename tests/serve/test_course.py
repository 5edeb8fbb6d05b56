"""The course of a job stays short, keeps its ends, and is told piece by piece."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff.report import Column, Table
from torch_gptff.report.structures import MOST_FRAMES, MOST_POSITIONS, most_frames
from torch_gptff.serve.course import MOST_POINTS, Course, Thinned
from torch_gptff.serve.watch import Watch
from torch_gptff.workflows import MolecularDynamicsFrame, RelaxationStep, equation_of_state, phonon_spectrum


@pytest.mark.parametrize("total", [1, 7, 8, 9, 16, 17, 100, 1000])
def test_what_is_kept_is_evenly_spaced(total: int) -> None:
    thinned: Thinned[int] = Thinned(8)
    for number in range(total):
        thinned.add(number)
        assert len(thinned.kept) <= 8
        assert len(set(np.diff(thinned.kept))) <= 1
        assert thinned.kept[0] == 0
    thinned.close()
    assert thinned.kept[-1] == total - 1
    thinned.close()
    assert len(thinned.kept) == len(set(thinned.kept))


def scene(n_atoms: int) -> dict[str, Any]:
    return {"symbols": ["He"] * n_atoms, "frames": []}


def test_pieces_make_the_whole() -> None:
    """Somebody who follows from the start has what somebody has who comes at the end."""
    course, seen = Course(scene(2)), (-1, 0, 0)
    followed: dict[str, Any] = {}

    def follow() -> None:
        nonlocal seen, followed
        seen, news = course.since(seen)
        if news is not None and "scene" in news:
            followed = {name: list(value) if isinstance(value, list) else value for name, value in news.items()}
        elif news is not None:
            followed["points"] += news["points"]
            followed["frames"] += news["frames"]

    follow()
    course.begin(scene(3), "step", ["energy"], most_frames(3))
    for number in range(5 * MOST_POINTS):
        course.add([[number, -number]], [{"along": number}])
        if number % 7 == 0:
            follow()
    course.close()
    follow()
    whole = course.since((-1, 0, 0))[1]
    assert followed == whole
    assert followed["points"][-1] == [5 * MOST_POINTS - 1, 1 - 5 * MOST_POINTS]
    assert len(followed["frames"]) <= MOST_FRAMES + 1
    assert course.since(seen) == (seen, None)


def test_large_structures_have_few_frames() -> None:
    course = Course(scene(10_000))
    course.begin(scene(10_000), "step", [], most_frames(10_000))
    for number in range(100):
        course.add([], [{"along": number}])
    assert len(course.frames.kept) * 10_000 <= MOST_POSITIONS


def test_a_relaxation_is_watched() -> None:
    sent: list[dict[str, Any]] = []
    watch = Watch(sent.append)
    for number in range(3):
        atoms = bulk("Cu", a=3.6 + 0.1 * number)
        step = RelaxationStep(number, -4.0 - number, 0.5, None)
        watch.told(f"step {number}", SimpleNamespace(atoms=atoms), step, None)
    watch.flush()
    (begun,) = [each for each in sent if each["event"] == "begun"]
    assert (begun["label"], begun["columns"]) == ("step", ["energy (eV/atom)", "largest force (eV/Å)"])
    told = [each for each in sent if each["event"] == "told"]
    assert [point for each in told for point in each["points"]] == [[n, -4.0 - n, 0.5] for n in range(3)]
    cells = [frame["cell"][0][1] for each in told for frame in each["frames"]]
    np.testing.assert_allclose(cells, [1.8, 1.85, 1.9])
    assert told[-1]["words"] == "step 2"
    json.dumps(sent, allow_nan=False)


def test_another_run_and_another_structure_begin_anew() -> None:
    sent: list[dict[str, Any]] = []
    watch = Watch(sent.append)

    def frame(step: int) -> MolecularDynamicsFrame:
        return MolecularDynamicsFrame(step, 2.0 * step, 300.0 + step, None, -8.0, 1.0, None)

    def begun() -> int:
        return sum(each["event"] == "begun" for each in sent)

    copper = SimpleNamespace(atoms=bulk("Cu"))
    for step in (0, 10, 20):
        watch.told("", copper, frame(step), step / 20)
    assert begun() == 1
    watch.told("", copper, frame(0), 0.0)
    assert begun() == 2
    watch.told("", SimpleNamespace(atoms=bulk("Cu") * 2), frame(10), 0.5)
    assert begun() == 3
    watch.told("volume 1 of 5", copper, None, 0.2)
    watch.told("loading", None, None, None)
    watch.flush()
    assert begun() == 3
    points = [point for each in sent if each["event"] == "told" for point in each["points"]]
    assert points[1] == [0.02, -8.0, 310.0]


def test_an_equation_of_state_takes_the_place_of_the_relaxation_before() -> None:
    sent: list[dict[str, Any]] = []
    watch = Watch(sent.append)
    copper = bulk("Cu", a=3.6)
    watch.told("step 0", SimpleNamespace(atoms=copper), RelaxationStep(0, -4.0, 0.0, None), None)
    curve = equation_of_state(copper * (2, 1, 1), EMT(), ratios=[0.9, 0.95, 1.0, 1.05, 1.1])
    watch.told("done", SimpleNamespace(atoms=copper), curve, 1.0)
    watch.flush()
    first, second = [each for each in sent if each["event"] == "begun"]
    assert first["label"] == "step"
    assert (second["label"], second["columns"], second["most"]) == ("volume (Å³/atom)", ["energy (eV/atom)"], 5)
    last = sent[-1]
    assert len(second["scene"]["symbols"]) == 2
    np.testing.assert_allclose(last["points"], np.stack([curve.volumes / 2, curve.energies / 2], 1), rtol=1e-8)
    volumes = [abs(np.linalg.det(each["cell"])) / 2 for each in last["frames"]]
    np.testing.assert_allclose(volumes, curve.volumes / 2, rtol=1e-3)
    assert [each["along"] for each in last["frames"]] == pytest.approx(curve.volumes / 2, abs=1e-4)
    json.dumps(sent, allow_nan=False)


def test_phonons_are_told_by_their_density_of_states() -> None:
    pytest.importorskip("phonopy")
    sent: list[dict[str, Any]] = []
    watch = Watch(sent.append)
    spectrum = phonon_spectrum(bulk("Cu", a=3.59), EMT(), supercell=(2, 2, 2), mesh_density=20.0)
    watch.told("done", None, spectrum, 1.0)
    watch.flush()
    (begun,) = [each for each in sent if each["event"] == "begun"]
    told = sent[-1]
    assert (begun["label"], begun["columns"]) == ("frequency (THz)", ["density of states (1/THz)"])
    frequencies, states = np.array(told["points"]).T
    assert np.trapezoid(states, frequencies) == pytest.approx(3, rel=0.05)  # branches
    assert told["frames"] == []


def test_a_table_is_told_as_it_is_printed() -> None:
    sent: list[dict[str, Any]] = []
    Watch(sent.append).found(Table([Column("file"), Column("energy", "eV", 2)], [["a.cif", -1.0], ["b.cif", None]]))
    (found,) = sent
    assert found["columns"][1] == {"name": "energy", "unit": "eV"}
    assert [[cell["text"] for cell in row] for row in found["rows"]] == [["a.cif", "-1.00"], ["b.cif", "–"]]
