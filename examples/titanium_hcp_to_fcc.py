"""Titanium under strain until it leaves hcp: molecular dynamics, diffraction and analysis of local structure.

    python examples/titanium_hcp_to_fcc.py                                  # 96 atoms, minutes on two cores
    python examples/titanium_hcp_to_fcc.py --model gptff-v1 --axis a        # another model, another direction
    python examples/titanium_hcp_to_fcc.py --paper --seeds 3                # 1,008 atoms, three runs
    python examples/titanium_hcp_to_fcc.py --paper --steps 10000 30000      # two strain rates

The crystal is in the orthorhombic cell of hcp: a along [2-1-10], b along [01-10], c along [0001]. One of them is
stretched at a constant rate and at 100 K, while the other two relax to no stress. The folder receives the trajectory of
every run (one that was stopped goes on where it was when the same command is given again), its diffraction patterns as
a map against the strain, and the fractions of atoms in hcp, fcc and bcc surroundings; of all runs together
`titanium.svg`, and `titanium.md` with the energies of the three lattices.

Beside it: the paper of GPTFF (arXiv:2402.19327) sees fcc titanium in 1,008 atoms at about 100 K, by a peak near 38°.
nequix-oam-1-pft, which labels the training frames of gptff-universal, has fcc 40 and bcc 78 meV/atom above hcp.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from torch_gptff.report.style import SERIES, color_map, new_panels
from torch_gptff.workflows import (
    DiffractionSeries,
    MolecularDynamicsSettings,
    diffraction_series,
    iterate_frames,
    molecular_dynamics,
    relax,
)
from torch_gptff.workflows.reports.diffraction import diffraction_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL, PAPER = (4, 2, 3), (7, 6, 6)
"""Orthorhombic cells of four atoms along a, b and c: 96 and 1,008 atoms."""

TEACHER = {"hcp": 0.0, "fcc": 40.0, "bcc": 78.0}
"""Energies by nequix-oam-1-pft, meV/atom."""


def titanium(repeat: tuple[int, int, int], calculator: Any) -> Atoms:
    """Relaxed hcp titanium in so many orthorhombic cells."""
    cell = bulk("Ti", "hcp", a=2.95, c=4.68, orthorhombic=True)
    return relax(cell, calculator, fmax=0.01, keep_symmetry=True).final.repeat(repeat)


def lattices(calculator: Any) -> dict[str, float]:
    """Energies of relaxed lattices relative to hcp, meV/atom."""
    crystals = {
        "hcp": bulk("Ti", "hcp", a=2.95, c=4.68),
        "fcc": bulk("Ti", "fcc", a=4.11),
        "bcc": bulk("Ti", "bcc", a=3.25),
    }
    energies = {}
    for name, atoms in crystals.items():
        relaxation = relax(atoms, calculator, fmax=0.005, keep_symmetry=True)
        energies[name] = 1000 * relaxation.energy / len(atoms)
    return {name: energy - energies["hcp"] for name, energy in energies.items()}


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
    seed: int = 0,
) -> DiffractionSeries:
    """Stretch a crystal along one of its cell vectors; the trajectory and its diffraction are written into a folder.

    Args:
        atoms: the crystal
        calculator: any ASE calculator
        folder: folder of ``titanium-AXIS-STEPS-SEED.traj``, ``.json`` and ``.html``
        axis: the cell vector, ``"a"``, ``"b"`` or ``"c"``
        strain: strain at the end
        temperature: temperature, K
        steps: number of steps
        timestep: time step, fs
        n_frames: number of frames that are kept
        seed: of the velocities at the beginning
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
        seed=seed,
    )
    name = f"titanium-{axis}-{steps}-{seed}"
    trajectory = folder / f"{name}.traj"
    run = molecular_dynamics(atoms, calculator, settings, trajectory=trajectory, resume=True)
    if run.problem is not None:
        print(f"stopped: {run.problem}; what came before is analysed")
    series = diffraction_series(iterate_frames(trajectory), two_theta=(30.0, 60.0))
    series.save(folder / f"{name}.json")
    rate = strain / (steps * timestep) * 1e6
    about = f"Ti, {len(atoms)} atoms at {temperature:g} K, pulled along {axis} at a strain rate of {rate:.2g} per ns."
    diffraction_report(series, f"strain-{axis}", about).save(folder / f"{name}.html")  # type: ignore[arg-type]
    return series


def tell(series: DiffractionSeries, axis: str) -> None:
    """Print the fractions of structures during the run."""
    assert series.fractions is not None
    strains = 100 * series.strain("abc".index(axis))
    print(f"strain of {axis}   " + "   ".join(f"{name:>5}" for name in series.structures))
    for n in np.linspace(0, len(strains) - 1, 11).round().astype(int):
        print(f"{strains[n]:8.1f} %   " + "   ".join(f"{100 * share:4.0f}%" for share in series.fractions[n]))
    strain, most = most_fcc(series, axis)
    print(f"most fcc: {100 * most:.0f} % of the atoms, at a strain of {strain:.1f} %")


