"""Magnetic moments beside energy and forces: a model that predicts them, in the calculator and in the evaluation.

    python examples/pyg/moments.py FRAMES.extxyz OUT

The file has a column ``magmom`` of every atom in µB, whose signs are a matter of convention: magnitudes are learned.
Frames may lack it. Files of MPtrj are read with the same options.
"""

import sys
from pathlib import Path

from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.run import TrainingRun

MODEL = {"channels": 64, "properties": {"magmoms": "atom"}}


def run(frames: Path, out: Path, epochs: int = 50, model: dict | None = None) -> TrainingRun:
    """Train; ``GPTFFCalculator(out / "best.safetensors")`` then gives ``atoms.get_magnetic_moments()``."""
    config = TrainingConfig.from_dict(
        {
            "model": {"config": model or MODEL},
            "data": {
                "train": [{"path": str(frames), "options": {"keep_per_atom": "magmoms=abs(magmom)"}}],
                "validation_fraction": 0.2,
                "split": "random",
            },
            "loss": {"stress": 0.0, "properties": {"magmoms": 0.1}},
            "optimizer": {"lr": 2e-3},
            "epochs": epochs,
        }
    )
    return train(config, out)


if __name__ == "__main__":
    evaluation = run(Path(sys.argv[1]), Path(sys.argv[2])).evaluation
    assert evaluation is not None  # a fifth of the frames was held out
    print(evaluation.property_scores)
