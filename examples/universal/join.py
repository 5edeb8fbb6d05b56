"""Store the frames of the teacher and those of new materials together, with their graphs.

    python examples/universal/join.py data/teacher data/labelled-*/frames.extxyz --held-out data/held-out.txt

Frames of a formula that is held out are for the test, all others for training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prepare import ANGLE_CUTOFF, CUTOFF
from torch_geometric.transforms import Compose

from torch_gptff.datasets import LMDBCrystalDataset, Source
from torch_gptff.datasets.frames import reduced_formula
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph


class HoldOut:
    """Says of every frame whether it is for training or for the test.

    Args:
        formulas: for the test
    """

    def __init__(self, formulas: set[str]) -> None:
        self.formulas = formulas

    def __call__(self, frame: CrystalData) -> CrystalData:
        frame.material = reduced_formula(frame.z.numpy())
        frame.split = "test" if frame.material in self.formulas else "train"
        return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, nargs="+", help="stored datasets, and files")
    parser.add_argument("--held-out", type=Path, required=True, help="reduced formulas, one on a line")
    parser.add_argument("--out", type=Path, default=Path("data/joined"))
    options = parser.parse_args()

    hold_out = HoldOut(set(options.held_out.read_text(encoding="utf-8").split()))
    graph = [PeriodicRadiusGraph(CUTOFF), BondAngles(ANGLE_CUTOFF)]
    sources = [Source(path) for path in options.frames]
    joined = LMDBCrystalDataset(options.out, sources, pre_transform=Compose([hold_out, *graph]))
    frames = [(frame.material, frame.split) for frame in joined]
    n_train, formulas = sum(split == "train" for _, split in frames), {formula for formula, _ in frames}
    print(f"{len(frames):,} frames of {len(formulas):,} formulas, {n_train:,} for training")


if __name__ == "__main__":
    main()
