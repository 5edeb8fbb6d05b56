"""Take a sample of the data for quick comparisons of variants of model and optimizer.

    python examples/universal/sample.py data --out sample
    torch-gptff train examples/universal/variant.yaml --out local --set model.config.transformer=local

writes 16,000 random training frames of the teacher, all of its frames of 200 other formulas for validation, and the
frames of ``acwf`` whose formulas are neither among these nor held out. DATA is what ``prepare.py`` has made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from torch_gptff.datasets import open_dataset
from torch_gptff.datasets.extxyz import write_extxyz

FRAMES, FORMULAS = 16_000, 200


def sample(material: np.ndarray, is_training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the training frames, ascending, and of those for validation, which have other formulas."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.unique(material[is_training]), FORMULAS, replace=False)
    is_chosen = np.isin(material, chosen)
    others = np.flatnonzero(is_training & ~is_chosen)
    return np.sort(rng.choice(others, min(FRAMES, len(others)), replace=False)), np.flatnonzero(is_chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with teacher, acwf and held-out.txt")
    parser.add_argument("--out", type=Path, default=Path("sample"))
    options = parser.parse_args()

    teacher = open_dataset(options.data / "teacher")
    of_frames = [(frame.material, frame.split == "train") for frame in teacher]
    material, is_training = (np.array(column) for column in zip(*of_frames, strict=True))
    training, validation = sample(material, is_training)
    kept_out = set(material[validation]) | set((options.data / "held-out.txt").read_text(encoding="utf-8").split())
    acwf = [frame for frame in open_dataset(options.data / "acwf") if frame.material not in kept_out]

    options.out.mkdir(parents=True, exist_ok=True)
    for name, frames in (
        ("train", [teacher[int(place)] for place in training]),
        ("validation", [teacher[int(place)] for place in validation]),
        ("acwf", acwf),
    ):
        write_extxyz(options.out / f"{name}.extxyz", frames)
        print(f"{name}: {len(frames):,} frames of {len({frame.material for frame in frames}):,} formulas")


if __name__ == "__main__":
    main()
