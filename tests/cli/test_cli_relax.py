"""``torch-gptff relax``: what ASE does by hand, for a list of files, with every failure told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from terminal import run_on_a_terminal

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.relax import Optimizer
from torch_gptff.io.structures import read_structures, write_structures
from torch_gptff.workflows import OPTIMIZERS, Relaxation

AT_ONCE = ("--fmax", "1e6", "--smax", "1e6")  # bounds that every structure meets


def test_the_optimizers_are_those_of_the_workflow() -> None:
    assert list(get_args(Optimizer)) == list(OPTIMIZERS)


@pytest.mark.parametrize(("name", "by_ase"), [("fire", FIRE), ("BFGS", BFGS)])
def test_the_same_as_ase_by_hand(call, checkpoint: Path, salt: Atoms, tmp_path: Path, name: str, by_ase) -> None:
    path, out = tmp_path / "salt.extxyz", tmp_path / "out"
    write_structures(path, [salt])
    options = ("--dtype", "float64", "--optimizer", name, "--fmax", "1e-9", "--max-steps", "6", "--out", out)
    result = call("relax", path, *options)
    assert result.exit_code == 1  # six steps do not suffice

    (by_hand,) = read_structures(path)
    by_hand.calc = GPTFFCalculator(checkpoint, device="cpu", dtype=torch.float64)
    with by_ase(FrechetCellFilter(by_hand), logfile=None) as dynamics:
        dynamics.run(fmax=1e-9, steps=6)
    (found,) = read_structures(out / "salt.extxyz")
    assert found.get_potential_energy() == pytest.approx(by_hand.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(found.positions, by_hand.positions, atol=1e-7)
    np.testing.assert_allclose(found.cell, by_hand.cell, atol=1e-9)
    np.testing.assert_allclose(found.get_forces(), by_hand.get_forces(), atol=1e-7)
    np.testing.assert_allclose(found.get_stress(), by_hand.get_stress(), atol=1e-9)

    frames = ase.io.read(out / "salt.traj", index=":")
    assert len(frames) == 7
    np.testing.assert_allclose(frames[0].positions, salt.positions, atol=1e-7)
    assert frames[-1].get_potential_energy() == pytest.approx(by_hand.get_potential_energy(), abs=1e-9)
    (as_cif,) = read_structures(out / "salt.cif")
    np.testing.assert_allclose(as_cif.cell.cellpar(), by_hand.cell.cellpar(), atol=1e-5)


def test_tables_and_files_for_other_programs(call, salt: Atoms, tmp_path: Path) -> None:
    path, out, table = tmp_path / "salt.extxyz", tmp_path / "out", tmp_path / "relax.csv"
    write_structures(path, [salt])
    result = call("relax", path, *AT_ONCE, "--out", out, "--csv", table, "--poscar", "--dtype", "float64")
    assert result.exit_code == 0, result.output
    (structure,) = read_structures(out / "salt.extxyz")
    as_poscar = ase.io.read(out / "salt.poscar", format="vasp")
    np.testing.assert_allclose(as_poscar.cell.array, structure.cell.array, atol=1e-9)
    np.testing.assert_allclose(as_poscar.get_all_distances(mic=True), structure.get_all_distances(mic=True), atol=1e-7)
    head, row = table.read_text(encoding="utf-8").splitlines()
    values = dict(zip(head.split(","), row.split(","), strict=True))
    assert values["file"] == str(path)
    assert float(values["energy (eV/atom)"]) == pytest.approx(structure.get_potential_energy() / 2, abs=1e-12)
    refused = call("relax", path, *AT_ONCE, "--out", tmp_path / "other", "--csv", table)
    assert refused.exit_code == 2
    assert "relax.csv is there already" in refused.stderr.replace("\n", " ")


def test_published_checkpoint_relaxes_real_crystals(call, shared_data: Path, tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "examples/structures"
    model = shared_data / "pretrained/gptff_v1.pth"
    files = [examples / name for name in ("NaCl.cif", "Si.POSCAR", "SrTiO3.extxyz")]
    result = call("relax", *files, "--model", model, "--optimizer", "LBFGS", "--out", tmp_path, "--dtype", "float64")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    assert [row[1] for row in rows] == ["NaCl", "Si", "SrTiO3"]
    for row, file in zip(rows, files, strict=True):
        assert row[-1] == "yes"
        relaxed = ase.io.read(tmp_path / f"{file.stem}.extxyz")
        relaxed.calc = GPTFFCalculator(model, device="cpu", dtype=torch.float64)
        assert float(row[3]) == pytest.approx(relaxed.get_potential_energy() / len(relaxed), abs=1e-4)
        assert np.abs(relaxed.get_stress()).max() * 160.2 < 0.1
        # the cell constants of the checkpoint are some 1 % off those of experiment
        (before,) = read_structures(file)
        assert relaxed.get_volume() == pytest.approx(before.get_volume(), rel=0.05)


def test_one_bad_file_in_a_list(call, salt: Atoms, tmp_path: Path) -> None:
    write_structures(tmp_path / "salt.extxyz", [salt])
    write_structures(tmp_path / "water.xyz", [molecule("H2O")])
    (tmp_path / "bad.cif").write_text("nothing")
    overlapping = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 1e-5]])
    write_structures(tmp_path / "overlap.xyz", [overlapping])
    files = [tmp_path / name for name in ("bad.cif", "salt.extxyz", "overlap.xyz", "nowhere.cif", "water.xyz")]
    result = call("relax", *files, "--out", tmp_path / "out", *AT_ONCE)
    assert result.exit_code == 1
    errors = result.stderr.splitlines()
    assert len(errors) == 3
    for name, error in zip(("bad.cif", "overlap.xyz", "nowhere.cif"), errors, strict=True):
        assert error.startswith("error: ")
        assert str(tmp_path / name) in error
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    # a molecule is no crystal: no CIF of it
    assert written == ["salt.cif", "salt.extxyz", "salt.traj", "water.extxyz", "water.traj"]
    table = [line.split()[0] for line in result.stdout.splitlines()[-3:]]
    assert table == ["file", str(files[1]), str(files[4])]


def test_all_well_is_exit_code_0_and_plain_lines(call, salt: Atoms, tmp_path: Path) -> None:
    write_structures(tmp_path / "salt.extxyz", [salt])
    result = call("relax", tmp_path / "salt.extxyz", "--out", tmp_path / "out", *AT_ONCE)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    line, head, row = result.stdout.splitlines()
    assert line == f"{tmp_path}/salt.extxyz: converged after 0 steps -> {tmp_path}/out/salt.extxyz, .cif, .traj"
    assert head.endswith("ΔV (%)  steps  conv.")
    assert row.split()[-3:] == ["0.00", "0", "yes"]


@pytest.mark.parametrize("batch", [(), ("--batch",)])
def test_results_and_report(call, salt: Atoms, tmp_path: Path, batch: tuple[str, ...]) -> None:
    path, results, page = tmp_path / "salt.extxyz", tmp_path / "results.json", tmp_path / "page.html"
    write_structures(path, [salt])
    files = (path, tmp_path / "absent.cif")
    options = ("--fmax", "1e-9", "--max-steps", "3", "--out", tmp_path / "out", "--json", results, "--report", page)
    assert call("relax", *files, *options, *batch).exit_code == 1
    document = json.loads(results.read_text())
    (relaxed,) = (Relaxation.from_dict(each) for each in document["results"])
    (written,) = read_structures(tmp_path / "out" / "salt.extxyz")
    assert relaxed.energy == pytest.approx(written.get_potential_energy())
    assert relaxed.n_steps == 3
    assert document["settings"]["max_steps"] == 3
    assert "absent.cif" in document["failures"][0]["file"]
    told = page.read_text()
    assert "Not converged: " in told
    assert f"{written.cell.volume:.2f}" in told


def test_no_convergence_is_told_and_fails(call, salt: Atoms, tmp_path: Path) -> None:
    write_structures(tmp_path / "salt.extxyz", [salt])
    result = call("relax", tmp_path / "salt.extxyz", "--out", tmp_path / "out", "--fmax", "0", "--max-steps", "51")
    assert result.exit_code == 1
    told, verdict, _, row = result.stdout.splitlines()
    assert told.startswith(f"{tmp_path}/salt.extxyz: step 50: ")
    assert "NOT CONVERGED after 51 steps" in verdict
    assert row.split()[-2:] == ["51", "NO"]
    assert (tmp_path / "out" / "salt.extxyz").is_file()


def test_fixed_cells_and_open_directions_are_kept(call, salt: Atoms, tmp_path: Path) -> None:
    slab = fcc111("Al", (1, 1, 3), vacuum=6)
    slab.info.clear()
    write_structures(tmp_path / "salt.extxyz", [salt])
    write_structures(tmp_path / "slab.extxyz", [slab])
    few = ("--out", tmp_path / "out", "--max-steps", "3", "--fmax", "0")
    call("relax", tmp_path / "salt.extxyz", "--fix-cell", *few)
    (found,) = read_structures(tmp_path / "out" / "salt.extxyz")
    np.testing.assert_array_equal(found.cell, salt.cell)
    assert np.abs(found.positions - salt.positions).max() > 1e-6
    call("relax", tmp_path / "slab.extxyz", *few)
    (found,) = read_structures(tmp_path / "out" / "slab.extxyz")
    assert found.cell.lengths()[2] == pytest.approx(slab.cell.lengths()[2], abs=1e-9)
    assert abs(found.cell.lengths()[0] - slab.cell.lengths()[0]) > 1e-6
    assert not (tmp_path / "out" / "slab.cif").exists()


def test_inputs_of_one_name_do_not_overwrite_each_other(call, tmp_path: Path) -> None:
    lengths = {"a/POSCAR": 5.4, "b/POSCAR": 5.5, "POSCAR.cif": 5.6, "c/Poscar.vasp": 5.7}
    for name, length in lengths.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_structures(tmp_path / name, [bulk("NaCl", "rocksalt", a=length)])
    result = call("relax", *(tmp_path / name for name in lengths), "--out", tmp_path / "out", *AT_ONCE)
    assert result.exit_code == 0
    names = ("POSCAR", "POSCAR-2", "POSCAR-3", "Poscar-4")
    for (name, length), written in zip(lengths.items(), names, strict=True):
        (found,) = read_structures(tmp_path / "out" / f"{written}.extxyz")
        assert found.cell.lengths()[0] * np.sqrt(2) == pytest.approx(length)
        assert f"{name}: converged after 0 steps -> {tmp_path}/out/{written}.extxyz" in result.stdout


def test_every_frame_of_a_file_has_files_of_its_own(call, tmp_path: Path) -> None:
    path = tmp_path / "md.extxyz"
    write_structures(path, [bulk("NaCl", "rocksalt", a=length) for length in (5.4, 5.5, 5.6)])
    result = call("relax", f"{path}@1:", "--out", tmp_path / "out", *AT_ONCE)
    assert result.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "out").glob("*.extxyz")) == ["md-1.extxyz", "md-2.extxyz"]
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == [f"{path}@1", f"{path}@2"]


def test_an_input_is_never_overwritten(call, salt: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "salt.extxyz"
    write_structures(path, [salt])
    before = path.read_bytes()
    assert call("relax", path, "--out", tmp_path, *AT_ONCE).exit_code == 0
    assert path.read_bytes() == before
    assert (tmp_path / "salt-2.extxyz").is_file()


def test_a_terminal_sees_progress_and_a_table_that_fits(
    call, salt: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_structures(tmp_path / "salt.extxyz", [salt])
    write_structures(tmp_path / "chlorine.extxyz", [molecule("Cl2")])
    monkeypatch.chdir(tmp_path)
    command = ["relax", "salt.extxyz", "chlorine.extxyz", "nowhere.cif", "--max-steps", "3"]
    code, shown = run_on_a_terminal(command, 80, monkeypatch)
    assert code == 1
    assert "\x1b[" in shown
    assert re.search(r"1/3 salt\.extxyz step \d: ", shown)
    assert "error: no structure file nowhere.cif" in shown
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()[-3:]
    assert [line.split()[0] for line in last[-2:]] == ["salt.extxyz", "chlorine.extxyz"]
    assert max(map(len, last)) <= 80


def test_a_batch_gives_what_one_by_one_gives(call, salt: Atoms, tmp_path: Path) -> None:
    other = bulk("NaCl", "rocksalt", a=5.9)
    other.rattle(0.05, seed=1)
    write_structures(tmp_path / "salts.extxyz", [salt, other])
    write_structures(tmp_path / "overlap.xyz", [Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 1e-5]])])
    files = [tmp_path / name for name in ("salts.extxyz", "overlap.xyz", "nowhere.cif")]
    options = ("--dtype", "float64", "--max-steps", "8", "--fmax", "1e-9", "--pressure", "1")
    alone = call("relax", *files, *options, "--out", tmp_path / "alone")
    together = call("relax", *files, *options, "--batch", "--out", tmp_path / "together")
    assert alone.exit_code == together.exit_code == 1
    for result in (alone, together):
        assert len(result.stderr.splitlines()) == 2
        assert f"no structure file {files[2]}" in result.stderr
        assert f"error: {files[1]}: " in result.stderr
    assert together.stdout.splitlines()[-3:] == alone.stdout.splitlines()[-3:]
    written = sorted(path.name for path in (tmp_path / "together").iterdir())
    assert written == ["salts-0.cif", "salts-0.extxyz", "salts-1.cif", "salts-1.extxyz"]
    for name in ("salts-0.extxyz", "salts-1.extxyz"):
        (one,), (two,) = (read_structures(tmp_path / folder / name) for folder in ("alone", "together"))
        np.testing.assert_allclose(one.positions, two.positions, atol=1e-7)


@pytest.mark.slow
def test_a_batch_goes_on_where_it_was_killed(call, checkpoint: Path, tmp_path: Path) -> None:
    write_structures(tmp_path / "salts.extxyz", [bulk("NaCl", "rocksalt", a=a) for a in (5.4, 5.5, 5.6)])
    out = tmp_path / "out"
    options = ["relax", str(tmp_path / "salts.extxyz"), "--batch", "--batch-atoms", "2", "--out", str(out), *AT_ONCE]
    code = f"""
