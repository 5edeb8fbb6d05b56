"""Equations of state of crystals, compared with experiment.

    python examples/equation_of_state.py                     # copper, effective medium theory, in seconds
    python examples/equation_of_state.py --model gptff-v1    # silicon, salt, copper and tungsten, by a checkpoint

prints equilibrium volume, bulk modulus and its derivative beside those of experiment, and writes a report.
"""

import argparse
from pathlib import Path

from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff import load_pretrained
from torch_gptff.workflows import EquationOfState, equation_of_state
from torch_gptff.workflows.reports.eos import eos_report

CRYSTALS = {
    "Si": (bulk("Si", "diamond", a=5.43), 20.02, 98.8),
    "NaCl": (bulk("NaCl", "rocksalt", a=5.64), 22.43, 24.9),
    "Cu": (bulk("Cu", "fcc", a=3.61), 11.81, 142.0),
    "W": (bulk("W", "bcc", a=3.16), 15.85, 314.0),
}
"""Volume per atom (Å³) and bulk modulus (GPa) of experiment near room temperature (C. Kittel, Introduction to Solid
State Physics, 8th edition, chapters 1 and 3; NaCl: elastic constants of chapter 3)."""


def compute(model: str | None) -> dict[str, EquationOfState]:
    """One curve for each crystal, from 0.9 to 1.1 times the volume of experiment."""
    names = ["Cu"] if model is None else list(CRYSTALS)
    calculator = EMT() if model is None else load_pretrained(model).double()
    ratios = [0.9 + 0.0125 * number for number in range(17)]
    return {name: equation_of_state(CRYSTALS[name][0], calculator, ratios=ratios) for name in names}


def main(arguments: list[str] | None = None) -> dict[str, EquationOfState]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; effective medium theory without it")
    parser.add_argument("--report", type=Path, default=Path("equation_of_state.html"))
    options = parser.parse_args(arguments)
    curves = compute(options.model)
    for name, curve in curves.items():
        _, volume, modulus = CRYSTALS[name]
        if not curve.fits:
            print(f"{name}: {curve.problem}")
            continue
        fit = curve.fit
        print(
            f"{name}: V0 {fit.volume / len(curve.atoms):.2f} Å³/atom (experiment {volume}), "
            f"B0 {fit.bulk_modulus:.0f} GPa (experiment {modulus:.0f}), B0' {fit.bulk_modulus_derivative:.1f}"
        )
    eos_report(list(curves.items()), options.model or "Effective medium theory.").save(options.report)
    return curves


if __name__ == "__main__":
    main()
