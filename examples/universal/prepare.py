"""Store the data that `gptff-universal` is trained on, with their graphs, and divide them by formula.

    python examples/universal/prepare.py DATA --out data
    python examples/universal/prepare.py DATA --more labelled-*/frames.extxyz --out more

takes the folders `teacher_frames` and `acwf_eos` of DATA, and writes `data/teacher` and `data/acwf`. A formula that is
held out in one of them is held out in the other: the files of `teacher_frames` say which formulas are for the test, and
of those that only `acwf_eos` has, one in ten is chosen by its name. `data/held-out.txt` lists them all, one on a line.
Further frames that the teacher has labelled join those of `teacher_frames`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path

from torch_geometric.transforms import Compose

from torch_gptff.datasets import LMDBCrystalDataset, Source, read_sources
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.graph.formula import reduced_formula

CUTOFF, ANGLE_CUTOFF = 5.0, 3.5


class Divided:
    """Says of every frame of which material it is, and whether it is for training or for the test.

    Args:
        held_out: formulas for the test
    """

    def __init__(self, held_out: set[str]) -> None:
        self.held_out = held_out

    def __call__(self, frame: CrystalData) -> CrystalData:
        frame.material = reduced_formula(frame.z.numpy())
        frame.split = "test" if frame.material in self.held_out else "train"
        return frame


def held_out_formulas(teacher: Iterable[CrystalData], acwf: Iterable[CrystalData]) -> set[str]:
    """As the frames of the teacher say; of formulas that those do not have, one in ten."""
    decided = {reduced_formula(frame.z.numpy()): frame.split for frame in teacher}
    others = {reduced_formula(frame.z.numpy()) for frame in acwf} - set(decided)
    by_name = {formula for formula in others if hashlib.sha256(formula.encode()).digest()[0] % 10 == 0}
    return by_name | {formula for formula, part in decided.items() if part == "test"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with teacher_frames and acwf_eos")
    parser.add_argument("--more", type=Path, nargs="+", default=[], help="further files with labels of the teacher")
    parser.add_argument("--out", type=Path, default=Path("data"))
    options = parser.parse_args()

    teacher = [Source(options.data / "teacher_frames" / f"frames_{part}.extxyz.xz") for part in (0, 1)]
    sets = [f"results-{name}-verification-PBE-v1-vasp.json" for name in ("unaries", "oxides")]
    acwf = [Source(options.data / "acwf_eos" / name) for name in sets]
    held_out = held_out_formulas(read_sources(teacher), read_sources(acwf))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "held-out.txt").write_text("\n".join(sorted(held_out)) + "\n", encoding="utf-8")

    prepared = Compose([Divided(held_out), PeriodicRadiusGraph(CUTOFF), BondAngles(ANGLE_CUTOFF)])
    for name, sources in (("teacher", [*teacher, *map(Source, options.more)]), ("acwf", acwf)):
        frames = LMDBCrystalDataset(options.out / name, sources, pre_transform=prepared)
        parts = [frame.split for frame in frames]
        print(f"{name}: {len(frames):,} frames, {parts.count('test'):,} of them of held-out formulas")


if __name__ == "__main__":
    main()
