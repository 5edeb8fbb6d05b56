"""Files of a submission to Matbench Discovery: crystals relaxed by a model, and their formation energies.

    python benchmarks/matbench_submission.py 2022-10-19-wbm-init-structs.jsonl.gz --about about.yml \
        --references 2023-02-07-mp-elemental-reference-entries.json.gz --model gptff-universal --workers 8

writes three files below ``models/``, as Matbench Discovery's ``contributing.md`` of July 2026 describes them:

    FAMILY/KEY.yml                       what the model is
    FAMILY/KEY/DATE-geo-opt.jsonl.gz     material_id, structure, energy, converged, n_steps: a line for each crystal
    FAMILY/KEY/DATE-discovery.csv.gz     material_id, e_form_per_atom, which is empty for a crystal without a result

Crystals are those of a JSON file, or of one JSON document a line, with ``material_id`` and ``initial_structure`` or
``structure`` of pymatgen: its ``wbm-init-structs``, or a few for a trial. Energies of elements, eV/atom, are those of
``mp-elemental-reference-entries``, or numbers by symbol. Energies are corrected as
:func:`torch_gptff.workflows.mp2020_correction` does, so that those of the model must be PBE and PBE+U as the Materials
Project calculates them.

``about.yml`` has what a model does not know of itself: ``family``, ``model_key``, ``model_name``, ``model_version``,
``authors``, ``dates``, ``doi``, ``paper``, ``repo``, ``pr_url``, ``checkpoint_url``, ``license``, ``openness``,
``training_sets``, and whatever else their schema allows. A run that was stopped goes on when it is started again, from
``KEY/relaxations.jsonl``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedEntry
from pymatgen.io.ase import AseAtomsAdaptor
from rich.console import Console
from rich.table import Table

from torch_gptff import __version__, load_pretrained
from torch_gptff.datasets.readers.files import open_text
from torch_gptff.datasets.readers.json_stream import stream_items
from torch_gptff.errors import HullError
from torch_gptff.io.files import written_atomically
from torch_gptff.potential import Potential
from torch_gptff.workflows import Relaxation, mp2020_correction, screen
from torch_gptff.workflows.screening import Failure, ScreeningResults, Task, open_executor
from torch_gptff.workflows.screening.results import key_of

NEEDED = (
    *("family", "model_key", "model_name", "model_version", "authors", "dates", "doi", "paper", "repo", "pr_url"),
    *("checkpoint_url", "license", "openness", "training_sets"),
)
"""Of ``about.yml``, which their schema requires and this script cannot know."""

DIGITS = 4
"""Of formation energies, as their own runner rounds them."""


def crystals(path: Path) -> Iterator[tuple[str, Atoms]]:
    """Names and structures, one at a time."""
    for document in _documents(path):
        structure = Structure.from_dict(document.get("initial_structure") or document["structure"])
        atoms = AseAtomsAdaptor.get_atoms(structure)
        yield document["material_id"], Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    with open_text(path) as file:
        is_list = file.read(1) == "["
    if is_list:
        yield from (document for _, document in stream_items(path))
        return
    with open_text(path) as file:
        yield from map(json.loads, file)


def reference_energies(path: Path) -> dict[str, float]:
    """Energies of the elements, eV/atom, by symbol."""
    with open_text(path) as file:
        found = json.load(file)
    return {
        symbol: float(each) if isinstance(each, int | float) else ComputedEntry.from_dict(each).energy_per_atom
        for symbol, each in found.items()
    }


def formation_energy(atoms: Atoms, energy: float, references: Mapping[str, float]) -> float:
    """Of a crystal from its elements, with the corrections of the Materials Project, eV/atom.

    Args:
        atoms: the crystal
        energy: of its cell, eV, without corrections
        references: of the elements, eV/atom

    Raises:
        HullError: pymatgen has no correction for the crystal, or an element has no reference energy.
    """
    counts: dict[str, int] = atoms.symbols.formula.count()
    missing = sorted(set(counts) - set(references))
    if missing:
        raise HullError(f"{atoms.symbols}: there is no reference energy of {', '.join(missing)}")
    of_elements = sum(number * references[symbol] for symbol, number in counts.items())
    return (energy + mp2020_correction(atoms) - of_elements) / len(atoms)


Result = tuple[str, Relaxation | Failure | None, float | None]
"""A crystal's name, its relaxation, and its formation energy, eV/atom."""


def with_formation_energies(
    found: Iterable[tuple[str, Relaxation | Failure | None]], references: Mapping[str, float], reasons: Counter[str]
) -> Iterator[Result]:
    """Relaxations with formation energies; why there is none is counted in ``reasons``."""
    for name, result in found:
        formation = None
        if isinstance(result, Relaxation):
            try:
                formation = formation_energy(result.final, result.energy, references)
            except HullError as error:
                reasons[type(error).__name__] += 1
        else:
            reasons["its worker died" if result is None else result.reason] += 1
        yield name, result, formation


def write_predictions(folder: Path, day: str, results: Iterable[Result]) -> tuple[Path, Path]:
    """The files of formation energies and of structures."""
    energies, structures = folder / f"{day}-discovery.csv.gz", folder / f"{day}-geo-opt.jsonl.gz"
    with (
        written_atomically(energies) as first,
        written_atomically(structures) as second,
        gzip.open(first, "wt", newline="") as energy_file,
        gzip.open(second, "wt") as structure_file,
    ):
        rows = csv.writer(energy_file, lineterminator="\n")
        rows.writerow(["material_id", "e_form_per_atom"])
        for name, result, formation in results:
            rows.writerow([name, "" if formation is None else round(formation, DIGITS)])
            if formation is not None:
                assert isinstance(result, Relaxation)
                structure_file.write(json.dumps(_relaxed(name, result), allow_nan=False) + "\n")
    return energies, structures


