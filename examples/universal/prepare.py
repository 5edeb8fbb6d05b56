"""Store the data that `gptff-universal` is trained on, divided by formula and sorted by kind.

    python examples/universal/prepare.py DATA --more more/*.extxyz --out data
    python examples/universal/prepare.py DATA --more more/*.extxyz --out data --sample sample

takes the folders `oam_frames`, `teacher_frames` and `acwf_eos` of DATA, and writes the datasets

- `data/crystals`: crystals, their surfaces, defects and melts, labelled by the teacher
- `data/polymorphs`: competing lattices of elements and simple compounds, made by `more_frames.py`, labelled by the
teacher
- `data/molecules`: molecules, packed molecules and clusters, labelled by the teacher
- `data/pairs`: isolated pairs of atoms and single atoms, labelled by the teacher, which is least certain of these
- `data/acwf`: equations of state by VASP, of elements and oxides that are neither magnetic nor need a Hubbard U

The first four share an energy reference. `split` of a frame is `test` for one compound in ten, by a hash of its
formula, and for every compound that earlier weights were tested on; `validation` for one in fifty of the others.
Elements are for training, but in `acwf` those that earlier weights were tested on. `data/held-out.txt` lists the
formulas of the tests, one on a line. Further frames of the teacher name their kind, like those of `oam_frames`, in
`config_type`.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from torch_gptff.datasets import LMDBCrystalDataset, Source
from torch_gptff.graph import CrystalData
from torch_gptff.graph.formula import reduced_formula

MOLECULES = {"mol", "molecular", "cluster"}
PAIRS = {"dimer", "atom"}
POLYMORPHS = {"poly"}

SPIN_OR_U = {8, *range(23, 29), 42, *range(59, 71), 74, 93, 94}
"""O, V to Ni, Mo, Pr to Yb, W, Np and Pu: magnetic, or with a Hubbard U in oxides of the Materials Project. The teacher
knows this and `acwf` does not: lattices of these elements, and of their oxides, differ by 0.1 to 1.4 eV/atom."""

SAMPLED = {"train": 24_000, "test": 2_000}


def share(formula: str) -> int:
    """A hash of the formula, an integer."""
    return int(hashlib.sha256(formula.encode()).hexdigest(), 16)


def is_test(numbers: np.ndarray) -> bool:
    """Whether `oam_frames` holds this compound out: one in ten, by its formula in Hill's order."""
    return len(set(numbers.tolist())) > 1 and share(Atoms(numbers).get_chemical_formula(empirical=True)) % 10 == 0


class Divided:
    """Assigns material and part of a split to every frame.

    Args:
        held_out: further formulas for the test
        elements_too: whether elements among them are for the test as well
    """

    def __init__(self, held_out: set[str], elements_too: bool = False) -> None:
        self.held_out = held_out
        self.elements_too = elements_too

    def __call__(self, frame: CrystalData) -> CrystalData:
        numbers = frame.z.numpy()
        frame.material = reduced_formula(numbers)
        is_element = len(set(numbers.tolist())) == 1
        if is_test(numbers) or (frame.material in self.held_out and (self.elements_too or not is_element)):
            frame.split = "test"
        elif not is_element and share(f"validation of {frame.material}") % 50 == 0:
            frame.split = "validation"
        else:
            frame.split = "train"
        return frame


class OfKind(Divided):
    """As :class:`Divided`, for frames of the teacher of one kind, named by the beginning of `config_type`."""

    def __call__(self, frame: CrystalData) -> CrystalData:
        frame.source = re.split("[:+]", frame.source)[0]
        return super().__call__(frame)


def tested_before(data: Path) -> set[str]:
    """The formulas that earlier weights were tested on.

    They are those of `unseen.txt`, those that `teacher_frames` holds out, and one in ten that `acwf_eos` alone has.
    """
    parts: dict[str, str] = {}
    for file in sorted((data / "teacher_frames").glob("frames_*.extxyz.xz")):
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                if (material := re.search(r'material="?([^" ]+)', line)) and (part := re.search(r"split=(\w+)", line)):
                    parts[material[1]] = part[1]
    parts = {reduced_formula(Atoms(formula).numbers): part for formula, part in parts.items()}
    names = {path.stem for folder in ("xsf_unaries", "xsf_oxides") for path in (data / "acwf_eos" / folder).iterdir()}
    others = {formula_of_acwf(name) for name in names} - set(parts)
    by_name = {formula for formula in others if hashlib.sha256(formula.encode()).digest()[0] % 10 == 0}
    listed = set((Path(__file__).parent / "unseen.txt").read_text(encoding="utf-8").split())
    return listed | by_name | {formula for formula, part in parts.items() if part == "test"}


