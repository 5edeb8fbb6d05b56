"""The ionic conductivity of Li3YCl6: molecular dynamics at several temperatures, diffusion, and an Arrhenius fit.

    python examples/li3ycl6_conductivity.py                             # 30 atoms, 15 ps at two high temperatures
    python examples/li3ycl6_conductivity.py --model gptff-v1 --paper    # 480 atoms, 1 ns in NPT at 300 to 700 K
    python examples/li3ycl6_conductivity.py --model tuned.safetensors --structure ordered.cif --paper --steps 100000

The first takes minutes on two cores and shows how it is done; what it says of conductivity is rough, and the error bars
say how rough. The others want a GPU or days. A run that was stopped goes on where it was when the same command is given
again. `li3ycl6_fine_tune.py` makes a model for it. The folder receives trajectories, `lithium.json`, the report
`lithium.html`, the picture `lithium.svg` and the table `lithium.md`.

Beside it: experiment has 0.51 mS/cm at 300 K and an activation energy of 0.40 eV (Asano et al., Adv. Mater. 30,
1803075, 2018); the paper of GPTFF, after fine-tuning, 0.6 mS/cm, 0.45 eV below 360 K, and a superionic transition at
425 K.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from torch_gptff.report.style import color_map, new_figure
from torch_gptff.workflows import (
    DiffusionSeries,
    IonDensity,
    MolecularDynamicsSettings,
    TrajectoryFile,
    diffusion,
    diffusion_series,
    ion_density,
    ion_motion,
    molecular_dynamics,
    relax,
)
from torch_gptff.workflows.drawing.diffusion import draw_arrhenius
from torch_gptff.workflows.reports.diffusion import diffusion_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BESIDE = {
    "experiment": "0.51 mS/cm at 300 K, 0.40 eV",
    "paper": "0.6 mS/cm at 300 K, 0.45 eV (230 to 360 K), transition at 425 K",
}

SHORTEST_BLOCK = 20.0
"""ps. Lags are fitted from a tenth to a half of a block; below 1 to 2 ps ions vibrate, and jump to and fro."""


def lithium_yttrium_chloride(a: float = 11.2, c: float = 6.05) -> Atoms:
    """Ordered Li9Y3Cl18 in the ideal positions of the trigonal structure.

    Chloride is hexagonally close packed, three by three in a layer, and the cations are in octahedral holes: yttrium in
    (0, 0, 0) and (1/3, 2/3, 1/2), lithium in all six holes left at z = 0 and in three of those at z = 1/2.
    """
    yttrium = [(0, 0, 0), (1, 2, 1), (2, 1, 1)]  # in thirds of a and b, and halves of c
    lithium = [(1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 2, 0), (1, 1, 0), (2, 2, 0), (1, 0, 1), (0, 1, 1), (2, 2, 1)]
    holes = np.array(lithium + yttrium) / [3, 3, 2]
    grid = np.array([(i, j, 0) for i in range(3) for j in range(3)]) / 3
    below, above = np.array([1 / 9, 2 / 9, 1 / 4]), np.array([2 / 9, 1 / 9, 3 / 4])
    fractions = np.concatenate([holes, grid + below, grid + above])
    return Atoms("Li9Y3Cl18", scaled_positions=fractions, cell=[a, a, c, 90, 90, 120], pbc=True)


def conductivity(
    atoms: Atoms,
    calculator: Any,
    temperatures: Sequence[float],
    folder: Path,
    *,
    ensemble: str = "nvt",
    steps: int = 7_500,
    timestep: float = 2.0,
    interval: int = 10,
    skip: float = 2.0,
    n_blocks: int = 10,
    fit_range: tuple[float, float] | None = None,
    name: str = "Li3YCl6",
) -> DiffusionSeries:
    """Run dynamics at every temperature, analyse diffusion, and write trajectories, results and report into a folder.

    Args:
        atoms: relaxed crystal
        calculator: any ASE calculator
        temperatures: temperatures, K
        folder: folder of trajectories, ``lithium.json``, ``lithium.html``, ``lithium.svg`` and ``lithium.md``
        ensemble: ``"nvt"`` or ``"npt"``
        steps: number of steps of each run
        timestep: time step, fs
        interval: number of steps between frames
        skip: time at the beginning of each run that is not analysed, ps
        n_blocks: see :func:`torch_gptff.workflows.diffusion`
        fit_range: range of lags of the fit, ps
        name: name of the conductor, for the report
    """
    runs, densities = {}, {}
    for kelvin in temperatures:
        settings = MolecularDynamicsSettings(
            ensemble=ensemble, steps=steps, timestep=timestep, temperature=kelvin, interval=interval
        )
        path = folder / f"{kelvin:.0f}K.traj"
        run = molecular_dynamics(atoms, calculator, settings, trajectory=path, resume=True)
        if run.problem is not None:
            print(f"{kelvin:.0f} K: {run.problem}; this temperature is left out")
            continue
        with TrajectoryFile(path) as frames:
            motion = ion_motion(frames, "Li", charges={"Li": 1.0}, origin="framework", skip=skip)
        runs[f"{kelvin:.0f} K"] = diffusion(motion, kelvin, n_blocks=n_blocks, fit_range=fit_range)
        densities[f"{kelvin:.0f} K"] = ion_density(motion)
    series = diffusion_series(runs)
    series.save(folder / "lithium.json")
    about = f"{name}, {len(atoms)} atoms, {steps * timestep / 1000:g} ps each."
    diffusion_report(series, densities, about).save(folder / "lithium.html")
    picture(series, densities).savefig(folder / "lithium.svg", facecolor="white")
    (folder / "lithium.md").write_text(f"{about}\n\n{table(series)}", encoding="utf-8")
    return series


def picture(series: DiffusionSeries, densities: Mapping[str, IonDensity]) -> Figure:
    """Conductivities over the inverse temperature, and densities of lithium along c at the ends of the range."""
    figure, left = new_figure(9.0, 3.2)
    left.set_subplotspec(figure.add_gridspec(1, 3)[0])
    if series.nernst_einstein_fit is None:
        left.set_axis_off()
        left.text(0.5, 0.5, "too little diffusion\nfor a line", ha="center", va="center")
    else:
        draw_arrhenius(left, series.nernst_einstein_fit, series)
    labels = list(densities)
    highest = max(float(each.projected(2).max()) for each in densities.values())
    for place, label in ((2, labels[0]), (3, labels[-1])):
        axes = figure.add_subplot(1, 3, place)
        density = densities[label]
        a, b = (float(np.linalg.norm(density.cell[k])) for k in range(2))
        seen = density.projected(2).T
        axes.imshow(seen, origin="lower", extent=(0, a, 0, b), cmap=color_map(), vmin=0, vmax=highest, aspect="equal")
        axes.set_title(f"Li at {label}, along c", fontsize=10)
        axes.set_xlabel("along a (Å)", fontsize=9)
        axes.set_ylabel("along b (Å)", fontsize=9)
        axes.tick_params(labelsize=8)
    return figure


def table(series: DiffusionSeries, beside: Mapping[str, str] = BESIDE) -> str:
    """Diffusion coefficients, conductivities and activation energies in Markdown."""
    lines = ["| run | D, cm²/s | conductivity of independent ions, mS/cm | of all together, mS/cm |"]
    lines += ["| --- | --- | --- | --- |"]
    for label, run in zip(series.labels, series.runs, strict=True):
        ions, together = run.nernst_einstein_conductivity, run.conductivity
        if run.is_diffusive:
            lines.append(f"| {label} | {run.diffusivity} | {ions or '–'} | {together or '–'} |")
        else:
            lines.append(f"| {label} | < {run.upper_bound:.1e} | – | – |")
    lines += ["", "| | activation energy, eV | conductivity at 300 K, mS/cm |", "| --- | --- | --- |"]
    fit = series.nernst_einstein_fit
    if fit is not None:
        room = fit.at(300.0)
        energies = ", ".join(
            f"{line.activation_energy} ({line.temperatures.min():.0f} to {line.temperatures.max():.0f} K)"
            for line in fit.lines
        )
        lines.append(f"| here | {energies} | {room.value:.2g} ({room.low:.2g} to {room.high:.2g}) |")
        if fit.crossing is not None:
            lines += [f"| the two regimes meet at | {fit.crossing} K | |"]
    lines += [f"| {source} | | {value} |" for source, value in beside.items()]
    return "\n".join(lines) + "\n"


def tell(series: DiffusionSeries, beside: Mapping[str, str] = BESIDE) -> None:
    """Print the results beside those of experiment."""
    for label, run in zip(series.labels, series.runs, strict=True):
        if run.is_diffusive and run.conductivity is not None and run.nernst_einstein_conductivity is not None:
            independent = run.nernst_einstein_conductivity
            print(f"{label}: {independent} mS/cm by Nernst and Einstein, {run.conductivity} collectively")
        else:
            print(f"{label}: too little diffusion in {run.duration:g} ps; D < {run.upper_bound:.1e} cm²/s")
        for remark in run.remarks:
            print(f"   {remark}")
    fit = series.nernst_einstein_fit
    if fit is None:
        print("no activation energy: fewer than two temperatures have a valid estimate")
    else:
        for line in fit.lines:
            kelvins = f"{line.temperatures.min():.0f} to {line.temperatures.max():.0f} K"
            print(f"activation energy {line.activation_energy} eV, {kelvins}")
        if fit.crossing is not None:
            print(f"the two regimes meet at {fit.crossing} K")
        room = fit.at(300.0)
        print(
            f"at 300 K: {room.value:.2g} mS/cm, {room.low:.2g} to {room.high:.2g} at 95 % if nothing changes on the way"
        )
    for source, value in beside.items():
        print(f"{source}: {value}")


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gptff-universal", help="a checkpoint: a name or a path")
    parser.add_argument("--structure", help="a file to start from, instead of the ideal ordered structure")
    parser.add_argument("--d3", action="store_true", help="add the D3(BJ) dispersion of PBE to the model")
    parser.add_argument("--paper", action="store_true", help="the size of the paper")
    parser.add_argument("--repeat", type=int, nargs=3, metavar=("A", "B", "C"), help="cells along a, b and c")
    parser.add_argument("--steps", type=int, help="of each run")
    parser.add_argument("--temperatures", type=float, nargs="+", help="K")
    parser.add_argument("--out", type=Path, default=Path("li3ycl6"), help="a folder for all files")
    options = parser.parse_args()

    from torch_gptff.calculators import GPTFFCalculator, with_dispersion
    from torch_gptff.io.structures import read_structures

    calculator: Any = GPTFFCalculator(options.model)
    if options.d3:
        calculator = with_dispersion(calculator)
    atoms = read_structures(options.structure)[0] if options.structure else lithium_yttrium_chloride()
    relaxation = relax(atoms, calculator, fmax=0.02)
    ratio = relaxation.final.get_volume() / atoms.get_volume()
    print(f"relaxed: {relaxation.final.cell.cellpar().round(2)}, converged: {relaxation.converged}")
    print(f"volume: {ratio:.3f} times that of the structure given")
    atoms = relaxation.final * (options.repeat or ((2, 2, 4) if options.paper else (1, 1, 1)))
    temperatures = options.temperatures or (np.arange(300, 701, 50) if options.paper else (800.0, 1000.0))
    size: dict[str, Any] = {"n_blocks": 5, "fit_range": (1.0, 2.5)}
    if options.paper:
        steps = options.steps or 500_000
        picoseconds = steps * 2e-3
        size = {"ensemble": "npt", "steps": steps, "interval": 50, "skip": min(50.0, 0.1 * picoseconds)}
        size["n_blocks"] = int(np.clip(picoseconds / SHORTEST_BLOCK, 3, 10))
    elif options.steps:
        size["steps"] = options.steps
    tell(conductivity(atoms, calculator, [float(kelvin) for kelvin in temperatures], options.out, **size))


if __name__ == "__main__":
    main()
