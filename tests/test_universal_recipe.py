"""What the recipe of gptff-universal holds out and what it makes anew."""

from __future__ import annotations

import json
import lzma
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from ase.neighborlist import neighbor_list
from emt_frames import MODEL, emt_frames
from example_scripts import EXAMPLES, load_example

from torch_gptff import Potential, load, load_pretrained, save
from torch_gptff.datasets import open_dataset
from torch_gptff.graph import CrystalData
from torch_gptff.graph.formula import reduced_formula
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.ops.harmonics import closed_forms
from torch_gptff.training import TrainingConfig


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return load_example("universal/prepare")


@pytest.fixture(scope="module")
def making() -> ModuleType:
    return load_example("universal/new_materials")


def frame(atoms: Atoms, **labels: str) -> CrystalData:
    data = CrystalData.from_ase(atoms)
    for name, value in labels.items():
        data[name] = value
    return data


def test_a_formula_is_in_one_part_however_it_is_spelt(prepare: ModuleType) -> None:
    """By its hash (CsCl: the test; MgO: not), or because weights were tested on it before."""
    salt, oxide, sulphide = (bulk(name, "rocksalt", a=5.0) for name in ("CsCl", "MgO", "CaS"))
    divide = prepare.Divided({"CaS", "Cu"})
    parts = {}
    for atoms in (salt, salt[[1, 0]], salt * (2, 1, 1), oxide, oxide[[1, 0]], sulphide, sulphide[[1, 0]]):
        divided = divide(frame(atoms, split="train", material=atoms.get_chemical_formula()))
        assert parts.setdefault(divided.material, divided.split) == divided.split
    assert prepare.is_test(salt.numbers) == (parts["CsCl"] == "test")
    assert parts["CaS"] == "test"
    assert divide(frame(bulk("Cu"))).split == "train", "elements are in training"
    assert prepare.Divided({"Cu"}, elements_too=True)(frame(bulk("Cu"))).split == "test"


def test_one_formula_in_ten_is_for_the_test_and_one_in_fifty_for_validation(prepare: ModuleType) -> None:
    rng = np.random.default_rng(0)
    metals = [*range(19, 34), *range(37, 52)]
    frames = [frame(Atoms(numbers=rng.choice(metals, 3), positions=np.eye(3))) for _ in range(2000)]
    parts = Counter(prepare.Divided(set())(each).split for each in frames)
    assert 150 < parts["test"] < 250
    assert 15 < parts["validation"] < 65


