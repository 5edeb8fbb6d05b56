"""Numbers that everyone knows, of elements, compounds, surfaces, defects and molecules, by any calculator.

    python benchmarks/known_materials.py gptff-universal gptff-v1 gptff-v2 --out ours.json
    python benchmarks/known_materials.py chgnet --out chgnet.json
    python benchmarks/known_materials.py --beside ours.json chgnet.json --page docs/pages/known-materials.md
    python benchmarks/known_materials.py best.safetensors --gate

measure what `known_materials.json` lists: orders of crystals of one composition (meV/atom above the stable one),
energies of formation, cohesion, atomization and reaction, lattice constants, elastic constants, vacancies, surfaces,
bonds and angles of molecules, and lowest phonons. Each stands there with its value by PBE, where one is known, the
work that it is from, and the value of the teacher of `gptff-universal`, nequix-oam-1-pft. With `--gate`, the exit code
is 1 if the sign of an order is wrong that the teacher has right.

A model is whatever may be a teacher of ``torch-gptff distill``; ours compute in float64. Crystals are relaxed with
their symmetry kept, slabs and cells with a vacancy at the lattice of the crystal. What fails is told, and counts as
wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule, surface
from ase.spacegroup import crystal
from properties import calculator_of
from rich.console import Console
from rich.table import Table

from torch_gptff.errors import GPTFFError
from torch_gptff.workflows import elastic_tensor, phonon_spectrum, relax

DATA = Path(__file__).with_suffix(".json")
J_PER_M2 = 16.021766
"""In an eV/Å²."""

Values = dict[str, float]


class Materials:
    """The structures of the list as a calculator has them.

    Args:
        structures: how to build each, by name
        calculator: of ASE
    """

    def __init__(self, structures: Mapping[str, Sequence[Any]], calculator: Any) -> None:
        self.structures = structures
        self.calculator = calculator
        self.relaxed = cache(self._relaxed)
        self.tensor = cache(self._tensor)

    def built(self, name: str) -> Atoms:
        """The structure to start from."""
        kind, *what = self.structures[name]
        if kind == "bulk":
            formula, lattice, options = what
            return bulk(formula, lattice, **options)
        if kind == "crystal":
            symbols, basis, group, cell, setting = what
            return Atoms(crystal(symbols, basis, spacegroup=group, cellpar=cell, setting=setting, primitive_cell=True))
        return molecule(what[0]) if kind == "molecule" else Atoms(what[0])

    def _relaxed(self, name: str) -> Atoms:
        atoms = Atoms(self.built(name))
        if self.is_fixed(name):
            atoms.calc = self.calculator
            return atoms
        found = relax(
            atoms, self.calculator, fmax=0.005, smax=2e-5, keep_symmetry=bool(atoms.pbc.any()), max_steps=2000
        )
        if not found.converged:
            raise GPTFFError(f"{name} is not at rest after {found.n_steps} steps")
        found.final.set_constraint()
        found.final.calc = self.calculator
        return found.final

    def is_fixed(self, name: str) -> bool:
        """Atoms alone, and crystals whose name says at which c they are held."""
        return self.structures[name][0] == "atom" or " at " in name

    def energy(self, name: str) -> float:
        """Of an atom, eV."""
        atoms = self.relaxed(name)
        return float(atoms.get_potential_energy()) / len(atoms)

    def _tensor(self, name: str) -> Any:
        return elastic_tensor(self.relaxed(name), self.calculator)

    def conventional(self, name: str) -> Atoms:
        """The cubic cell of a cubic crystal, at the lattice constant of the relaxed one."""
        _, formula, lattice, options = self.structures[name]
        cube = bulk(formula, lattice, a=options["a"], cubic=True)
        primitive = self.relaxed(name)
        cube.set_cell(cube.cell * (primitive.get_volume() / len(primitive) * len(cube) / cube.get_volume()) ** (1 / 3),
                      scale_atoms=True)  # fmt: skip
        return cube


def energies(materials: Materials, of: Mapping[str, float]) -> float:
    """A sum of energies of an atom, eV."""
    return sum(factor * materials.energy(name) for name, factor in of.items())


def order(materials: Materials, of: Mapping[str, float]) -> float:
    """A difference of energies of an atom, meV."""
    return 1000 * energies(materials, of)


def lattice(materials: Materials, of: Mapping[str, int]) -> float:
    """The edge of the cube of so many primitive cells, Å."""
    ((name, cells),) = of.items()
    return float((materials.relaxed(name).get_volume() * cells) ** (1 / 3))


def ratio(materials: Materials, of: Mapping[str, int]) -> float:
    """c/a."""
    (name,) = of
    lengths = materials.relaxed(name).cell.lengths()
    return float(lengths[2] / lengths[0])


def elastic(materials: Materials, of: Mapping[str, str]) -> float:
    """An elastic constant or the bulk modulus of a cubic crystal, GPa."""
    ((name, which),) = of.items()
    stiffness = cubic_axes(materials, name)
    return {"C11": stiffness[0], "C12": stiffness[1], "C44": stiffness[2], "B": (stiffness[0] + 2 * stiffness[1]) / 3}[
        which
    ]


def cubic_axes(materials: Materials, name: str) -> tuple[float, float, float]:
    """C11, C12 and C44 along the axes of the cube, GPa."""
    tensor = materials.tensor(name).stiffness
    return float(tensor[0, 0]), float(tensor[0, 1]), float(tensor[3, 3])


def vacancy(materials: Materials, of: Mapping[str, int]) -> float:
    """The energy of an atom missing in so many cubic cells to each side, eV."""
    ((name, times),) = of.items()
    large = materials.conventional(name).repeat(times)
    del large[0]
    found = relax(large, materials.calculator, fix_cell=True, fmax=0.01, max_steps=500)
    return float(found.final.get_potential_energy()) - len(large) * materials.energy(name)


def surface_energy(materials: Materials, of: Mapping[str, tuple[list[int], int]]) -> float:
    """Of a relaxed slab, J/m²."""
    ((name, (index, layers)),) = of.items()
    slab = surface(materials.conventional(name), index, layers, vacuum=8.0, periodic=True)
    found = relax(slab, materials.calculator, fix_cell=True, fmax=0.01, max_steps=500)
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    excess = float(found.final.get_potential_energy()) - len(slab) * materials.energy(name)
    return float(excess / (2 * area) * J_PER_M2)


def distance(materials: Materials, of: Mapping[str, list[int]]) -> float:
    """Between two atoms of a molecule, Å."""
    ((name, pair),) = of.items()
    return float(materials.relaxed(name).get_distance(*pair))


def angle(materials: Materials, of: Mapping[str, list[int]]) -> float:
    """Between three atoms of a molecule, degrees."""
    ((name, three),) = of.items()
    return float(materials.relaxed(name).get_angle(*three))


def phonon(materials: Materials, of: Mapping[str, float]) -> float:
    """The lowest frequency, THz; negative for an imaginary one."""
    (name,) = of
    return float(phonon_spectrum(materials.relaxed(name), materials.calculator, min_length=9.0).lowest_frequency)


KINDS = {
    "order": order,
    "energy": energies,
    "lattice": lattice,
    "ratio": ratio,
    "elastic": elastic,
    "vacancy": vacancy,
    "surface": surface_energy,
    "distance": distance,
    "angle": angle,
    "phonon": phonon,
}
DIGITS = {"order": 0, "energy": 2, "lattice": 3, "ratio": 2, "elastic": 0, "vacancy": 2, "surface": 2, "distance": 3,
          "angle": 1, "phonon": 2}  # fmt: skip
TITLES = {
    "order": "Crystals of one composition: meV/atom above the stable one",
    "energy": "Energies",
    "lattice": "Lattice constants",
    "ratio": "Hexagonal crystals",
    "elastic": "Elastic constants of cubic crystals",
    "vacancy": "Vacancies",
    "surface": "Surfaces",
    "distance": "Molecules: bonds",
    "angle": "Molecules: angles",
    "phonon": "Lowest phonons: below −0.1 THz a crystal is unstable",
}


class Known:
    """The list, with what models say of it.

    Args:
        document: of `known_materials.json`
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.structures: Mapping[str, Sequence[Any]] = document["structures"]
        self.numbers: list[dict[str, Any]] = document["numbers"]
        self.sources: Mapping[str, str] = document["sources"]

    @cached_property
    def teacher(self) -> Values:
        """What the teacher says."""
        return {each["name"]: each["teacher"] for each in self.numbers if each.get("teacher") is not None}

    def measured(self, model: str, console: Console) -> Values:
        """What a model says; what fails is told and left out."""
        materials, values = Materials(self.structures, calculator_of(model)), {}
        for each in self.numbers:
            try:
                values[each["name"]] = KINDS[each["kind"]](materials, each["of"])
            except (GPTFFError, ArithmeticError, ValueError, RuntimeError) as error:
                console.print(f"{model}: {each['name']}: {error}", markup=False, highlight=False)
        return values

    def wrong_orders(self, values: Values) -> list[str]:
        """The orders that the teacher has right and these values do not."""
        orders = [each["name"] for each in self.numbers if each["kind"] == "order"]
        return [name for name in orders if self.teacher.get(name, 0.0) > 0 and not values.get(name, 0.0) > 0]

    def summary(self, values: Values) -> str:
        """How many orders are wrong, and how far elastic constants are from the teacher's on average."""
        elastic = [each["name"] for each in self.numbers if each["kind"] == "elastic"]
        apart = [
            abs(values[name] / self.teacher[name] - 1) for name in elastic if name in values and name in self.teacher
        ]
        wrong, known = self.wrong_orders(values), sum(each["kind"] == "order" for each in self.numbers)
        mean = f"{100 * np.mean(apart):.0f} %" if apart else "none measured"
        listed = f" ({'; '.join(wrong)})" if wrong else ""
        return f"{len(wrong)} of {known} orders wrong{listed}; elastic constants off the teacher's by {mean} on average"

    def rows(self, kind: str, models: Mapping[str, Values]) -> list[list[str]]:
        """Of each number: its name, the values of the models, the teacher's, PBE's and the source of that."""
        found = []
        for each in self.numbers:
            if each["kind"] != kind:
                continue
            given = [values.get(each["name"]) for values in models.values()]
            numbers = [*given, each.get("teacher"), each["pbe"] if kind != "phonon" else None]
            shown = ["–" if value is None else f"{value:.{DIGITS[kind]}f}".replace("-", "−") for value in numbers]
            found.append([each["name"], *shown, each["source"] or ""])
        return found


