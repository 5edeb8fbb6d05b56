"""Errors of a pre-trained model, of the same model after fine-tuning, and of one trained from random weights.

    python examples/fine_tune_and_compare.py                                   # alloys by effective medium theory
    python examples/fine_tune_and_compare.py mlearn/Si --split given           # DFT data, the test part as it is given
    python examples/fine_tune_and_compare.py mlearn/Si --split given --model gptff-v1 --epochs 50

Both trainings use the same frames equally often, and all three are evaluated on the same test frames. Without
data, frames of Cu-Au are made and labelled in seconds: energies, forces and stresses that the pre-trained model, which
learned density-functional theory, has to unlearn.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from torch_gptff import load
from torch_gptff.evaluation import Evaluation, evaluate
from torch_gptff.io import load_pretrained
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.data import TrainingData
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3


def alloys(path: Path, number: int = 60) -> Path:
    """Write strained and rattled Cu-Au crystals of eight atoms, labelled by effective medium theory."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(number):
        atoms = bulk("Cu", cubic=True, a=3.8).repeat((2, 1, 1))
        atoms.symbols[:] = rng.choice(["Cu", "Au"], size=8)
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.1, size=(8, 3))
        atoms.calc = EMT()
        labels = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    write(path, frames)
    return path


def compare(data: Path, model: str, out: Path, split: str = "random", epochs: int = 10) -> dict[str, Evaluation]:
    """Fine-tune a model, train its architecture from random weights, and evaluate both and the model as it is.

    Args:
        data: labelled frames, of any format that :mod:`torch_gptff.datasets` reads
        model: a checkpoint
        out: folder of the two runs
        split: see :class:`torch_gptff.training.config.DataSettings`
        epochs: number of epochs of each run
    """
    config = _config("fine-tune", data, split, epochs, {"checkpoint": model})
    pretrained = load_pretrained(model)
    new = _config("small-data", data, split, epochs, {"config": pretrained.model.config.to_dict()})
    potentials = {
        "as it is": pretrained,
        "fine-tuned": load(train(config, out / "fine-tuned", report=False).best),
        "from random weights": load(train(new, out / "random", report=False).best),
    }
    test = TrainingData.of(config.data, config.seed).test
    # Element energies are fitted for each: structures are compared, not what energies are counted from.
    return {name: evaluate(potential, test, energy_shift="elements") for name, potential in potentials.items()}


def _config(preset: str, data: Path, split: str, epochs: int, model: Mapping[str, Any]) -> TrainingConfig:
    settings = {"train": [str(data)], "split": split, "validation_fraction": 0.1, "test_fraction": 0.2}
    return TrainingConfig.from_dict({"preset": preset, "model": model, "data": settings, "epochs": epochs})


def tell(evaluations: Mapping[str, Evaluation]) -> None:
    """Print the mean absolute errors."""
    print(f"{'':20}  energy meV/atom  forces meV/Å  stress GPa")
    for name, evaluation in evaluations.items():
        mae = (evaluation.aligned or evaluation).mae
        scaled = (mae.energy_per_atom, 1e3), (mae.forces, 1e3), (mae.stress, GPA_PER_EV_PER_ANGSTROM3)
        energy, forces, stress = ("-" if error is None else f"{factor * error:.4g}" for error, factor in scaled)
        print(f"{name:20}  {energy:>15}  {forces:>12}  {stress:>10}")


def main(arguments: Sequence[str] | None = None) -> dict[str, Evaluation]:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="labelled frames; without them Cu-Au alloys are made")
    parser.add_argument("--split", default="random", help="how frames are held out: random, material or given")
    parser.add_argument("--model", default="gptff-universal", help="a checkpoint")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("fine_tune_and_compare"), help="a folder for the runs")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.data or alloys(options.out / "alloys.extxyz")
    evaluations = compare(data, options.model, options.out, options.split, options.epochs)
    tell(evaluations)
    return evaluations


if __name__ == "__main__":
    main()
