"""Make the packaged model from the best one of a training run, with a statement of its limits.

    python examples/universal/package.py universal/best.safetensors torch_gptff/io/weights/gptff-universal.safetensors \
        --calibrate data/crystals data/polymorphs data/molecules

``--calibrate`` measures its uncertainties anew on the frames of the datasets that are for validation, which have its
energies' reference, and prints how reliable they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch_gptff import load, save
from torch_gptff.datasets import Source, read_sources
from torch_gptff.datasets.split import frames_of_part
from torch_gptff.evaluation.calibration import calibrate

LIMITS = [
    "Trained on the labels of a teacher (nequix-oam-1-pft: PBE and PBE+U, with energies in the reference of the "
    "Materials Project) and on non-magnetic PBE equations of state, whose errors it shares. Magnetic order is no "
    "input, and there is no van der Waals correction.",
    "Po, At, Rn, Fr, Ra, Am and Cm are known from equations of state of elements and oxides alone, in the reference "
    "'acwf'; in the reference 'crystals' they have no energy, and asking for it is an error.",
    "Most of the training data are crystals of small cells. Molecules, surfaces, layers, defects and melts are in it, "
    "with some thousand frames each: expect larger errors there.",
    "Interactions end at 18 Å (three layers of 6 Å); there is no long-range electrostatics.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibrate", nargs="+", default=[], help="datasets with frames for validation")
    options = parser.parse_args()
    potential = load(options.best)
    if options.calibrate:
        frames = read_sources([Source(path) for path in options.calibrate])
        print(calibrate(potential, frames_of_part(frames, "validation")))
    save(potential, options.out, {"name": options.out.stem, "licence": "MIT", "limits": LIMITS})


if __name__ == "__main__":
    main()