def most_fcc(series: DiffractionSeries, axis: str) -> tuple[float, float]:
    """Strain in per cent at which the fraction of fcc is largest, and this fraction."""
    assert series.fractions is not None
    fcc = series.fractions[:, series.structures.index("fcc")]
    return 100 * float(series.strain("abc".index(axis))[fcc.argmax()]), float(fcc.max())


def picture(runs: Mapping[str, DiffractionSeries], axis: str) -> Figure:
    """Diffraction against strain in the first run, and beside it fractions of hcp, fcc and bcc in all runs."""
    figure, (left, right) = new_panels(7.2, 3.8, [1.25, 1.0])
    first = next(iter(runs.values()))
    strains = 100 * first.strain("abc".index(axis))
    intensities = np.sqrt(first.profiles)
    left.pcolormesh(first.two_theta, strains, intensities, cmap=color_map(), shading="nearest", rasterized=True)
    left.set_xlabel("2θ (°)")
    left.set_ylabel(f"strain along {axis} (%)")
    left.grid(visible=False)
    for k, name in enumerate(("hcp", "fcc", "bcc")):
        for number, series in enumerate(runs.values()):
            assert series.fractions is not None
            share = 100 * series.fractions[:, series.structures.index(name)]
            label = name if number == 0 else None
            right.plot(share, 100 * series.strain("abc".index(axis)), color=SERIES[k], linewidth=1.2, label=label)
    right.set_xlabel("atoms (%)")
    right.set_ylim(0, float(strains.max()))
    right.legend(frameon=False, loc="lower center")
    return figure


def table(runs: Mapping[str, DiffractionSeries], axis: str, energies: Mapping[str, float], about: str) -> str:
    """Energies of the lattices, and fractions at some strains of every run, in Markdown."""
    lines = ["| lattice | meV/atom | by the teacher |", "| --- | --- | --- |"]
    lines += [f"| {name} | {energy:.0f} | {TEACHER[name]:.0f} |" for name, energy in energies.items()]
    lines += ["", about, ""]
    lines += [f"| run | strain of {axis} | hcp | fcc | bcc | other |", "| --- | --- | --- | --- | --- | --- |"]
    for label, series in runs.items():
        assert series.fractions is not None
        strains = 100 * series.strain("abc".index(axis))
        for n in np.linspace(0, len(strains) - 1, 11).round().astype(int):
            of = dict(zip(series.structures, 100 * series.fractions[n], strict=True))
            known = [of.pop(name) for name in ("hcp", "fcc", "bcc")]
            shares = " | ".join(f"{each:.0f} %" for each in (*known, sum(of.values())))
            lines.append(f"| {label} | {strains[n]:.0f} % | {shares} |")
    lines.append("")
    for label, series in runs.items():
        strain, most = most_fcc(series, axis)
        lines.append(f"- {label}: most fcc, {100 * most:.0f} % of the atoms, at a strain of {strain:.1f} %")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> dict[str, DiffractionSeries]:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; the one that comes with the package without it")
    parser.add_argument("--axis", choices=("a", "b", "c"), default="c", help="the cell vector that is stretched")
    parser.add_argument("--strain", type=float, default=0.3, help="at the end")
    parser.add_argument("--steps", type=int, nargs="+", help="time steps of a run; several for several strain rates")
    parser.add_argument("--timestep", type=float, default=2.0, help="time step, fs")
    parser.add_argument("--seeds", type=int, default=1, help="number of runs at each strain rate")
    parser.add_argument("--paper", action="store_true", help="the size of the paper")
    parser.add_argument("--out", type=Path, default=Path("titanium"), help="a folder for all files")
    options = parser.parse_args(arguments)

    from torch_gptff.calculators import GPTFFCalculator

    calculator = GPTFFCalculator() if options.model is None else GPTFFCalculator(options.model)
    energies = lattices(calculator)
    print("   ".join(f"{name} {energy:.0f} meV/atom" for name, energy in energies.items()))
    atoms = titanium(PAPER if options.paper else SMALL, calculator)
    options.out.mkdir(parents=True, exist_ok=True)
    began, runs = time.perf_counter(), {}
    is_new = not any(options.out.glob("*.traj"))
    for steps in options.steps or [100_000 if options.paper else 10_000]:
        for seed in range(options.seeds):
            rate = options.strain / (steps * options.timestep * 1e-6)
            series = pull(
                atoms, calculator, options.out, axis=options.axis, strain=options.strain, steps=steps,
                timestep=options.timestep, seed=seed,
            )  # fmt: skip
            tell(series, options.axis)
            runs[f"{rate:.3g} per ns, seed {seed}"] = series
    cost = f", {(time.perf_counter() - began) / 60:.0f} minutes in all" if is_new else ""
    about = f"{len(atoms):,} atoms at 100 K, stretched along {options.axis}{cost}:"
    picture(runs, options.axis).savefig(options.out / "titanium.svg", facecolor="white")
    (options.out / "titanium.md").write_text(table(runs, options.axis, energies, about), encoding="utf-8")
    return runs


if __name__ == "__main__":
    main()