def page(known: Known, models: Mapping[str, Values]) -> str:
    """The tables as Markdown, after what each model has wrong."""
    head = ["", *models, "teacher", "PBE", "source"]
    lines = [INTRODUCTION, *(f"- **{name}**: {known.summary(values)}" for name, values in models.items()), ""]
    for kind, title in TITLES.items():
        lines += [f"## {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        lines += [f"| {' | '.join(row)} |" for row in known.rows(kind, models)] + [""]
    lines += ["## Sources", "", *(f"- {name}: {work}" for name, work in known.sources.items())]
    return "\n".join(lines) + "\n"


INTRODUCTION = """# Known materials

Well-known properties of materials, by several models. `teacher` is nequix-oam-1-pft, the teacher of
the universal models; PBE values and their sources are given where they are known.
`python benchmarks/known_materials.py` makes this page; its `--gate` refuses weights that order two crystals wrongly
which the teacher orders correctly.
A dash is a calculation that fails, as CHGNet does for molecules, which have no cell.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names, paths, chgnet, matgl:FOLDER, nequix:FILE, module:Class")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), help="of numbers; by default all")
    parser.add_argument("--beside", type=Path, nargs="+", default=[], help="files of --out to show, too")
    parser.add_argument("--out", type=Path, help="file for what was measured")
    parser.add_argument("--page", type=Path, help="file for a page of the documentation")
    parser.add_argument("--gate", action="store_true", help="fail where an order is wrong that the teacher has right")
    parser.add_argument("--teacher", action="store_true", help="keep the values of the one model as the teacher's")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    document = json.loads(DATA.read_text(encoding="utf-8"))
    console = Console(width=160)
    known = Known(document)
    if options.kinds:
        known.numbers = [each for each in known.numbers if each["kind"] in options.kinds]
    models: dict[str, Values] = {}
    for file in options.beside:
        for name, values in json.loads(file.read_text(encoding="utf-8")).items():
            models.setdefault(name, {}).update(values)
    for model in options.models:
        began = time.time()
        models[Path(model.partition(":")[2] or model).stem] = known.measured(model, console)
        console.print(f"{model}: {time.time() - began:.0f} s")
    if options.out is not None:
        options.out.write_text(json.dumps(models, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if options.teacher:
        (values,) = models.values()
        for each in known.numbers:
            each["teacher"] = None if each["name"] not in values else round(values[each["name"]], 4)
        DATA.write_text(written(document), encoding="utf-8")
        return 0
    if options.page is not None:
        options.page.write_text(page(known, models), encoding="utf-8")
    for kind, title in TITLES.items():
        rows = known.rows(kind, models)
        if not rows:
            continue
        table = Table(title=title, title_justify="left")
        for name in ("", *models, "teacher", "PBE", "source"):
            table.add_column(name, justify="left" if name in ("", "source") else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for name, values in models.items():
        console.print(f"{name}: {known.summary(values)}", markup=False, highlight=False)
    return int(options.gate and any(known.wrong_orders(values) for values in models.values()))


def written(document: Mapping[str, Any]) -> str:
    """The list as JSON, a structure or number on a line."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    parts = {key: [f"{line(name)}: {line(value)}" for name, value in document[key].items()]
             for key in ("sources", "structures")}  # fmt: skip
    tables = [f" {line(key)}: {{\n  " + ",\n  ".join(rows) + "\n }" for key, rows in parts.items()]
    numbers = ' "numbers": [\n  ' + ",\n  ".join(line(each) for each in document["numbers"]) + "\n ]"
    return "{\n" + ",\n".join([*tables, numbers]) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
