"""Thermal expansion from molecular dynamics at constant pressure, beside experiment.

    python examples/thermal_expansion.py                                  # 108 atoms of copper, effective medium theory
    python examples/thermal_expansion.py --steps 50000 --repeat 6         # 864 atoms, 250 ps
    python examples/thermal_expansion.py --model gptff-v1

heats a crystal of copper in steps, prints the volume at each temperature and the linear coefficient of expansion
(16.5e-6 per kelvin in experiment near room temperature), and goes on where it was stopped.
"""

import argparse
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.workflows import MolecularDynamicsRun, MolecularDynamicsSettings, molecular_dynamics


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; effective medium theory without it")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[200, 400, 600])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("thermal_expansion"))
    options = parser.parse_args(arguments)
    crystal = bulk("Cu", cubic=True, a=3.61).repeat(options.repeat)
    calculator = EMT() if options.model is None else GPTFFCalculator(options.model)
    runs: list[MolecularDynamicsRun] = []
    for temperature in options.temperatures:
        settings = MolecularDynamicsSettings(
            ensemble="npt", temperature=temperature, steps=options.steps, timestep=5, thermostat_time=100,
            barostat_time=500, restart_interval=100,
        )  # fmt: skip
        trajectory = options.folder / f"{temperature:g}K.traj"
        run = molecular_dynamics(crystal, calculator, settings, trajectory=trajectory, resume=True)
        volume = run.averages["volume"]
        print(
            f"{temperature:g} K: {volume.mean / len(crystal):.3f} ± {volume.standard_deviation / len(crystal):.3f} "
            f"Å³/atom at {run.averages['temperature'].mean:.0f} K"
        )
        runs.append(run)
    measured = [run.averages["temperature"].mean for run in runs]
    logarithm = np.log([run.averages["volume"].mean for run in runs]) / 3
    coefficient = float(np.polyfit(measured, logarithm, 1)[0])
    print(f"linear expansion {1e6 * coefficient:.1f}e-6 per kelvin (experiment 16.5e-6)")
    return coefficient


if __name__ == "__main__":
    main()
