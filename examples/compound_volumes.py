"""Equations of state of 39 compounds, ionic and metallic: volumes and bulk moduli beside those of DFT.

    python examples/compound_volumes.py DATA/matcalc_ref                                  # the model of the package
    python examples/compound_volumes.py DATA/matcalc_ref --model best.safetensors --out mine

DATA/matcalc_ref is the folder `benchmark_data` of github.com/materialsvirtuallab/matcalc, whose file
`mp-binary-pbe-elasticity-2025.1.json.gz` has crystals of the Materials Project, relaxed by PBE, and their bulk moduli.
Each crystal is relaxed by the model and gets an equation of state about its own volume. The folder receives
`volumes.json`, the picture `volumes.svg`, the table `volumes.md`, and a report with all curves, `volumes.html`. What is
in `volumes.json` is not computed again.

The paper of GPTFF (arXiv:2402.19327, figure 3) has 39 compounds, too, and R² = 0.996 for the volume. These are others:
no compound of this list is in the training data of gptff-universal (its recipe holds them out, `examples/universal`).
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from torch_gptff.record import Record
from torch_gptff.report import Column, Table
from torch_gptff.report.style import SERIES, new_panels, text_in_corner
from torch_gptff.workflows import EquationOfState, equation_of_state, relax
from torch_gptff.workflows.reports.eos import eos_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = "mp-binary-pbe-elasticity-2025.1.json.gz"
MOST_ATOMS = 8
"""Of several crystals of one formula, the first one of the file of at most this size is taken."""

IONIC = (
    *("LiI", "RbH", "CsBr", "MgO", "BaO", "BaSe", "CaTe", "LaSe", "HfN", "ErN", "InP", "NdS"),
    *("PbF2", "Rb2Te", "BeBr2", "ZrS2", "K3P", "KN3", "Lu2O3", "Bi2Se3"),
)
METALLIC = (
    *("AlRu", "ScRu", "LiPd", "YCd", "ZrZn", "TiAu", "HfAl3", "VPt3", "ErGa3", "LaPb3", "ScAu3", "ZnPd3", "Mg3Cd"),
    *("K3Sn", "In2Bi", "TiAl2", "ZrNi2", "SrAg2", "BaAl4"),
)
KINDS = {"ionic": IONIC, "metallic": METALLIC}


@dataclass(frozen=True)
class Compound(Record):
    """A compound, by DFT and by a model.

    Attributes:
        formula: of the compound
        kind: ``"ionic"`` or ``"metallic"``
        source: name of the crystal in the Materials Project
        reference_volume: by PBE, Å³ per atom
        reference_modulus: bulk modulus by PBE, Voigt–Reuss–Hill average, GPa
        curve: equation of state by the model
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("kind", value=lambda each: each.kind),
        Column("crystal", value=lambda each: each.source),
        Column("V₀, PBE", "Å³/atom", 3, lambda each: each.reference_volume),
        Column("V₀", "Å³/atom", 3, lambda each: each.volume),
        Column("error", "%", 2, lambda each: 100 * (each.volume / each.reference_volume - 1)),
        Column("B₀, PBE", "GPa", 1, lambda each: each.reference_modulus),
        Column("B₀", "GPa", 1, lambda each: each.modulus),
    )

    formula: str
    kind: str
    source: str
    reference_volume: float
    reference_modulus: float
    curve: EquationOfState

    @property
    def volume(self) -> float:
        """By the model, Å³ per atom; not a number where the curve has no minimum."""
        return self.curve.fit.volume / len(self.curve.atoms) if self.curve.fits else float("nan")

    @property
    def modulus(self) -> float:
        """Bulk modulus by the model, GPa; not a number where the curve has no minimum."""
        return self.curve.fit.bulk_modulus if self.curve.fits else float("nan")


@dataclass(frozen=True)
class Compounds(Record):
    """Compounds, and the model that they were computed with.

    Attributes:
        model: its name or path
        compounds: in the order of the list
    """

    model: str
    compounds: tuple[Compound, ...]

    def numbers(self) -> dict[str, float]:
        """Coefficients of determination, and mean absolute relative errors in per cent, of those with a minimum."""
        found = [each for each in self.compounds if each.curve.fits]
        volumes = np.array([(each.reference_volume, each.volume) for each in found])
        moduli = np.array([(each.reference_modulus, each.modulus) for each in found])
        return {
            "compounds": float(len(self.compounds)),
            "without a minimum": float(len(self.compounds) - len(found)),
            "R² of V₀": determination(volumes),
            "mean error of V₀ (%)": percents(volumes),
            "R² of B₀": determination(moduli),
            "mean error of B₀ (%)": percents(moduli),
        }


def determination(pairs: NDArray[np.float64]) -> float:
    """Coefficient of determination, ``1 - Σ(y - x)² / Σ(x - x̄)²``.

    Args:
        pairs: known values x and predicted ones y, ``[N, 2]``
    """
    known, predicted = pairs.T
    return float(1 - ((predicted - known) ** 2).sum() / ((known - known.mean()) ** 2).sum())


def percents(pairs: NDArray[np.float64]) -> float:
    """Mean of the absolute relative errors, per cent; pairs as in :func:`determination`."""
    return float(100 * np.abs(pairs[:, 1] / pairs[:, 0] - 1).mean())


def references(folder: Path, formulas: Sequence[str]) -> list[tuple[str, dict[str, Any], Atoms]]:
    """Formula, record and structure of each compound, in the order of the list.

    Raises:
        SystemExit: the file has none of a formula.
    """
    with gzip.open(folder / FILE) as file:
        records = [each for each in json.load(file) if len(each["structure"]["sites"]) <= MOST_ATOMS]
    crystals = []
    for formula in formulas:
        found = next((each for each in records if each["formula"] == formula), None)
        if found is None:
            raise SystemExit(f"{folder / FILE} has no {formula} of at most {MOST_ATOMS} atoms")
        crystals.append((formula, found, AseAtomsAdaptor.get_atoms(Structure.from_dict(found["structure"]))))
    return crystals


