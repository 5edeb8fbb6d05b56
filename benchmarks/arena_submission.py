"""Files of a submission to MLIP Arena: energies against volume and against distance, and the model's entry.

    python benchmarks/arena_submission.py GPTFF-Universal --crystals wbm_subset.db --about about.yml \
        --model gptff-universal --out mlip-arena

writes into a folder of the layout of MLIP Arena's repository, as its flows of 2026 write it:

    benchmarks/eos_bulk/NAME.parquet, NAME_processed.parquet    crystals relaxed, then at 21 volumes up to ±20 %
    benchmarks/ev/NAME.parquet, NAME_processed.parquet          crystals as given, at 21 lengths up to ±20 %
    benchmarks/diatomics/FAMILY/NAME/XX.extxyz                  energies and forces of two atoms of each element
    mlip_arena/models/externals/FAMILY.py                       the class of the calculator
    registry-NAME.yaml                                          the entry for mlip_arena/models/registry.yaml

Crystals are those of an ASE database with the key ``wbm_id``, or of a file that ``matbench_submission.py`` reads.
Relaxations and energies are computed in batches. Stability and combustion are molecular dynamics, which MLIP Arena's
own flows run with the class. ``about.yml`` has ``family``, ``datasets``, ``license``, ``date``, ``doi`` and ``github``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, vdw_alvarez
from ase.db import connect
from ase.io import write
from matbench_submission import crystals as crystals_of_json
from matbench_submission import read_about
from numpy.typing import NDArray
from pandas import DataFrame
from pymatgen.analysis.eos import BirchMurnaghan, EOSError
from rich.console import Console
from scipy.stats import spearmanr

from torch_gptff import __version__, load_pretrained
from torch_gptff.errors import GPTFFError
from torch_gptff.io.files import written_atomically
from torch_gptff.potential import Potential
from torch_gptff.workflows import relax_many

Array = NDArray[np.float64]
NEEDED = ("family", "datasets", "license", "date", "doi", "github")
N_POINTS, STRAIN = 21, 0.2
STEP = 0.01
"""Between distances of two atoms, Å."""


def crystals(path: Path) -> Iterator[tuple[str, Atoms]]:
    """Names and structures, one at a time."""
    if path.suffix != ".db":
        yield from crystals_of_json(path)
        return
    with connect(path) as database:
        for row in database.select():
            yield row.key_value_pairs["wbm_id"], row.toatoms()


def scaled(atoms: Atoms, factors: Iterable[float]) -> list[Atoms]:
    """Copies whose cells are so many times as long."""
    copies = []
    for factor in factors:
        copies.append(atoms.copy())
        copies[-1].set_cell(atoms.cell * factor, scale_atoms=True)
    return copies


def equation_of_state(atoms: Atoms, potential: Potential) -> dict[str, Any]:
    """A crystal relaxed, then at volumes of 80 to 120 %, where its atoms relax again.

    Raises:
        GPTFFError: a relaxation fails.
    """
    (relaxed,) = _relaxed([atoms], potential)
    factors = np.linspace(1 - STRAIN, 1 + STRAIN, N_POINTS) ** (1 / 3)
    found = _relaxed(scaled(relaxed, factors), potential, fix_cell=True)
    volumes, energies = [each.get_volume() for each in found], [each.get_potential_energy() for each in found]
    fitted: dict[str, float | None] = dict.fromkeys(("K", "b0", "b1", "e0", "v0"))
    fit = BirchMurnaghan(volumes=volumes, energies=energies)
    try:
        fit.fit()
        fitted = {"K": float(fit.b0_GPa), **{name: float(getattr(fit, name)) for name in ("b0", "b1", "e0", "v0")}}
    except EOSError:
        pass  # a curve without a minimum is a result too
    return {"eos": {"volumes": volumes, "energies": energies}, **fitted}


def _relaxed(structures: Sequence[Atoms], potential: Potential, **settings: Any) -> list[Atoms]:
    found: dict[int, Atoms] = {}
    for number, result in relax_many(structures, potential, fmax=0.05, max_steps=1000, **settings):
        if isinstance(result, GPTFFError):
            raise result
        found[number] = result.final
    return [found[number] for number in range(len(structures))]


def energy_volume_scan(atoms: Atoms, potential: Potential) -> dict[str, Any]:
    """A crystal as it is given, at lengths of 80 to 120 %."""
    copies = scaled(atoms, np.linspace(1 - STRAIN, 1 + STRAIN, N_POINTS))
    energies = [found.energy.item() for found in potential.predict(copies, forces=False, stress=False)]
    return {"eos": {"volumes": [each.get_volume() for each in copies], "energies": energies}}


def curve_metrics(volumes: Array, energies: Array) -> dict[str, Any]:
    """How smooth a curve is and how well it rises on both sides of its middle, as MLIP Arena's leaderboards rank it.

    Args:
        volumes: ascending, Å³, ``[P]`` with P odd
        energies: eV, ``[P]``

    Returns:
        the number of turns from down to up or back; the tortuosity, which is the path in energy divided by the height
        of both ends above the middle; and rank correlations of energies and their differences with volumes
    """
    middle = len(energies) // 2
    differences = np.diff(energies)
    kept = differences != 0
    rises = np.sign(differences[kept])
    between = (volumes[1:] + volumes[:-1]) / 2
    heights = np.abs(energies[[0, -1]] - energies[middle]).sum()
    return {
        "energy-diff-flip-times": int((np.diff(rises) != 0).sum()),
        "tortuosity": float(np.abs(differences).sum() / heights),
        "spearman-compression-energy": _rank_correlation(volumes[:middle], energies[:middle]),
        "spearman-compression-derivative": _rank_correlation(between[:middle], differences[:middle]),
        "spearman-tension-energy": _rank_correlation(volumes[middle:], energies[middle:]),
    }


def _rank_correlation(one: Array, other: Array) -> float:
    return float(spearmanr(one, other).statistic)


def processed(
    name: str, crystal: str, atoms: Atoms, found: Mapping[str, Any] | None, own_volume: bool
) -> dict[str, Any]:
    """A row of ``NAME_processed.parquet``.

    Args:
        name: of the model
        crystal: its name
        atoms: as given
        found: volumes and energies, and the bulk modulus ``b0`` in eV/Å³; ``None`` where they could not be computed
        own_volume: whether volumes are divided by that of the middle point, and not by that of the crystal given
    """
    row: dict[str, Any] = {"model": name, "structure": crystal, "formula": atoms.get_chemical_formula()}
    if found is None:
        return {**row, "missing": True}
    order = np.argsort(found["eos"]["volumes"])
    volumes, energies = np.array(found["eos"]["volumes"])[order], np.array(found["eos"]["energies"])[order]
    middle = len(volumes) // 2
    volume = volumes[middle] if own_volume else atoms.get_volume()
    above = energies - energies[middle]
    row |= {"missing": False, "volume-ratio": volumes / volume, "energy-delta-per-atom": above / len(atoms)}
    if own_volume:
        row["energy-delta-per-volume-b0"] = above / (found["b0"] * volume) if found["b0"] else None
    return {**row, **curve_metrics(volumes, energies)}


TASKS = {"eos_bulk": equation_of_state, "ev": energy_volume_scan}


def run_task(task: str, name: str, given: Path, potential: Potential, folder: Path) -> dict[str, str]:
    """Write the two tables of a task; the crystals that failed, and why."""
    raw, rows, failed = [], [], {}
    for crystal, atoms in crystals(given):
        try:
            found = TASKS[task](atoms, potential)
            raw.append({"method": name, "id": crystal, **found})
        except GPTFFError as error:
            found, failed[crystal] = None, str(error)
        rows.append(processed(name, crystal, atoms, found, own_volume=task == "eos_bulk"))
    folder.mkdir(parents=True, exist_ok=True)
    for table, ending in ((raw, ""), (rows, "_processed")):
        with written_atomically(folder / f"{name}{ending}.parquet") as temporary:
            DataFrame(table).to_parquet(temporary)
    return failed


def diatomic(symbol: str, potential: Potential) -> list[Atoms]:
    """Two atoms of an element from 0.9 covalent radii to 3.1 van der Waals radii, or 6 Å, with energies and forces."""
    number = atomic_numbers[symbol]
    radii = vdw_alvarez.vdw_radii
    known = number < len(radii) and np.isfinite(radii[number])
    shortest, longest = 0.9 * covalent_radii[number], 3.1 * radii[number] if known else 6.0
    side = 5 * longest
    frames = []
    for distance in np.linspace(shortest, longest, int((longest - shortest) / STEP)):
        positions = np.full((2, 3), side / 2)
        positions[:, 0] += (-distance / 2, distance / 2)
        frames.append(Atoms(symbol * 2, positions, cell=[side, side + 0.001, side + 0.002], pbc=False))
    for atoms, found in zip(frames, potential.predict(frames, stress=False), strict=True):
        assert found.forces is not None
        atoms.calc = SinglePointCalculator(atoms, energy=found.energy.item(), forces=found.forces.double().numpy())
    return frames


def entry(about: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Of the model in the registry."""
    now = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    return {
        "module": "externals",
        "class": class_name(about),
        "family": about["family"],
        "package": f"torch-gptff=={__version__}",
        "checkpoint": model,
        "last-update": now,
        "datetime": now,
        "gpu-tasks": ["homonuclear-diatomics", "eos_bulk", "ev"],
        "prediction": "EFS",
        "nvt": True,
        "npt": True,
        **{key: value for key, value in about.items() if key != "family"},
    }


