"""The examples of conductors: a structure, and that runs are analysed and can be continued, also with a new model."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.harmonic import SpringCalculator
from ase.io import read, write
from ase.neighborlist import neighbor_list
from example_scripts import EXAMPLES, load_example

from torch_gptff import load, load_pretrained
from torch_gptff.workflows import DiffusionSeries

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("li3ycl6_conductivity")


def test_the_structure_is_that_of_octahedra(example: ModuleType) -> None:
    atoms = example.lithium_yttrium_chloride()
    assert atoms.get_chemical_formula() == "Cl18Li9Y3"
    center, neighbor, lengths = neighbor_list("ijd", atoms, 2.9)
    symbols = np.array(atoms.symbols)
    assert set(symbols[neighbor[symbols[center] != "Cl"]]) == {"Cl"}
    cations = symbols[np.arange(len(atoms))] != "Cl"
    assert np.bincount(center, minlength=len(atoms))[cations].tolist() == [6] * 12
    assert lengths.min() == pytest.approx(2.64, abs=0.02)
    # the framework, without the ordered lithium, has the symmetry of the trigonal structure or more
    framework = atoms[symbols != "Li"]
    cell = (framework.cell.array, framework.get_scaled_positions(), framework.numbers)
    assert len(spglib.get_symmetry_dataset(cell, symprec=1e-3).rotations) >= 12


def test_a_crystal_of_springs_does_not_conduct(example: ModuleType, tmp_path: Path, capsys) -> None:
    atoms = example.lithium_yttrium_chloride()
    springs = SpringCalculator(atoms.positions, k=3.0)
    size = {"steps": 200, "interval": 2, "skip": 0.1}
    series = example.conductivity(atoms, springs, [300.0, 600.0], tmp_path, **size)
    assert [run.is_diffusive for run in series.runs] == [False, False]
    assert [run.temperature for run in series.runs] == [300.0, 600.0]
    assert DiffusionSeries.load(tmp_path / "lithium.json").to_dict() == series.to_dict()
    assert "Too little diffusion" in (tmp_path / "lithium.html").read_text()
    assert "| 300 K | < " in (tmp_path / "lithium.md").read_text()
    assert "too little diffusion" in (tmp_path / "lithium.svg").read_text()
    example.tell(series)
    told = capsys.readouterr().out
    assert "300 K: too little diffusion" in told
    assert "no activation energy" in told
    assert "0.51 mS/cm" in told
    # given again, nothing is computed anew
    before = (tmp_path / "300K.traj").read_bytes()
    again = example.conductivity(atoms, springs, [300.0, 600.0], tmp_path, **size)
    assert (tmp_path / "300K.traj").read_bytes() == before
    assert again.to_dict() == series.to_dict()


def test_frames_are_made_labelled_and_held_out_by_structure(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("li3ycl6_fine_tune")
    names = []
    for name, symbols in {"one": "Cu3Au", "two": "Cu2Au2"}.items():
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols[:] = symbols
        write(tmp_path / f"{name}.cif", atoms)
        names.append(str(tmp_path / f"{name}.cif"))
    label = module.labels_of("emt", None)
    files = module.make_frames(names, EMT(), label, tmp_path / "out", [300.0], n_frames=10, interval=2)
    frames = {part: [each for path in paths for each in read(path, ":")] for part, paths in files.items()}
    assert {part: len(each) for part, each in frames.items()} == {"train": 9, "validation": 1, "test": 10}
    assert {str(each.symbols) for each in frames["train"] + frames["validation"]} == {"Cu3Au"}
    assert {str(each.symbols) for each in frames["test"]} == {"Cu2Au2"}
    first = frames["train"][0]
    again = first.copy()
    again.calc = EMT()
    assert first.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-5)
    np.testing.assert_allclose(first.get_stress(), again.get_stress(), atol=1e-6)
    volumes = np.array([each.get_volume() for each in frames["train"]])
    assert np.ptp(volumes[::3]) > 3 * np.ptp(volumes[1::3])  # every third is scaled
    module.make_frames(names, EMT(), None, tmp_path / "out", [300.0], n_frames=10, interval=2)  # nothing is labelled
    evaluations = module.compare({"as it is": load_pretrained()}, files["test"])
    error = 1000 * evaluations["as it is"].mae.forces
    assert f"| {error:.1f} |" in module.table(evaluations)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:lgps|the energies of")  # of another reference and one composition, as it is meant
def test_lgps_is_fine_tuned(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    lgps = importlib.import_module("lgps_conductivity")
    rng = np.random.default_rng(0)
    atoms = bulk("LiS", "rocksalt", a=5.0, cubic=True).repeat((1, 1, 2))
    folder = tmp_path / "lgps" / "set.000"
    folder.mkdir(parents=True)
    (folder.parent / "type.raw").write_text("\n".join({"Li": "0", "S": "3"}[symbol] for symbol in atoms.symbols))
    n_frames = 40
    moves = rng.normal(scale=0.05, size=(n_frames, len(atoms), 3))
    np.save(folder / "coord.npy", (atoms.positions + moves).reshape(n_frames, -1))
    np.save(folder / "box.npy", np.tile(atoms.cell.array.ravel(), (n_frames, 1)))
    np.save(folder / "force.npy", (-2 * moves).reshape(n_frames, -1))
    np.save(folder / "energy.npy", (moves**2).sum((1, 2)))
    monkeypatch.setattr(lgps, "PARTS", {"train": 0.6, "validation": 0.2, "test": 0.2})

    best = lgps.fine_tuned("gptff-universal", folder.parent, tmp_path, epochs=1)
    assert load(best).provenance["trained_on"][0]["source"] == "lgps"
    assert "on frames held out" in capsys.readouterr().out
    assert lgps.fine_tuned("gptff-universal", folder.parent, tmp_path, epochs=1) == best, "nothing is trained anew"
