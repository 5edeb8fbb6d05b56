"""``--resume``: results that depend on something else are not gone on with, whatever it is and whatever the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write

from torch_gptff import GPTFF, GPTFFConfig, Potential, save
from torch_gptff.io.structures import write_structures

AS_GIVEN = ("--as-given",)
COMMANDS: dict[str, tuple[object, ...]] = {
    "eos": (*AS_GIVEN, "--from", 0.8, "--to", 1.3),
    "elastic": (*AS_GIVEN, "--clamped", "--symprec", 0),
    "phonons": (*AS_GIVEN, "--min-length", 3),
    "vacancy": (*AS_GIVEN, "--supercell", 2, 2, 2, "--unrelaxed"),
    "hull": AS_GIVEN,
    "predict": (),
    "eos-benchmark": (),
}
OTHER_OPTION: dict[str, tuple[object, ...]] = {
    "eos": ("--points", 7),
    "elastic": ("--max-strain", 0.01),
    "phonons": ("--displacement", 0.03),
    "vacancy": ("--chemical-potential", "Na=-1"),
    "hull": ("--fmax", 0.02),
    "predict": ("--allow-close",),
    "eos-benchmark": ("--set", "oxides"),
}


def make_model(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4)))
    potential.references = {"one": {11: -1.0, 17: -2.0}, "other": {11: -5.0, 17: -9.0}}
    save(potential.use_reference("one"), path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model.safetensors", 1)


def make_reference_data(folder: Path, volume: float = 37.0) -> None:
    (folder / "xsf_unaries").mkdir(parents=True, exist_ok=True)
    a = (4 * volume) ** (1 / 3)
    atoms = Atoms(["Na"], [[0, 0, 0]], cell=(1 - np.eye(3)) * a / 2, pbc=True)
    write(folder / "xsf_unaries/Na-FCC.xsf", atoms)
    fit = {"min_volume": volume, "bulk_modulus_ev_ang3": 0.05, "bulk_deriv": 4.0}
    document = {"BM_fit_data": {"Na-X/FCC": fit}, "num_atoms_in_sim_cell": {"Na-X/FCC": 1}}
    (folder / "results-unaries-verification-PBE-v1-AE-average.json").write_text(json.dumps(document))


def make_inputs(command: str, folder: Path, a: float = 4.2) -> list[Path]:
    if command == "eos-benchmark":
        make_reference_data(folder / "acwf", a**3 / 2)
        return [folder / "acwf"]
    write_structures(folder / "sodium.extxyz", [bulk("Na", "bcc", a=a)])
    return [folder / "sodium.extxyz"]


@pytest.mark.parametrize("command", COMMANDS)
def test_results_that_depend_on_something_else_are_refused(call, command: str, model: Path, tmp_path: Path) -> None:
    inputs, out = make_inputs(command, tmp_path), tmp_path / "out.json"
    options: tuple[object, ...] = (*inputs, "--model", model, *COMMANDS[command], "--json", out)
    first = call(command, *options)
    assert out.exists(), first.output
    kept = out.read_text()

    def refused(*more: object) -> str:
        result = call(command, *options, "--resume", *more)
        assert result.exit_code == 1, result.output
        assert out.read_text() == kept
        return " ".join(result.stderr.split())

    assert "with reference one, and this is other" in refused("--reference", "other")
    other = "float64" if command in ("hull", "eos-benchmark", "predict") else "float32"
    assert f"and this is {other}" in refused("--dtype", other)
    assert "and this is" in refused(*OTHER_OPTION[command])
    make_model(model, 2)  # other weights in a file of the same name
    assert "with other weights" in refused()
    make_model(model, 1)
    make_inputs(command, tmp_path, a=4.3)  # another structure in a file of the same name
    assert "has changed since" in refused()
    make_inputs(command, tmp_path)

    again = call(command, *options, "--resume", "--reference", "one")  # the one that the model uses by itself
    assert again.exit_code == first.exit_code, again.output
    records = "predictions" if command == "predict" else "results"
    assert json.loads(out.read_text())[records] == json.loads(kept)[records]


def test_the_same_weights_elsewhere_are_the_same_model(call, model: Path, tmp_path: Path) -> None:
    (file,), out = make_inputs("hull", tmp_path), tmp_path / "out.json"
    assert call("hull", file, "--as-given", "--model", model, "--json", out).exit_code == 0
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    result = call("hull", file, "--as-given", "--model", copy, "--json", out, "--resume")
    assert result.exit_code == 0, result.output
    assert "done before" in result.stdout


def test_formulas_are_compared_by_their_content(call, model: Path, tmp_path: Path) -> None:
    (folder,), out, formulas = make_inputs("eos-benchmark", tmp_path), tmp_path / "out.json", tmp_path / "formulas"
    formulas.write_text("Na\n")
    options = (folder, "--model", model, "--formulas", formulas, "--json", out)
    assert call("eos-benchmark", *options).exit_code == 0
    formulas.write_text("Na\nCl\n")
    result = call("eos-benchmark", *options, "--resume")
    assert result.exit_code == 1
    assert "with formulas" in result.stderr


def test_a_relaxation_of_another_structure_of_the_same_name_is_refused(call, model: Path, tmp_path: Path) -> None:
    inputs, out = make_inputs("relax", tmp_path), tmp_path / "out.json"
    write_structures(tmp_path / "second.extxyz", [bulk("Na", "bcc", a=4.1)])
    options = ("relax", *inputs, tmp_path / "second.extxyz", "--model", model, "--max-steps", 2, "--json", out)
    call(*options, "--out", tmp_path / "out")
    kept = out.read_text()
    make_inputs("relax", tmp_path, a=4.3)
    for more in ((), ("--batch",)):
        result = call(*options, "--out", tmp_path / "out", "--resume", *more)
        assert result.exit_code == 1
        assert "holds a result of another" in " ".join(result.stderr.split())
        assert "sodium" not in result.stdout, "the result of the other structure is not shown"
        assert out.read_text() == kept


@pytest.mark.parametrize("change", ["--reference other", "--dtype float64", "--fmax 0.2", "weights"])
def test_a_batch_of_relaxations(call, model: Path, tmp_path: Path, change: str) -> None:
    from torch_gptff.io.journal import Journal

    (file,) = make_inputs("relax", tmp_path)
    options = ("relax", file, "--batch", "--model", model, "--out", tmp_path / "out", "--max-steps", 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "remove", lambda journal: None)  # a run that was killed at the end
        call(*options)
    more = change.split()
    if change == "weights":
        make_model(model, 2)
        more = []
    result = call(*options, "--resume", *more)
    assert result.exit_code == 1
    assert "an unfinished run with other settings" in result.stderr


def test_results_of_inputs_that_are_not_named_stay_and_take_no_part(call, model: Path, tmp_path: Path) -> None:
    """A phase of an earlier run that is not named now is no phase of this hull, and is not lost."""
    files = [tmp_path / f"{name}.extxyz" for name in ("bcc", "fcc")]
    for file, a in zip(files, (4.2, 5.3), strict=True):
        write_structures(file, [bulk("Na", file.stem, a=a)])
    out = tmp_path / "out.json"
    options = ("--as-given", "--model", model, "--json", out)
    both = call("hull", *files, *options)
    assert both.exit_code == 0, both.output
    entries = json.loads(out.read_text())["hull"]["entries"]
    (unstable,) = (file for file, entry in zip(files, entries, strict=True) if entry["energy_above_hull"] > 0)
    result = call("hull", unstable, *options, "--resume")
    assert result.exit_code == 0, result.output
    assert "has results of 1 more, which are not named now" in " ".join(result.stdout.split())
    document = json.loads(out.read_text())
    assert {Path(each["file"]).name for each in document["results"]} == {file.name for file in files}
    (entry,) = document["hull"]["entries"]
    assert entry["energy_above_hull"] == pytest.approx(0, abs=1e-9)
    again = call("hull", *files, *options, "--resume")
    assert again.stdout.count("done before") == 2
    assert len(json.loads(out.read_text())["hull"]["entries"]) == 2


def test_a_batch_that_is_finished_has_nothing_left(call, model: Path, tmp_path: Path) -> None:
    (file,) = make_inputs("relax", tmp_path)
    options = ("relax", file, "--batch", "--model", model, "--out", tmp_path / "out", "--fmax", 100, "--smax", 100)
    assert call(*options).exit_code == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    result = call(*options, "--resume")
    assert result.exit_code == 0, result.output
    assert "nothing left to do" in result.stdout
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == kept
    write_structures(tmp_path / "second.extxyz", [bulk("Na", "bcc", a=4.1)])
    more = call(*options[:2], tmp_path / "second.extxyz", *options[2:], "--resume")
    assert more.exit_code == 2
    assert "is not of the run that goes on" in more.stderr


@pytest.mark.parametrize("value", ["inf", "1e400", "nan"])
def test_settings_are_finite(call, model: Path, tmp_path: Path, value: str) -> None:
    """JSON knows no other numbers, and no result could be compared."""
    (file,) = make_inputs("relax", tmp_path)
    for command in ("relax", "hull"):
        out = ("--out", tmp_path / "out") if command == "relax" else ()
        result = call(command, file, "--model", model, "--fmax", value, "--json", tmp_path / "out.json", *out)
        assert result.exit_code == 2
        assert "--fmax" in result.stderr
    assert not (tmp_path / "out.json").exists()
