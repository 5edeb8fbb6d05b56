"""Store the data that `gptff-universal` is trained on, with their graphs, and divide them by formula.

    python examples/universal/prepare.py DATA --out data

takes the folders `teacher_frames` and `acwf_eos` of DATA, and writes `data/teacher` and `data/acwf`. A formula that is
held out in one of them is held out in the other: the files of `teacher_frames` say which formulas are for the test, and
of those that only `acwf_eos` has, one in ten is chosen by its name. `data/held-out.txt` lists them all, one on a line.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from torch_geometric.transforms import Compose

from torch_gptff.datasets import LMDBCrystalDataset, Source
from torch_gptff.datasets.frames import reduced_formula
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph

CUTOFF, ANGLE_CUTOFF = 5.0, 3.5


class HoldOut:
    """Says of every frame whether its formula is for training or for the test.

    Args:
        known: the formulas that are decided already
    """

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def __call__(self, frame: CrystalData) -> CrystalData:
        frame.material = reduced_formula(frame.z.numpy())
        by_name = "train" if hashlib.sha256(frame.material.encode()).digest()[0] % 10 else "test"
        frame.split = self.known.get(frame.material, by_name)
        return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with teacher_frames and acwf_eos")
    parser.add_argument("--out", type=Path, default=Path("data"))
    options = parser.parse_args()

    graph = [PeriodicRadiusGraph(CUTOFF), BondAngles(ANGLE_CUTOFF)]
    files = [Source(options.data / "teacher_frames" / f"frames_{part}.extxyz.xz") for part in (0, 1)]
    teacher = LMDBCrystalDataset(options.out / "teacher", files, pre_transform=Compose(graph))
    known = {frame.material: frame.split for frame in teacher}
    print(f"teacher: {len(teacher):,} frames, {len(known):,} formulas")

    sets = [f"results-{name}-verification-PBE-v1-vasp.json" for name in ("unaries", "oxides")]
    sources = [Source(options.data / "acwf_eos" / name) for name in sets]
    acwf = LMDBCrystalDataset(options.out / "acwf", sources, pre_transform=Compose([HoldOut(known), *graph]))
    held_out = [frame.material for frame in acwf if frame.split == "test"]
    print(f"acwf: {len(acwf):,} frames, {len(held_out):,} held out")
    formulas = {*held_out, *(formula for formula, part in known.items() if part == "test")}
    (options.out / "held-out.txt").write_text("\n".join(sorted(formulas)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