def test_data_of_several_kinds(prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of data as it is published gives datasets by kind, without magnetic elements in `acwf`, and a sample."""
    data, structure = tmp_path / "data", {"Cu": bulk("Cu"), "Fe": bulk("Fe"), "Mg": bulk("MgO", "rocksalt", a=4.2)}
    (data / "oam_frames").mkdir(parents=True)
    (data / "teacher_frames").mkdir()
    apart, water = Atoms("OO", [[0, 0, 0], [0, 0, 1.2]]), Atoms("HOH", np.eye(3))
    for atoms in (apart, water):
        atoms.set_cell([9, 9, 9])
        atoms.pbc = True
    kinds = [
        (bulk("Cu"), "elem:Cu:fcc:v"),
        (bulk("NaCl", "rocksalt", a=5.6), "wbm:1+sub:d2"),
        (bulk("LiF", "rocksalt", a=4), "md:300"),
        (apart, "dimer:O2"),
        (water, "mol:H2O"),
    ]
    for atoms, kind in kinds:
        atoms.info = {"REF_energy": -1.0, "config_type": kind, "split": "train"}
    write(data / "oam_frames" / "frames_0.extxyz", [atoms for atoms, _ in kinds])
    with lzma.open(data / "oam_frames" / "frames_0.extxyz.xz", "wb") as packed:
        packed.write((data / "oam_frames" / "frames_0.extxyz").read_bytes())
    for name, crystals in (("unaries", {"Cu-X/FCC": "Cu", "Fe-X/FCC": "Fe"}), ("oxides", {"Mg-XO": "Mg"})):
        folder = data / "acwf_eos" / f"xsf_{name}"
        folder.mkdir(parents=True)
        for key, element in crystals.items():
            write(folder / f"{key.replace('-X/', '-')}.xsf", structure[element])
        eos = {
            key: [[structure[element].get_volume() * x, -1.0 * x] for x in (0.9, 1.0)]
            for key, element in crystals.items()
        }
        counts = {key: len(structure[element]) for key, element in crystals.items()}
        document = {"BM_fit_data": {}, "eos_data": eos, "num_atoms_in_sim_cell": counts}
        (folder.parent / f"results-{name}-verification-PBE-v1-vasp.json").write_text(json.dumps(document))
    out, sample, more = tmp_path / "out", tmp_path / "sample", tmp_path / "polymorphs.extxyz"
    zinc = bulk("Zn")
    zinc.info = {"REF_energy": -1.0, "config_type": "poly:eq"}
    write(more, zinc)
    monkeypatch.setattr(prepare, "is_test", lambda numbers: 9 in numbers)
    command = ["prepare", str(data), "--more", str(more), "--out", str(out), "--sample", str(sample)]
    monkeypatch.setattr(sys, "argv", command)
    prepare.main()
    stored = [*(out / name for name in ("crystals", "molecules", "pairs", "polymorphs")), sample / "test"]
    found = {path.name: sorted((each.material, each.source, each.split) for each in open_dataset(path))
             for path in stored}  # fmt: skip
    assert found["crystals"] == [("Cu", "elem", "train"), ("LiF", "md", "test"), ("NaCl", "wbm", "train")]
    assert found["molecules"] == [("H2O", "mol", "train")]
    assert found["pairs"] == [("O2", "dimer", "train")]
    assert found["polymorphs"] == [("Zn", "poly", "train")]
    assert found["test"] == [("LiF", "md", "test")]
    assert {each.material for each in open_dataset(out / "acwf")} == {"Cu", "MgO"}
    assert (out / "held-out.txt").read_text().split() == ["LiF", "MgO"], "weights were tested on MgO before"
    names = ["acwf", "crystals", "held-out.txt", "molecules", "pairs", "polymorphs"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_new_materials_are_new_and_of_known_elements(making: ModuleType) -> None:
    crystals = [bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("ZnS", "zincblende", a=5.41, cubic=True)]
    elements = frozenset({3, 11, 19, 37, 9, 17, 35, 53, 30, 48, 16, 34})
    known = {"NaCl", "ZnS", "KCl", "CdS"}
    made = list(making.new_materials(crystals, known, elements, copies=60))
    formulas = {reduced_formula(atoms.numbers) for atoms in made}
    assert not formulas & known
    assert {"NaBr", "ZnSe"} <= formulas
    assert any(len(np.unique(atoms.numbers)) == 3 for atoms in made), "some sites of an element, not all"
    assert {int(number) for atoms in made for number in atoms.numbers} <= elements


def test_a_larger_element_makes_the_cell_larger(making: ModuleType) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    made = list(making.new_materials([salt], {"NaCl"}, frozenset({11, 17, 35}), copies=20))
    assert made
    assert all(atoms.get_volume() > salt.get_volume() for atoms in made)


def test_they_get_the_volume_of_least_energy(making: ModuleType) -> None:
    model = load_pretrained("gptff-universal")
    (salt,) = making.at_their_volumes([bulk("NaCl", "rocksalt", a=6.1)], model)
    at = [model.predict([making.rescaled(salt, scale**3)])[0].energy.item() for scale in (0.98, 1.0, 1.02)]
    assert at[1] == min(at)
    assert not list(making.at_their_volumes([bulk("NaCl", "rocksalt", a=9.0)], model)), "too far from it"


def test_an_actinide_replaces_a_lanthanide_near_the_one_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES / "universal")
    more = load_example("universal/more_elements")
    crystals = [bulk(f"{symbol}N", "rocksalt", a=5.0) for symbol in ("La", "Ce", "Nd", "Ti")]
    made = [more.homologues(crystals * 20, {"UN"}, number) for number in (3, 100)]
    assert len(made[0]) == 3
    formulas = [reduced_formula(atoms.numbers) for atoms in made[1]]
    assert len(set(formulas)) == len(formulas), "each formula once"
    assert set(formulas) == {"AcN", "ThN", "PaN", "NpN", "PmN"}, "what is known is not made, titanium not replaced"
    assert all(atoms.numbers[1] == 7 for atoms in made[1])


def test_crystals_are_told_by_their_elements() -> None:
    crystals = [bulk("Cu"), bulk("Ce", "fcc", a=5.0), bulk("Si")]
    crystals += [bulk(formula, "cesiumchloride", a=3.5) for formula in ("CeAl", "YbCu", "NiAl", "CsCl")]
    seeds = load_example("universal/seeds").seeds(crystals, n_alloys=3, n_compounds=5)
    formulas = {name: [atoms.get_chemical_formula() for atoms in chosen] for name, chosen in seeds.items()}
    assert formulas["elements"] == ["Cu", "Ce", "Si2"]
    assert (formulas["lanthanides"], formulas["metals"], formulas["compounds"]) == (["Ce"], ["Cu"], ["ClCs"])
    assert len(formulas["alloys"]) == 2, "one of three with a lanthanide, and the only one without"
    assert formulas["alloys"][1] == "AlNi"


def test_a_sample_is_validated_on_other_formulas() -> None:
    sample = load_example("universal/sample")
    rng = np.random.default_rng(1)
    material = rng.choice([f"A{n}B" for n in range(400)], 3000)
    is_training = ~np.isin(material, ["A1B", "A2B"])
    training, validation = sample.sample(material, is_training)
    assert not set(material[training]) & set(material[validation])
    assert len(set(material[validation])) == 200
    assert is_training[training].all()
    assert is_training[validation].all()
    assert len(set(training)) == len(training) == (is_training & ~np.isin(material, material[validation])).sum()


@pytest.fixture
def polymorphs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES / "universal"))
    return load_example("universal/polymorphs")


def test_lattices_that_compete_are_those_of_their_names(polymorphs: ModuleType) -> None:
    import spglib

    expected = {
        **{"fcc": 225, "bcc": 229, "hcp": 194, "sc": 221, "diamond": 227, "dhcp": 194},
        **{"rocksalt": 225, "zincblende": 216, "wurtzite": 186, "cesiumchloride": 221, "layered": 194},
        **{"nickel arsenide": 194, "fluorite": 225, "rutile": 136, "cadmium iodide": 164, "quartz": 152},
        **{"A_hP4_194_bc": 194, "A_tI4_141_a": 141},
    }
    found = {}
    for ratio, known in polymorphs.competing().items():
        for name, atoms in known.items():
            cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
            found[name] = spglib.get_symmetry_dataset(cell, symprec=1e-4).number
            assert list(atoms.symbols).count("Zn") == ratio * list(atoms.symbols).count("Cu")
    assert found == expected


def test_charges_of_compounds_cancel(polymorphs: ModuleType) -> None:
    fit = polymorphs.charges_fit
    assert fit(12, 8, 1)  # MgO
    assert fit(20, 9, 2)  # CaF2
    assert fit(22, 8, 2)  # TiO2
    assert not fit(11, 8, 1)  # NaO
    assert not fit(8, 12, 1)  # no metal


def test_harmonics_of_degree_3_tell_fcc_from_hcp_and_a_grown_model_predicts_the_same_at_first() -> None:
    """In crystals whose atoms are centers of inversion, features of degree 3 are zero: energies stay to rounding."""
    grow = load_example("universal/grow")
    moments = {}
    for lattice in ("fcc", "hcp"):
        atoms = bulk("Cu", lattice, a=2**0.5 if lattice == "fcc" else 1.0)
        vectors = neighbor_list("D", atoms, 1.1)[:12]
        harmonics = closed_forms(torch.from_numpy(vectors)).sum(dim=0)
        moments[lattice] = [float(harmonics[l * l : (l + 1) ** 2].norm()) for l in range(4)]
    assert moments["fcc"] == pytest.approx([moments["fcc"][0], 0, 0, 0], abs=1e-6)
    assert moments["hcp"][:3] == pytest.approx(moments["fcc"][:3], abs=1e-6)
    assert moments["hcp"][3] > 0.5

    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(channels=16, heads=2)).double()
    grown = grow.grown(model)
    assert (grown.config.degree, grown.elements) == (3, model.elements)
    structures = [bulk("NaCl", "rocksalt", a=5.6), bulk("W"), bulk("GaAs", "zincblende", a=5.6)]
    before, after = (
        [float(prediction.energy) for prediction in Potential(each).predict(structures)] for each in (model, grown)
    )
    assert after[:2] == pytest.approx(before[:2], abs=1e-9)
    assert after[2] == pytest.approx(before[2], abs=0.5)
    with pytest.raises(SystemExit, match="degree 2 is needed"):
        grow.grown(grown)


@pytest.mark.parametrize("readouts", [1, 2])
def test_a_widened_model_predicts_the_same(readouts: int) -> None:
    """To rounding; its twins are no copies of each other, so that they learn different things."""
    widen = load_example("universal/widen")
    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(channels=16, heads=2, degree=3, num_readouts=readouts, repulsion=True)).double()
    wide = widen.widened(model, torch.Generator().manual_seed(0))
    assert (wide.config.channels, wide.config.heads, wide.elements) == (32, 2, model.elements)
    structures = [bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1), bulk("Si"), Atoms("OH", [[0, 0, 0], [0, 0, 1]])]
    for atoms in structures:
        atoms.rattle(0.1, seed=1)
    before, after = (
        Potential(each).predict(structures, energy_std=readouts > 1, forces_std=readouts > 1) for each in (model, wide)
    )
    for old, new in zip(before, after, strict=True):
        for name in ("energy", "forces", "stress", *(("energy_std", "forces_std") if readouts > 1 else ())):
            torch.testing.assert_close(getattr(new, name), getattr(old, name), rtol=1e-9, atol=1e-9, equal_nan=True)
    matrix = wide.layers[0].lin1.weight
    assert not torch.allclose(matrix[:, 0:32:2], matrix[:, 1:32:2])


def test_the_large_model_is_trained_as_the_small_one_is() -> None:
    """On the same sources, of all frames; what differs is size, rate and how energies weigh."""
    small, large = (TrainingConfig.from_yaml(EXAMPLES / f"universal/{name}.yaml") for name in ("universal", "large"))
    named = ("name", "licence", "reference", "weight")
    sources = [[[getattr(source, name) for name in named] for source in each.data.train] for each in (small, large)]
    assert sources[0] == sources[1]
    assert [source.path for source in large.data.train] == [f"more-{source.path}" for source in small.data.train]
    assert replace(large.data, train=()) == replace(small.data, train=())
    assert replace(large.loss, energy=small.loss.energy) == small.loss
    assert replace(large.optimizer, lr=small.optimizer.lr) == small.optimizer


def test_a_model_without_geometric_attention_is_not_widened() -> None:
    widen = load_example("universal/widen")
    with pytest.raises(SystemExit, match="geometric attention and without properties is needed"):
        widen.widened(GPTFF(GPTFFConfig.paper(channels=8)), torch.Generator())
    with pytest.raises(SystemExit, match="without properties"):
        widen.widened(GPTFF(GPTFFConfig(channels=8, properties={"gap": "mean"})), torch.Generator())


@pytest.fixture
def selected(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES / "universal"))
    return load_example("universal/selected")


def test_the_most_uncertain_are_kept_and_no_formula_fills_a_file(selected: ModuleType) -> None:
    """Ten of each; all of gold are more uncertain than those of copper, and half of gold's share is copper's."""
    structures = [bulk("Au")] * 10 + [bulk("Cu")] * 10
    uncertain = np.stack([np.arange(20)[::-1], 10.0 ** np.arange(20)[::-1]], axis=1)
    assert selected.most_uncertain(structures, uncertain, 0.2) == [0, 1, 2, 3]
    assert selected.most_uncertain(structures, uncertain, 0.3) == [0, 1, 2, 3, 4, 5]
    assert selected.most_uncertain(structures[:15], uncertain[:15], 0.5) == [0, 1, 2, 3, 4, 5, 6, 7]
    more_gold = [bulk("Au")] * 4 + [bulk("Cu")] * 16
    assert selected.most_uncertain(more_gold, uncertain, 0.2) == [0, 1, 4, 5], "of gold, two fifths"
    assert selected.most_uncertain(structures, uncertain, 1.0) == list(range(20))


def test_the_student_makes_structures_and_the_teacher_labels_the_uncertain_ones(
    selected: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the teacher says that each atom has -1 eV."""
    torch.manual_seed(0)
    student = tmp_path / "student.safetensors"
    save(Potential(GPTFF(GPTFFConfig(**MODEL, num_readouts=2, repulsion=True))), student)
    asked: list[int] = []

    def labels(structures: list[Atoms]) -> list[tuple[float, np.ndarray, np.ndarray]]:
        asked.append(len(structures))
        return [(-1.0 * len(atoms), np.zeros((len(atoms), 3)), np.zeros((3, 3))) for atoms in structures]

    crystals = [bulk("NaCl", "rocksalt", a=5.6), bulk("ZnS", "zincblende", a=5.4), bulk("CsCl", "cesiumchloride", a=4)]
    monkeypatch.setattr(selected, "CRYSTALS", 4)
    monkeypatch.setattr(selected, "ROUNDS", (1, 2))
    monkeypatch.setattr(selected, "MD_STEPS", 4)
    monkeypatch.setattr(selected, "MD_INTERVAL", 2)
    monkeypatch.setattr(selected, "seeds", lambda data: crystals)
    monkeypatch.setattr(selected, "teacher_of", lambda file, operator: labels)
    command = ["selected", "data", "--teacher", "none", "--student", str(student), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*command, "--share", "0.5", "--pieces", "2"])
    selected.main()
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["selected-0-0000.extxyz", "selected-0-0001.extxyz"]
    frames = [atoms for file in files for atoms in read(file, ":")]
    assert len(frames) == sum(asked)
    assert 8 <= len(frames) <= 16, "half of four crystals in four states, twice"
    assert {atoms.info["config_type"] for atoms in frames} == {"sel:relax", "sel:md"}
    assert all(atoms.info["REF_energy"] == -len(atoms) for atoms in frames)
    assert not any(load_example("universal/prepare").is_test(atoms.numbers) for atoms in frames)

    written = files[0].read_bytes()
    files[1].unlink()
    asked.clear()
    selected.main()
    assert files[0].read_bytes() == written
    assert len(asked) == 1, "the file that is there is not made again"
    assert len(read(files[1], ":")) == asked[0]


