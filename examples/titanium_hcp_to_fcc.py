"""Titanium under strain until it leaves hcp: molecular dynamics, diffraction and analysis of local structure.

    python examples/titanium_hcp_to_fcc.py                                  # 96 atoms, minutes on two cores
    python examples/titanium_hcp_to_fcc.py --model gptff-v1 --axis a        # another model, another direction
    python examples/titanium_hcp_to_fcc.py --paper                          # 1,008 atoms, ten times as slow a strain

The crystal is in the orthorhombic cell of hcp: a along [2-1-10], b along [01-10], c along [0001]. One of them is
stretched at a constant rate and at 100 K, while the other two relax to no stress. The folder receives the trajectory
(a run that was stopped goes on where it was when the same command is given again), the diffraction patterns as a map
against the strain, and the fractions of atoms in hcp, fcc and bcc surroundings.

Beside it: the paper of GPTFF (arXiv:2402.19327) sees fcc titanium in 1,008 atoms at about 100 K.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from torch_gptff.workflows import (
    DiffractionSeries,
    MolecularDynamicsSettings,
    diffraction_series,
    iterate_frames,
    molecular_dynamics,
    relax,
)
from torch_gptff.workflows.reports.diffraction import diffraction_report

SMALL, PAPER = (4, 2, 3), (7, 6, 6)
"""Orthorhombic cells of four atoms along a, b and c: 96 and 1,008 atoms."""


def titanium(repeat: tuple[int, int, int], calculator: Any) -> Atoms:
    """Relaxed hcp titanium in so many orthorhombic cells."""
    cell = bulk("Ti", "hcp", a=2.95, c=4.68, orthorhombic=True)
    return relax(cell, calculator, fmax=0.01, keep_symmetry=True).final.repeat(repeat)


def pull(
    atoms: Atoms,
    calculator: Any,
    folder: Path,
    *,
    axis: str = "c",
    strain: float = 0.3,
    temperature: float = 100.0,
    steps: int = 10_000,
    timestep: float = 2.0,
    n_frames: int = 50,
) -> DiffractionSeries:
    """Stretch a crystal along one of its cell vectors; the trajectory and its diffraction are written into a folder.

    Args:
        atoms: the crystal
        calculator: any ASE calculator
        folder: folder of ``titanium-AXIS.traj``, ``.json`` and ``.html``
        axis: the cell vector, ``"a"``, ``"b"`` or ``"c"``
        strain: strain at the end
        temperature: temperature, K
        steps: number of steps
        timestep: time step, fs
        n_frames: number of frames that are kept
    """
    settings = MolecularDynamicsSettings(
        ensemble="npt",
        cell="anisotropic",
        temperature=temperature,
        steps=steps,
        timestep=timestep,
        interval=steps // n_frames,
        restart_interval=steps // n_frames,
        strain=strain,
        strain_axis=axis,
    )
    trajectory = folder / f"titanium-{axis}.traj"
    run = molecular_dynamics(atoms, calculator, settings, trajectory=trajectory, resume=True)
    if run.problem is not None:
        print(f"stopped: {run.problem}; what came before is analysed")
    series = diffraction_series(iterate_frames(trajectory), two_theta=(30.0, 60.0))
    series.save(folder / f"titanium-{axis}.json")
    rate = strain / (steps * timestep) * 1e6
    about = f"Ti, {len(atoms)} atoms at {temperature:g} K, pulled along {axis} at a strain rate of {rate:.2g} per ns."
    diffraction_report(series, f"strain-{axis}", about).save(folder / f"titanium-{axis}.html")  # type: ignore[arg-type]
    return series


def tell(series: DiffractionSeries, axis: str) -> None:
    """Print the fractions of structures during the run."""
    assert series.fractions is not None
    strains = 100 * series.strain("abc".index(axis))
    print(f"strain of {axis}   " + "   ".join(f"{name:>5}" for name in series.structures))
    for n in np.linspace(0, len(strains) - 1, 11).round().astype(int):
        print(f"{strains[n]:8.1f} %   " + "   ".join(f"{100 * share:4.0f}%" for share in series.fractions[n]))
    fcc = series.fractions[:, series.structures.index("fcc")]
    print(f"most fcc: {100 * fcc.max():.0f} % of the atoms, at a strain of {strains[fcc.argmax()]:.1f} %")


def main(arguments: Sequence[str] | None = None) -> DiffractionSeries:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; the one that comes with the package without it")
    parser.add_argument("--axis", choices=("a", "b", "c"), default="c", help="the cell vector that is stretched")
    parser.add_argument("--strain", type=float, default=0.3, help="at the end")
    parser.add_argument("--steps", type=int, help="of 2 fs")
    parser.add_argument("--paper", action="store_true", help="the size of the paper")
    parser.add_argument("--out", type=Path, default=Path("titanium"), help="a folder for all files")
    options = parser.parse_args(arguments)

    from torch_gptff.calculators import GPTFFCalculator

    calculator = GPTFFCalculator() if options.model is None else GPTFFCalculator(options.model)
    atoms = titanium(PAPER if options.paper else SMALL, calculator)
    steps = options.steps or (100_000 if options.paper else 10_000)
    options.out.mkdir(parents=True, exist_ok=True)
    series = pull(atoms, calculator, options.out, axis=options.axis, strain=options.strain, steps=steps)
    tell(series, options.axis)
    return series


if __name__ == "__main__":
    main()
