"""What the recipe of gptff-universal holds out and what it makes anew."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from example_scripts import EXAMPLES, load_example

from torch_gptff import load_pretrained
from torch_gptff.graph import CrystalData
from torch_gptff.graph.formula import reduced_formula


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


def test_a_formula_is_held_out_of_both_sources_however_it_is_spelt(prepare: ModuleType) -> None:
    """Of MgO the teacher decides, and spells it otherwise; of the rest, which only the other source has, the name."""
    salts = [bulk(symbols, "rocksalt", a=5.0) for symbols in ("NaCl", "KCl", "LiF", "NaF", "KF", "RbF", "CsF", "LiH")]
    oxide = bulk("MgO", "rocksalt", a=4.2)
    turned = oxide[[1, 0]]
    teacher = [frame(oxide, split="test", material="OMg"), frame(bulk("Cu"), split="train", material="Cu")]
    acwf = [frame(atoms) for atoms in (turned, bulk("Cu"), *salts)]
    held_out = prepare.held_out_formulas(teacher, acwf)
    assert "MgO" in held_out
    assert "Cu" not in held_out
    divided = [prepare.Divided(held_out)(each) for each in (*teacher, *acwf)]
    assert [each.split for each in divided if each.material == "MgO"] == ["test", "test"]
    assert [each.split for each in divided if each.material == "Cu"] == ["train", "train"]
    parts = {part: {each.material for each in divided if each.split == part} for part in ("train", "test")}
    assert not parts["train"] & parts["test"]


def test_one_formula_in_ten_is_chosen_by_its_name(prepare: ModuleType) -> None:
    rng = np.random.default_rng(0)
    metals = [*range(19, 34), *range(37, 52)]
    names = [frame(Atoms(numbers=rng.choice(metals, 3), positions=np.eye(3))) for _ in range(1000)]
    held_out = prepare.held_out_formulas([], names)
    assert 60 < len(held_out) < 140
    assert held_out == prepare.held_out_formulas([], names[::-1]), "whatever their order"


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
