"""Fine-tune a model on Li3YCl6 that a teacher labels, and compare it with the model as it was, on frames held out.

    python examples/li3ycl6_fine_tune.py ORDERED.cif ORDERED_2.cif ORDERED_3.cif --teacher nequix:nequix-oam-1-pft.pt
    python examples/li3ycl6_conductivity.py --model li3ycl6-tuned/fine-tuned/best.safetensors --structure ORDERED.cif

The frames are those of molecular dynamics with the model at constant pressure, from each structure at each temperature;
every third one has its volume scaled by up to 5 %. By default they are some 2,000 of 30 atoms. The last structure is
held out with all its frames, and the last tenth of the other runs is for validation. The teacher is one of
`torch-gptff distill --teacher`; with `--operator FOLDER`, it is the class `FastTeacher` of the module `fast` there.
What is there is not made again, so that the same command goes on where it was stopped. The folder receives
`fine-tuning.md`, the table of errors.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from torch_gptff import load, load_pretrained
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.datasets import open_dataset
from torch_gptff.evaluation import Evaluation, evaluate
from torch_gptff.io.files import written_atomically
from torch_gptff.io.structures import read_structures
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.distillation import make_teacher
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import MolecularDynamicsSettings, iterate_frames, molecular_dynamics, relax

TEMPERATURES = (300.0, 450.0, 600.0, 800.0)
SCALED = 0.05
"""Largest relative change of the volume of a frame."""

AT_ONCE = 20
"""Number of frames that the teacher is given at a time."""

Label = tuple[float, Any, Any]
"""Energy, eV; forces, eV/Å, ``[N, 3]``; stress, eV/Å³, ``[3, 3]`` or Voigt."""


def sampled(atoms: Atoms, calculator: Any, temperature: float, path: Path, n_frames: int, interval: int) -> list[Atoms]:
    """Frames of a run at constant pressure, every third one with another volume.

    Args:
        atoms: relaxed crystal
        calculator: of the forces
        temperature: temperature, K
        path: trajectory of the run, which is continued where it is there
        n_frames: number of frames, without the first
        interval: time steps of 2 fs between frames
    """
    settings = MolecularDynamicsSettings(
        ensemble="npt", temperature=temperature, steps=n_frames * interval, timestep=2.0, interval=interval,
        restart_interval=interval,
    )  # fmt: skip
    run = molecular_dynamics(atoms, calculator, settings, trajectory=path, resume=True)
    if run.problem is not None:
        print(f"{path.stem}: {run.problem}; the frames before are used")
    rng = np.random.default_rng(zlib.crc32(path.stem.encode()))
    frames = [frame.copy() for frame in iterate_frames(path)][1:]
    for frame in frames[::3]:
        ratio = 1 + rng.uniform(-SCALED, SCALED)
        frame.set_cell(frame.cell.array * ratio ** (1 / 3), scale_atoms=True)
    return frames


def labels_of(teacher: str, operator: Path | None) -> Callable[[list[Atoms]], list[Label]]:
    """Function that labels structures.

    Raises:
        SystemExit: the teacher gives no label of a structure.
    """
    if operator is not None:
        sys.path.insert(0, str(operator))
        fast: Any = __import__("fast").FastTeacher(teacher.removeprefix("nequix:"))
        return lambda structures: fast(structures)[0]
    slow = make_teacher(teacher)

    def label(structures: list[Atoms]) -> list[Label]:
        found = slow.label_all(structures)
        for each in found:
            if isinstance(each, str):
                raise SystemExit(f"{teacher}: {each}")
        return [(each.energy, each.forces, each.stress) for each in found if not isinstance(each, str)]

    return label


def write_labelled(frames: list[Atoms], label: Callable[[list[Atoms]], list[Label]], path: Path) -> None:
    """Write frames with the teacher's labels, unless the file is there."""
    if path.is_file() or not frames:
        return
    for first in range(0, len(frames), AT_ONCE):
        group = frames[first : first + AT_ONCE]
        for atoms, (energy, forces, stress) in zip(group, label(group), strict=True):
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    with written_atomically(path) as temporary:
        write(temporary, frames, format="extxyz")
    print(f"{path}: {len(frames)} frames", flush=True)