import os
from torch_gptff.cli import app
from torch_gptff.io import journal
add = journal.Journal.add
def add_and_die(*arguments):
    add(*arguments)
    os.kill(os.getpid(), 9)
journal.Journal.add = add_and_die
app({[*options, "--model", str(checkpoint)]!r})
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -9
    assert [path.name for path in out.iterdir()] == ["unfinished.jsonl"]
    refused = call(*options)
    assert refused.exit_code == 1
    assert "go on with it (--resume)" in refused.stderr
    assert "other settings" in call(*options, "--resume", "--fix-cell").stderr
    assert call(*options, "--resume").exit_code == 0
    assert sorted(path.name for path in out.glob("*.extxyz")) == [f"salts-{number}.extxyz" for number in range(3)]
    assert not (out / "unfinished.jsonl").exists()
    assert call(options[0], options[1], "--resume", "--out", out).exit_code == 2


def test_a_report_opens_the_paths_that_it_shows_alone(tmp_path: Path) -> None:
    """Each holds a file open, of which a process may have a thousand or so."""
    from torch_gptff.cli.relax import _trajectories
    from torch_gptff.cli.results import Results
    from torch_gptff.workflows import relax
    from torch_gptff.workflows.reports.frame import MOST_SECTIONS

    path = tmp_path / "path.traj"
    relaxation = relax(bulk("Cu"), EMT(), trajectory=path)
    results = Results(Relaxation, None, {})
    labels = [str(number) for number in range(MOST_SECTIONS + 5)]
    for label in labels:
        results.add(label, relaxation)
    assert list(_trajectories(results, dict.fromkeys(labels, path))) == labels[:MOST_SECTIONS]
