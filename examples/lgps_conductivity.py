"""The ionic conductivity of Li10GeP2S12: a model fine-tuned on DFT data, then molecular dynamics with it.

    python examples/lgps_conductivity.py --data lgps            # fine-tune on a tenth, 20 ps, three temperatures
    python examples/lgps_conductivity.py --data lgps --paper    # 400 atoms, 500 ps at 300 to 1000 K

DATA are folders in DeePMD's format with the types Li, Ge, P, S, such as LiGePS-SSE-PBE of AIS-Square (J. Huang et al.,
J. Chem. Phys. 154, 094703, 2021). A tenth of the frames, at random, is trained on; the errors on a twentieth that was
held out are printed. Runs start from the first frame of DATA, whose cell they keep. With --model, which may be what an
earlier run fine-tuned, nothing is trained. A run that was stopped goes on where it was when the same command is given
again.

Beside it: experiment has 12 mS/cm at 300 K and an activation energy of 0.24 eV (Kamaya et al., Nature Materials 10,
682, 2011).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from li3ycl6_conductivity import conductivity, tell

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.datasets import Source, open_dataset, random_split, read_frames
from torch_gptff.graph.convert import to_ase
from torch_gptff.training import TrainingConfig, train
from torch_gptff.workflows import DiffusionSeries

TYPES: dict[str, Any] = {"type_map": ["Li", "Ge", "P", "S"]}
BESIDE = {"experiment": "12 mS/cm at 300 K, 0.24 eV"}
PARTS = {"train": 0.1, "validation": 0.01, "test": 0.05, "unused": 0.84}


def fine_tuned(model: str, data: Path, out: Path, epochs: int) -> Path:
    """Fine-tune a checkpoint on a part of the frames, print the errors on another, and return the new checkpoint."""
    split = out / "split.json"
    if not split.is_file():
        random_split(open_dataset(Source(data, options=TYPES)), PARTS, seed=0).save(split)
    settings = {"train": [{"path": str(data), "options": TYPES}], "split": str(split)}
    config = TrainingConfig.from_dict(
        {"preset": "fine-tune", "model": {"checkpoint": model}, "data": settings, "epochs": epochs}
    )
    folder = out / "fine-tuned"
    run = train(config, folder, resume=(folder / "last.ckpt").is_file())
    assert run.evaluation is not None
    rmse = run.evaluation.rmse
    assert rmse.energy_per_atom is not None
    assert rmse.forces is not None
    print(f"on frames held out: {1000 * rmse.energy_per_atom:.2f} meV/atom, {1000 * rmse.forces:.0f} meV/Å (rms)")
    return run.best


def main(arguments: Sequence[str] | None = None) -> DiffusionSeries:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="frames to fine-tune on, and to start from")
    parser.add_argument("--model", help="a checkpoint to run as it is, without fine-tuning")
    parser.add_argument("--from", dest="start", default="gptff-universal", help="the checkpoint that is fine-tuned")
    parser.add_argument("--epochs", type=int, default=3, help="of fine-tuning")
    parser.add_argument("--paper", action="store_true", help="400 atoms, longer, at more temperatures")
    parser.add_argument("--steps", type=int, help="of each run, 2 fs each")
    parser.add_argument("--temperatures", type=float, nargs="+", help="K")
    parser.add_argument("--out", type=Path, default=Path("lgps"), help="a folder for all files")
    options = parser.parse_args(arguments)

    options.out.mkdir(parents=True, exist_ok=True)
    model = options.model or fine_tuned(options.start, options.data, options.out, options.epochs)
    atoms = to_ase(next(iter(read_frames(options.data, **TYPES))))
    temperatures = options.temperatures or (np.arange(300, 1001, 100) if options.paper else (600.0, 800.0, 1000.0))
    steps = options.steps or 10_000
    duration = steps * 2.0 / 1000  # ps
    fit_range = (0.05 * duration, 0.15 * duration)
    size: dict[str, Any] = {"steps": steps, "skip": 0.1 * duration, "n_blocks": 5, "fit_range": fit_range}
    if options.paper:
        atoms = atoms.repeat((2, 2, 2)) if len(atoms) == 50 else atoms
        size = {"steps": options.steps or 250_000, "interval": 50, "skip": 20.0}
    kelvins = [float(kelvin) for kelvin in temperatures]
    series = conductivity(atoms, GPTFFCalculator(model), kelvins, options.out, name="Li10GeP2S12", **size)
    tell(series, BESIDE)
    return series


if __name__ == "__main__":
    main()