def compute(
    folder: Path, calculator: Any, model: str, out: Path, kinds: Mapping[str, Sequence[str]], points: int = 13
) -> Compounds:
    """Equations of state of compounds, which are kept in ``volumes.json`` as they come.

    Args:
        folder: of :data:`FILE`
        calculator: any ASE calculator, or a potential
        model: its name
        out: folder of the results
        kinds: formulas by kind
        points: number of volumes from 0.94 to 1.06 of that of the relaxed crystal
    """
    path = out / "volumes.json"
    before = Compounds.load(path) if path.is_file() else Compounds(model, ())
    if before.model != model:
        raise SystemExit(f"{path} is of {before.model}, and this is {model}: name another folder by --out")
    done = {each.formula: each for each in before.compounds}
    kind_of = {formula: kind for kind, formulas in kinds.items() for formula in formulas}
    for formula, record, atoms in references(folder, list(kind_of)):
        if formula not in done:
            relaxed = relax(atoms, calculator, fmax=0.01, keep_symmetry=True).final
            ratios = np.linspace(0.94, 1.06, points).tolist()
            curve = equation_of_state(relaxed, calculator, ratios=ratios, relax_positions=True, follow=3)
            volume = atoms.get_volume() / len(atoms)
            done[formula] = Compound(
                formula, kind_of[formula], record["mp_id"], volume, record["bulk_modulus_vrh"], curve
            )
            out.mkdir(parents=True, exist_ok=True)
            Compounds(model, tuple(done.values())).save(path)
        each = done[formula]
        print(f"{formula}: {each.volume:.3f} Å³/atom, PBE {each.reference_volume:.3f}", flush=True)
    return Compounds(model, tuple(done[formula] for formula in kind_of))


def picture(compounds: Compounds) -> Figure:
    """Volumes and bulk moduli by the model against those of DFT."""
    figure, axes = new_panels(7.2, 3.5, [1.0, 1.0])
    figure.delaxes(axes[1])
    right = figure.add_subplot(1, 2, 2)
    right.grid(visible=True, linewidth=0.5)
    right.spines[["top", "right"]].set_visible(False)
    right.spines[["bottom", "left"]].set_linewidth(0.8)
    right.tick_params(labelsize=9)
    numbers = compounds.numbers()
    for place, symbol, unit in ((axes[0], "V₀", "Å³/atom"), (right, "B₀", "GPa")):
        is_volume = symbol == "V₀"
        for k, kind in enumerate(KINDS):
            group = [each for each in compounds.compounds if each.kind == kind and each.curve.fits]
            x = [each.reference_volume if is_volume else each.reference_modulus for each in group]
            y = [each.volume if is_volume else each.modulus for each in group]
            place.plot(x, y, "o^"[k], color=SERIES[k], markersize=4.5, alpha=0.85, label=kind)
        diagonal(place)
        place.set_xlabel(f"{symbol} by PBE ({unit})", fontsize=9.5)
        place.set_ylabel(f"{symbol} by the model ({unit})", fontsize=9.5)
        words = f"R² {numbers[f'R² of {symbol}']:.4f}\nmean error {numbers[f'mean error of {symbol} (%)']:.1f} %"
        text_in_corner(place, words)
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def diagonal(axes: Axes) -> None:
    """Draw the diagonal, and give both axes the same range."""
    low, high = (pick([*axes.get_xlim(), *axes.get_ylim()]) for pick in (min, max))
    axes.plot([low, high], [low, high], color=SERIES[7], linewidth=0.8, zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")


def save(compounds: Compounds, out: Path) -> None:
    """Write picture, table and report into a folder."""
    picture(compounds).savefig(out / "volumes.svg", facecolor="white")
    table = Table.of([(each.formula, each) for each in compounds.compounds], Compound.columns, "compound")
    lines = ["| " + " | ".join(f"{name} {unit}".strip() for name, unit in heads(table)) + " |"]
    lines += ["|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(cell.text for cell in row) + " |" for row in table.cells()]
    numbers = [f"{name}: {value:.4g}" for name, value in compounds.numbers().items()]
    (out / "volumes.md").write_text("\n".join([*lines, "", "; ".join(numbers) + "."]) + "\n", encoding="utf-8")
    curves = [(each.formula, each.curve) for each in compounds.compounds]
    eos_report(curves, f"{len(curves)} compounds by {compounds.model}.").save(out / "volumes.html")


def heads(table: Table) -> list[tuple[str, str]]:
    """Names and units of columns."""
    return [(column.name, f"({column.unit})" if column.unit else "") for column in table.columns]


def main(arguments: Sequence[str] | None = None) -> Compounds:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help=f"folder of {FILE}")
    parser.add_argument("--model", default="gptff-universal", help="a checkpoint: a name or a path")
    parser.add_argument("--points", type=int, default=13, help="number of volumes")
    parser.add_argument("--number", type=int, help="of compounds of each kind; by default all")
    parser.add_argument("--out", type=Path, default=Path("volumes"), help="a folder for all files")
    options = parser.parse_args(arguments)

    from torch_gptff import load_pretrained

    kinds = {kind: formulas[: options.number] for kind, formulas in KINDS.items()}
    potential = load_pretrained(options.model).double()
    compounds = compute(options.data, potential, options.model, options.out, kinds, options.points)
    save(compounds, options.out)
    for name, value in compounds.numbers().items():
        print(f"{name}: {value:.4g}")
    return compounds


if __name__ == "__main__":
    main()