def class_name(about: Mapping[str, Any]) -> str:
    """Of the calculator."""
    return str(about.get("class", about["family"].upper()))


CLASS = """from __future__ import annotations

from torch_gptff import GPTFFCalculator


class {class_name}(GPTFFCalculator):
    def __init__(self, checkpoint: str = "{model}", device: str | None = None, **kwargs):
        super().__init__(checkpoint, device=device, **kwargs)
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the model in MLIP Arena")
    parser.add_argument("--crystals", type=Path, required=True, help="an ASE database, or names and structures, JSON")
    parser.add_argument("--about", type=Path, required=True, help="what the model is, YAML")
    parser.add_argument("--model", default="gptff-universal", help="name or path")
    parser.add_argument("--out", type=Path, default=Path("mlip-arena"), help="folder to write to")
    parser.add_argument("--elements", nargs="+", metavar="XX", help="of diatomic curves; by default all of the model's")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)

    about = read_about(parser, options.about, NEEDED)
    console = Console()
    potential = load_pretrained(options.model).double().to(options.device).eval()
    benchmarks = options.out / "benchmarks"
    for task in TASKS:
        failed = run_task(task, options.name, options.crystals, potential, benchmarks / task)
        for crystal, reason in failed.items():
            console.print(f"{task}, {crystal}: {reason}", soft_wrap=True)
    pairs = benchmarks / "diatomics" / about["family"] / options.name
    pairs.mkdir(parents=True, exist_ok=True)
    elements = sorted(potential.model.elements or range(1, len(chemical_symbols)))
    for symbol in options.elements or (chemical_symbols[number] for number in elements):
        with written_atomically(pairs / f"{symbol}{symbol}.extxyz") as temporary:
            write(temporary, diatomic(symbol, potential), format="extxyz")

    externals = options.out / "mlip_arena" / "models" / "externals"
    externals.mkdir(parents=True, exist_ok=True)
    source = CLASS.format(class_name=class_name(about), model=options.model)
    (externals / f"{about['family']}.py").write_text(source, encoding="utf-8")
    told = yaml.safe_dump({options.name: entry(about, options.model)}, sort_keys=False, allow_unicode=True)
    (options.out / f"registry-{options.name}.yaml").write_text(told, encoding="utf-8")
    console.print(str(options.out), soft_wrap=True)


if __name__ == "__main__":
    main()
