"""The files for Matbench Discovery and MLIP Arena: what is in them, and that it is right."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import bulk
from ase.db import connect
from ase.io import read
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff import GPTFF, GPTFFConfig, Potential, load_pretrained
from torch_gptff.errors import HullError
from torch_gptff.io import save

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are part of the repository only")


@pytest.fixture
def matbench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("matbench_submission")


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("arena_submission")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=1, feedforward_channels=16, cutoff=4.0, max_z=92)
    path = tmp_path / "small.gptff"
    save(Potential(GPTFF(small).double(), torch.zeros(95)).eval(), path)
    return path


def few() -> dict[str, Atoms]:
    found = {"wbm-1-1": bulk("Cu"), "wbm-1-2": bulk("NaCl", "rocksalt", a=5.6), "wbm-1-3": Atoms("Pu", cell=[4, 4, 4])}
    found["wbm-1-4"] = bulk("MgO", "rocksalt", a=4.2)
    for number, atoms in enumerate(found.values()):
        atoms.pbc = True
        atoms.rattle(0.02, seed=number)
    return found


def documents(structures: dict[str, Atoms], key: str = "initial_structure") -> list[dict[str, Any]]:
    return [
        {"material_id": name, key: AseAtomsAdaptor.get_structure(atoms).as_dict()} for name, atoms in structures.items()
    ]


ABOUT: dict[str, Any] = {
    "family": "gptff",
    "model_key": "gptff-small",
    "model_name": "GPTFF small",
    "model_version": "1",
    "authors": [{"name": "A. Author", "email": "author@example.org"}],
    "dates": {"benchmark_added": "2026-01-01", "paper_published": "2024-01-01"},
    "doi": "https://doi.org/10.1016/j.scib.2024.08.039",
    "paper": "https://arxiv.org/abs/2402.19327",
    "repo": "https://example.org/repository",
    "pr_url": None,
    "checkpoint_url": None,
    "license": {"code": "MIT", "checkpoint": "MIT"},
    "openness": "OSOD",
    "training_sets": ["MPtrj"],
}


def test_formation_energies_are_those_of_wbm(matbench: Any, shared_data: Path) -> None:
    """DFT's energies, with the corrections and reference energies, give DFT's formation energies."""
    with gzip.open(shared_data / "data/matcalc_ref/wbm-random-pbe52-equilibrium-2025.1.json.gz", "rt") as file:
        entries = json.load(file)
    structures = [Structure.from_dict(entry["structure"]) for entry in entries]
    symbols = sorted({str(element) for each in structures for element in each.composition})
    counts = np.array([[each.composition[symbol] for symbol in symbols] for each in structures])
    sizes = counts.sum(axis=1)
    of_elements = [entry["corrected_energy"] for entry in entries] - sizes * [
        entry["corrected_formation_energy_per_atom"] for entry in entries
    ]
    solved, _, rank, _ = np.linalg.lstsq(counts, of_elements, rcond=None)
    assert rank == len(symbols)
    assert np.abs(counts @ solved - of_elements).max() < 1e-3
    references = dict(zip(symbols, solved, strict=True))
    some = range(0, len(entries), 16)
    found = [
        matbench.formation_energy(AseAtomsAdaptor.get_atoms(structures[each]), entries[each]["energy"], references)
        for each in some
    ]
    expected = [entries[each]["corrected_formation_energy_per_atom"] for each in some]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    del references["O"]
    with pytest.raises(HullError, match="no reference energy of O"):
        matbench.formation_energy(bulk("MgO", "rocksalt", a=4.2), -12.0, references)


def test_files_for_matbench_discovery(
    matbench: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, about, references = tmp_path / "given.jsonl.gz", tmp_path / "about.yml", tmp_path / "references.json"
    with gzip.open(given, "wt") as file:
        file.writelines(json.dumps(document) + "\n" for document in documents(few()))
    about.write_text(yaml.safe_dump(ABOUT))
    values = {"Cu": -4.0, "Na": -1.3, "Cl": -1.8, "Mg": -1.6, "O": -4.9}
    entry = {"@module": "pymatgen.entries.computed_entries", "@class": "ComputedEntry", "composition": {"Cu": 2}}
    references.write_text(json.dumps({**values, "Cu": {**entry, "energy": -8.0, "correction": 0.0}}))
    command = [str(given), "--about", str(about), "--references", str(references), "--model", str(model)]
    command += ["--out", str(tmp_path / "models"), "--date", "2026-01-02", "--max-steps", "3"]
    matbench.main(command)
    assert "UnsupportedElementError" in capsys.readouterr().out
    folder = tmp_path / "models/gptff/gptff-small"

    with gzip.open(folder / "2026-01-02-discovery.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["material_id", "e_form_per_atom"]
    assert [row["material_id"] for row in rows] == list(few())
    assert rows[2]["e_form_per_atom"] == "", "a crystal without a result has a row"
    with gzip.open(folder / "2026-01-02-geo-opt.jsonl.gz", "rt") as file:
        relaxed = {line["material_id"]: line for line in map(json.loads, file)}
    assert list(relaxed) == ["wbm-1-1", "wbm-1-2", "wbm-1-4"]
    potential = load_pretrained(model)
    oxygen = -0.687  # eV/atom, the correction of oxides
    for row in (rows[0], rows[1], rows[3]):
        line = relaxed[row["material_id"]]
        assert set(line) == {"material_id", "structure", "energy", "converged", "n_steps"}
        structure = Structure.from_dict(line["structure"])
        (alone,) = potential.predict([structure])
        assert line["energy"] == pytest.approx(alone.energy.item(), abs=1e-6)
        of_elements = sum(values[str(element)] * number for element, number in structure.composition.items())
        corrected = line["energy"] + oxygen * structure.composition["O"]
        if structure.composition["Cl"]:
            corrected -= 0.614 * structure.composition["Cl"]
        assert float(row["e_form_per_atom"]) == pytest.approx((corrected - of_elements) / len(structure), abs=1e-4)

    told = yaml.safe_load((folder.parent / "gptff-small.yml").read_text())
    assert told["model_params"] == sum(each.numel() for each in potential.model.parameters())
    assert told["hyperparams"]["architecture"]["graph_construction_radius"] == 4.0
    for task, name in {"discovery": "discovery.csv.gz", "geo_opt": "geo-opt.jsonl.gz"}.items():
        file = told["metrics"][task]["pred_file"]
        assert file["name"] == f"models/gptff/gptff-small/2026-01-02-{name}"
        content = (folder / f"2026-01-02-{name}").read_bytes()
        assert file["size"] == len(content)
        assert file["md5"] == hashlib.md5(content).hexdigest()

    journal = (folder / "relaxations.jsonl").read_bytes()
    matbench.main(command)
    assert (folder / "relaxations.jsonl").read_bytes() == journal, "nothing is relaxed twice"
    about.write_text(yaml.safe_dump({name: value for name, value in ABOUT.items() if name != "doi"}))
    with pytest.raises(SystemExit):
        matbench.main(command)
    assert "about.yml lacks doi" in capsys.readouterr().err


def test_curves_have_the_metrics_of_what_they_are(arena: Any) -> None:
    volumes = np.linspace(0.8, 1.2, 21)
    smooth = arena.curve_metrics(volumes, (volumes - 1) ** 2)
    assert smooth == {
        "energy-diff-flip-times": 1,
        "tortuosity": pytest.approx(1.0),
        "spearman-compression-energy": pytest.approx(-1.0),
        "spearman-compression-derivative": pytest.approx(1.0),
        "spearman-tension-energy": pytest.approx(1.0),
    }
    rough = arena.curve_metrics(volumes, (volumes - 1) ** 2 + 0.05 * (np.arange(21) % 2))
    assert rough["energy-diff-flip-times"] == 19
    assert rough["tortuosity"] > 5


def test_files_for_mlip_arena(arena: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'torch-gptff[screen]'")
    given, about, out = tmp_path / "given.db", tmp_path / "about.yml", tmp_path / "arena"
    crystals = few()
    with connect(given) as database:
        for name, atoms in crystals.items():
            database.write(atoms, key_value_pairs={"wbm_id": name})
    facts = {"family": "gptff", "datasets": ["MPTrj"], "license": "MIT", "date": "2024-01-01", "doi": "", "github": ""}
    about.write_text(yaml.safe_dump(facts))
    command = ["Small", "--crystals", str(given), "--about", str(about), "--model", str(model)]
    arena.main([*command, "--out", str(out), "--elements", "Cu", "H"])
    assert "wbm-1-3" in capsys.readouterr().out
    potential = load_pretrained(model)

    for task in ("eos_bulk", "ev"):
        raw = parquet.read_table(out / f"benchmarks/{task}/Small.parquet").to_pylist()
        rows = parquet.read_table(out / f"benchmarks/{task}/Small_processed.parquet").to_pylist()
        assert [row["id"] for row in raw] == ["wbm-1-1", "wbm-1-2", "wbm-1-4"]
        assert {row["method"] for row in raw} == {"Small"}
        assert [row["missing"] for row in rows] == [False, False, True, False]
        assert [row["structure"] for row in rows] == list(crystals)
        assert all(len(row["eos"]["energies"]) == len(row["eos"]["volumes"]) == 21 for row in raw)
    ratios = {task: ends(out / f"benchmarks/{task}/Small_processed.parquet", parquet) for task in ("eos_bulk", "ev")}
    assert ratios["eos_bulk"] == pytest.approx((0.8, 1.2))
    assert ratios["ev"] == pytest.approx((0.8**3, 1.2**3))
    (alone,) = potential.predict([crystals["wbm-1-2"]])
    scan = parquet.read_table(out / "benchmarks/ev/Small.parquet").to_pylist()[1]["eos"]
    assert scan["energies"][10] == pytest.approx(alone.energy.item(), abs=1e-9)

    pair = read(out / "benchmarks/diatomics/gptff/Small/CuCu.extxyz", ":")
    assert pair[0].get_distance(0, 1) == pytest.approx(0.9 * 1.32)
    energies, lengths = [each.get_potential_energy() for each in pair], [each.get_distance(0, 1) for each in pair]
    along = np.array([each.get_forces()[1, 0] for each in pair])
    np.testing.assert_allclose(along[1:-1], -np.gradient(energies, lengths)[1:-1], atol=1e-3)

    told = yaml.safe_load((out / "registry-Small.yaml").read_text())["Small"]
    space: dict[str, Any] = {}
    exec((out / f"mlip_arena/models/externals/{told['family']}.py").read_text(), space)
    atoms = crystals["wbm-1-2"].copy()
    atoms.calc = space[told["class"]](device="cpu")
    assert atoms.get_potential_energy() == pytest.approx(alone.energy.item(), abs=1e-6)


def ends(file: Path, parquet: Any) -> tuple[float, float]:
    """The least and the largest volume of the second crystal."""
    row = parquet.read_table(file).to_pylist()[1]
    return row["volume-ratio"][0], row["volume-ratio"][-1]
