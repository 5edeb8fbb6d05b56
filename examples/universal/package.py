"""Make the packaged model from the best one of a training run, with a statement of its limits.

python examples/universal/package.py universal/best.safetensors torch_gptff/io/weights/gptff-universal.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch_gptff import load, save

LIMITS = [
    "Trained on the labels of a teacher (TensorNet-MatPES-PBE) and on non-magnetic PBE equations of state, whose "
    "errors it shares. No magnetic order, no van der Waals correction, no Hubbard U.",
    "Noble gases, Po, At, Fr, Ra, Am and Cm are known from equations of state of elements and oxides alone, in the "
    "reference 'acwf'; in the reference 'teacher' they have no energy, and asking for it is an error.",
    "Compounds of Pm and of Ac, Th, Pa, U, Np and Pu were made by putting them in the place of lanthanides.",
    "The training data are crystals of small cells, strained by a few per cent, rattled by up to 0.2 Å, or with two "
    "atoms that collide, and metals heated for less than a picosecond: no liquids of compounds, surfaces, molecules or "
    "defects. Expect larger errors there.",
    "Interactions end at 15 Å (three layers of 5 Å); there is no long-range electrostatics.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    save(load(options.best), options.out, {"name": "gptff-universal", "licence": "MIT", "limits": LIMITS})


if __name__ == "__main__":
    main()
