"""Write the reference checkpoints of this folder: ``python tests/io/data/make.py [NAME ...]``.

Run it once for a new version of the format, or with the name of a new configuration. Files that are there stay as they
are: they stand for those that users have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from torch_gptff.io import save
from torch_gptff.io.checkpoint import FORMAT_VERSION
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.nn import ExpectedErrors
from torch_gptff.potential import Potential
from torch_gptff.prediction import Calibration

TINY = {"channels": 4, "num_layers": 1, "num_radial": 3, "feedforward_channels": 8, "max_z": 40}
CONFIGS = {  # as changes to GPTFFConfig.paper()
    "recommended": TINY,
    "harmonic": {**TINY, "angle_update": "harmonic", "transformer": "none"},
    "pooled": {**TINY, "envelope_exponent": None, "transformer": "global", "readout": "pooled"},
    "geometric": {**TINY, "transformer": "geometric", "num_layers": 2, "heads": 2, "num_readouts": 2},
    "committee": {**TINY, "num_readouts": 2, "repulsion": True},
}
STRUCTURE = {
    "numbers": [12, 8, 29],
    "positions": [[0.1, 0.0, 0.0], [2.0, 0.2, 0.1], [0.1, 2.2, 2.0]],
    "cell": [[4.1, 0.0, 0.0], [0.3, 4.2, 0.0], [0.0, -0.2, 4.3]],
    "pbc": True,
}


def make(name: str, settings: dict[str, object]) -> None:
    from ase import Atoms

    path = Path(__file__).parent / f"version-{FORMAT_VERSION}-{name}.safetensors"
    if path.exists():
        sys.exit(f"{path.name} exists and must not change")
    torch.manual_seed(len(name))
    potential = Potential(GPTFF(GPTFFConfig.paper(**settings)), [round(-0.1 * z, 1) for z in range(41)])
    potential.references = {"one": {z: -0.2 * z for z in range(1, 41)}, "other": {12: -1.0, 8: -2.0, 29: -3.0}}
    errors = None
    if name == "geometric":
        width = potential.model.config.channels
        shapes = {"mean": (width,), "scale": (width,), "precision": (width, width), "weights": (width + 2,)}
        errors = ExpectedErrors(**{each: torch.rand(shape) for each, shape in shapes.items()}, limits=torch.ones(3))
    potential.calibration = Calibration(energy=2.0, forces=3.0, seen=0.05, errors=errors)
    potential.seen_pairs = frozenset({(8, 12), (8, 29), (12, 29)})
    save(potential.use_reference("other"), path)
    prediction = potential.double().predict([Atoms(**STRUCTURE)])[0]
    expected = {
        "config": settings,
        "structure": STRUCTURE,
        "energy": prediction.energy.item(),
        "forces": prediction.forces.tolist(),
        "stress": prediction.stress[0].tolist(),
    }
    path.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or CONFIGS:
        make(name, CONFIGS[name])