def make_frames(
    files: Sequence[str],
    calculator: Any,
    label: Callable[[list[Atoms]], list[Label]],
    out: Path,
    temperatures: Sequence[float],
    n_frames: int,
    interval: int = 50,
) -> dict[str, list[str]]:
    """Labelled files, ``"train"`` and ``"validation"``, and ``"test"`` of the last structure."""
    files_of: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for file in files:
        relaxed = relax(read_structures(file)[0], calculator, fmax=0.05).final
        for kelvin in temperatures:
            name = f"{Path(file).stem}-{kelvin:.0f}K"
            frames = sampled(relaxed, calculator, kelvin, out / "runs" / f"{name}.traj", n_frames, interval)
            last = len(frames) - max(1, len(frames) // 10)
            parts = {"test": frames} if file == files[-1] else {"train": frames[:last], "validation": frames[last:]}
            for part, chosen in parts.items():
                path = out / part / f"{name}.extxyz"
                write_labelled(chosen, label, path)
                files_of[part].append(str(path))
    return files_of


def fine_tuned(model: str, files: Mapping[str, list[str]], out: Path, epochs: int) -> Path:
    """The checkpoint of a fine-tuning, which goes on where it was stopped."""
    data = {part: [{"path": path} for path in files[part]] for part in ("train", "validation")}
    config = TrainingConfig.from_dict(
        {"preset": "fine-tune", "model": {"checkpoint": model}, "data": data, "epochs": epochs}
    )
    folder = out / "fine-tuned"
    return train(config, folder, resume=(folder / "last.ckpt").is_file()).best


def compare(potentials: Mapping[str, Any], files: Sequence[str]) -> dict[str, Evaluation]:
    """Errors on frames, without those of what energies are counted from."""
    frames = [frame for file in files for frame in open_dataset(file)]
    return {name: evaluate(each, frames, energy_shift="elements") for name, each in potentials.items()}


def table(evaluations: Mapping[str, Evaluation]) -> str:
    """Mean absolute errors in Markdown."""
    lines = ["| model | frames | energy, meV/atom | forces, meV/Å | stress, GPa |", "| --- | --- | --- | --- | --- |"]
    for name, evaluation in evaluations.items():
        mae = (evaluation.aligned or evaluation).mae
        scaled = (mae.energy_per_atom, 1e3, 2), (mae.forces, 1e3, 1), (mae.stress, GPA_PER_EV_PER_ANGSTROM3, 3)
        told = ["–" if error is None else f"{factor * error:.{digits}f}" for error, factor, digits in scaled]
        lines.append(f"| {name} | {evaluation.counts['frames']} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> dict[str, Evaluation]:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", nargs="+", help="structure files, two or more; the last one is held out")
    parser.add_argument("--teacher", required=True, help="as of torch-gptff distill")
    parser.add_argument("--operator", type=Path, help="folder of a faster operator of a nequix teacher")
    parser.add_argument("--model", default="gptff-universal", help="the checkpoint that is fine-tuned")
    parser.add_argument("--temperatures", type=float, nargs="+", default=TEMPERATURES, help="K")
    parser.add_argument("--frames", type=int, default=170, help="number of frames of each run")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("li3ycl6-tuned"), help="a folder for all files")
    options = parser.parse_args(arguments)
    if len(options.structures) < 2:
        parser.error("name two structures or more: the last one is held out")

    label = labels_of(options.teacher, options.operator)
    calculator = GPTFFCalculator(options.model)
    files = make_frames(options.structures, calculator, label, options.out, options.temperatures, options.frames)
    best = fine_tuned(options.model, files, options.out, options.epochs)
    potentials = {"as it is": load_pretrained(options.model), "fine-tuned": load(best)}
    evaluations = compare(potentials, files["test"])
    told = table(evaluations)
    (options.out / "fine-tuning.md").write_text(told, encoding="utf-8")
    print(told)
    return evaluations


if __name__ == "__main__":
    main()