def formula_of_acwf(name: str) -> str:
    """The formula of a name in the ACWF set: `Si` of `Si-Diamond`, `Si2O` of `Si-X2O`."""
    element, structure = name.split("-", 1)
    is_oxide = re.fullmatch(r"X2?O\d?", structure)
    return reduced_formula(Atoms(structure.replace("X", element) if is_oxide else element).numbers)


def stored(root: Path, sources: Iterable[Source], **options: Any) -> LMDBCrystalDataset:
    """Store a dataset of the sources, and print a summary."""
    frames = LMDBCrystalDataset(root, sources, log=False, force_reload=True, **options)
    parts = Counter(frame.split for frame in frames)
    counts = ", ".join(f"{number:,} for {part}" for part, number in sorted(parts.items()))
    print(f"{root}: {len(frames):,} frames, {counts}", flush=True)
    return frames


def sampled(frames: LMDBCrystalDataset) -> dict[str, set[str]]:
    """The names of frames at random: any of those for training, and for the test all frames of some formulas."""
    rng = np.random.default_rng(0)
    names: dict[str, list[tuple[str, str]]] = {part: [] for part in SAMPLED}
    for frame in frames:
        if frame.split in names:
            names[frame.split].append((frame.material, frame.frame_id))
    order = {part: rng.permutation(len(each)).tolist() for part, each in names.items()}
    formulas = sorted({formula for formula, _ in names["test"]})
    rank = dict(zip(formulas, rng.permutation(len(formulas)).tolist(), strict=True))
    order["test"].sort(key=lambda place: rank[names["test"][place][0]])
    return {part: {names[part][place][1] for place in order[part][:number]} for part, number in SAMPLED.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with oam_frames, teacher_frames and acwf_eos")
    parser.add_argument("--more", type=Path, nargs="+", default=[], help="further files with labels of the teacher")
    parser.add_argument("--out", type=Path, default=Path("data"))
    parser.add_argument("--sample", type=Path, help="folder for a sample, on which variants of the model are compared")
    options = parser.parse_args()

    held_out = tested_before(options.data)
    files = [*sorted((options.data / "oam_frames").glob("frames_*.extxyz.xz")), *options.more]
    by_kind = [Source(file, options={"source_key": "config_type"}) for file in files]
    all_kinds = options.out / "all-kinds"
    teacher = stored(all_kinds, by_kind, pre_transform=OfKind(held_out))
    again = [Source(all_kinds)]
    apart = MOLECULES | PAIRS | POLYMORPHS
    stored(options.out / "crystals", again, pre_filter=lambda frame: frame.source not in apart)
    if options.more:
        stored(options.out / "polymorphs", again, pre_filter=lambda frame: frame.source in POLYMORPHS)
    stored(options.out / "molecules", again, pre_filter=lambda frame: frame.source in MOLECULES)
    stored(options.out / "pairs", again, pre_filter=lambda frame: frame.source in PAIRS)
    sets = [f"results-{name}-verification-PBE-v1-vasp.json" for name in ("unaries", "oxides")]
    acwf = stored(
        options.out / "acwf",
        [Source(options.data / "acwf_eos" / name) for name in sets],
        pre_filter=lambda frame: not SPIN_OR_U & ({*frame.z.tolist()} - {8} or {8}),
        pre_transform=Divided(held_out, elements_too=True),
    )
    tested = {frame.material for frames in (teacher, acwf) for frame in frames if frame.split == "test"}
    (options.out / "held-out.txt").write_text("\n".join(sorted(tested)) + "\n", encoding="utf-8")
    if options.sample is not None:
        for part, names in sampled(teacher).items():
            stored(options.sample / part, again, pre_filter=lambda frame, names=names: frame.frame_id in names)
    shutil.rmtree(all_kinds)


if __name__ == "__main__":
    main()
