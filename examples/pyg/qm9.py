"""Energies and band gaps of QM9, with the trainer: element energies, splits, checkpoints and a report come with it.

    python examples/pyg/qm9.py --root data/QM9

PyG fetches QM9 into the folder where it is not there yet. Column 7 is U₀ and column 4 the gap, both in eV.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from torch_geometric.data import Data

from torch_gptff.datasets import CrystalDataset, PyGSource
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.run import TrainingRun

MODEL = {"channels": 64, "num_layers": 3, "cutoff": 5.0, "properties": {"gap": "mean"}}


def run(dataset: Iterable[Data], folder: Path, epochs: int = 50, model: dict | None = None) -> TrainingRun:
    """Store the dataset as frames, and train on the energies and the gaps; molecules have no forces here."""
    source = PyGSource("QM9", dataset=dataset, energy="y[:, 7]", target={"gap": "y[:, 4]"})
    CrystalDataset(folder / "frames", source, log=False)
    config = TrainingConfig.from_dict(
        {
            "model": {"config": model or MODEL},
            "data": {"train": [str(folder / "frames")], "validation_fraction": 0.1, "split": "random"},
            "loss": {"energy": 1.0, "forces": 0.0, "stress": 0.0, "properties": {"gap": 1.0}},
            "optimizer": {"lr": 1e-3},
            "batch": {"max_frames": 32},
            "epochs": epochs,
        }
    )
    return train(config, folder / "run")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data/QM9"))
    parser.add_argument("--molecules", type=int, default=1000, help="how many are trained on")
    options = parser.parse_args()
    from torch_geometric.datasets import QM9

    evaluation = run(QM9(str(options.root)).shuffle()[: options.molecules], options.root / "torch_gptff").evaluation
    assert evaluation is not None  # a tenth of the molecules was held out
    print(evaluation.mae, evaluation.property_scores)