def test_a_package_is_calibrated_on_frames_for_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not on those for the test, which are thousands of eV off."""
    package = load_example("universal/package")
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(**MODEL, num_readouts=2)))
    save(potential, tmp_path / "best.safetensors")
    frames = emt_frames(30, seed=0, offset=1.0)
    for number, atoms in enumerate(frames):
        atoms.info["split"] = "validation" if number < 20 else "test"
        if number >= 20:
            atoms.calc.results["energy"] += 1e5
    write(tmp_path / "frames.extxyz", frames)
    out = tmp_path / "packaged.safetensors"
    arguments = [str(tmp_path / "best.safetensors"), str(out), "--calibrate", str(tmp_path / "frames.extxyz")]
    monkeypatch.setattr("sys.argv", ["package.py", *arguments])
    package.main()
    packaged = load(out)
    assert packaged.provenance["name"] == "packaged"
    assert packaged.calibration is not None
    found = potential.predict(frames[:20], energy_std=True)
    ratios = [abs(each.energy.item() - atoms.get_potential_energy()) / each.energy_std.item()
              for each, atoms in zip(found, frames[:20], strict=True)]  # fmt: skip
    assert np.mean(np.array(ratios) <= packaged.calibration.energy * (1 + 1e-6)) == pytest.approx(0.7)
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["energy", "20"]