def _relaxed(name: str, relaxation: Relaxation) -> dict[str, Any]:
    bare = Atoms(
        relaxation.final.numbers, relaxation.final.positions, cell=relaxation.final.cell, pbc=relaxation.final.pbc
    )
    return {
        "material_id": name,
        "structure": AseAtomsAdaptor.get_structure(bare).as_dict(),
        "energy": relaxation.energy,
        "converged": relaxation.converged,
        "n_steps": relaxation.n_steps,
    }


def metadata(
    about: Mapping[str, Any], potential: Potential, settings: Mapping[str, Any], energies: Path, structures: Path
) -> dict[str, Any]:
    """What stands in ``KEY.yml``."""
    model = potential.model
    transformer = getattr(model.config, "transformer", "none")
    packages = ("torch", "torch-geometric", "ase", "pymatgen", "numpy")
    own: dict[str, Any] = {
        "lifecycle": "active",
        "environment": {
            "dependencies": [
                f"torch-gptff=={__version__}",
                *(f"{name}=={_public(version(name))}" for name in packages),
            ],
            "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        },
        "architecture_types": ["gnn"] if transformer == "none" else ["gnn", "transformer"],
        "train_task": "S2EFS",
        "test_task": "IS2RE-SR",
        "targets": "EFS_G",
        "model_params": sum(parameter.numel() for parameter in model.parameters()),
        "hyperparams": {
            "evaluation": {
                "max_force": settings["fmax"],
                "max_steps": settings["max_steps"],
                "ase_optimizer": settings["optimizer"],
                "cell_filter": "FrechetCellFilter",
            },
            "architecture": {"graph_construction_radius": float(model.cutoff), "max_neighbors": None},
        },
    }
    given = {name: value for name, value in about.items() if name != "family"}
    folder = f"models/{about['family']}/{about['model_key']}"
    files = {"geo_opt": structures, "discovery": energies}
    metrics = {task: {"pred_file": _reference(folder, path)} for task, path in files.items()}
    return {**own, **given, "metrics": {**given.get("metrics", {}), **metrics}}


def _public(version: str) -> str:
    """Of a package, without what tells one build of it from another, which registries of packages do not have."""
    return version.split("+")[0]


def _reference(folder: str, path: Path) -> dict[str, Any]:
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return {"name": f"{folder}/{path.name}", "size": path.stat().st_size, "md5": digest}


def read_about(parser: argparse.ArgumentParser, path: Path, needed: Sequence[str]) -> dict[str, Any]:
    """Facts about a model from a file of YAML; where one is missing, the parser ends the program and names it."""
    about: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    missing = [name for name in needed if name not in about]
    if missing:
        parser.error(f"{path} lacks {', '.join(missing)}")
    return about


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crystals", type=Path, help="names and structures, JSON")
    parser.add_argument("--about", type=Path, required=True, help="what the model is, YAML")
    parser.add_argument("--references", type=Path, required=True, help="energies of the elements, JSON")
    parser.add_argument("--model", default="gptff-universal", help="name or path")
    parser.add_argument("--reference", help="source whose energies the model gives, where it has several")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder to write to")
    parser.add_argument("--date", type=date.fromisoformat, default=date.today(), help="in the names of the files")
    parser.add_argument("--fmax", type=float, default=0.05, help="largest force of a relaxed crystal, eV/Å")
    parser.add_argument("--max-steps", type=int, default=500)
    parser.add_argument("--optimizer", default="LBFGS", help="of torch-gptff relax")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    parser.add_argument("--device")
    parser.add_argument("--workers", type=int, default=1, help="processes of this machine")
    parser.add_argument("--scheduler", help="address of a Dask scheduler, whose workers do the work")
    options = parser.parse_args(arguments)

    about = read_about(parser, options.about, NEEDED)
    folder = options.out / about["family"] / about["model_key"]
    folder.mkdir(parents=True, exist_ok=True)
    references = reference_energies(options.references)
    settings = {"fmax": options.fmax, "max_steps": options.max_steps, "optimizer": options.optimizer}
    model = {name: getattr(options, name) for name in ("model", "dtype", "device", "reference")}

    journal = folder / "relaxations.jsonl"
    with open_executor(options.scheduler, options.workers) as (pool, n_workers):
        given = (atoms for _, atoms in crystals(options.crystals))
        for _ in screen(given, "relax", executor=pool, journal=journal, in_flight=4 * n_workers, **model, **settings):
            pass

    reasons: Counter[str] = Counter()
    task = Task("relax", **model, settings=settings)
    with ScreeningResults(journal, task.identity()) as results:
        found = ((name, _result(results, atoms)) for name, atoms in crystals(options.crystals))
        energies, structures = write_predictions(
            folder, options.date.isoformat(), with_formation_energies(found, references, reasons)
        )
    told = metadata(about, load_pretrained(options.model), settings, energies, structures)
    with written_atomically(folder.with_name(f"{folder.name}.yml")) as temporary:
        temporary.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")

    console = Console()
    console.print(f"{energies}\n{structures}\n{folder}.yml", soft_wrap=True)
    if reasons:
        table = Table("without a formation energy", "crystals")
        for reason, number in reasons.most_common():
            table.add_row(reason, str(number))
        console.print(table)


def _result(results: ScreeningResults, atoms: Atoms) -> Relaxation | Failure | None:
    key = key_of(atoms)
    if key not in results:
        return None
    document = results[key]
    return Failure.from_dict(document) if document["record"] == Failure.__name__ else Relaxation.from_dict(document)


if __name__ == "__main__":
    main()
