"""Give a model twice the channels, with the same predictions.

    python examples/universal/widen.py torch_gptff/io/weights/gptff-universal.safetensors wide.safetensors

Every channel becomes two equal ones beside each other, so that heads keep theirs, and whatever reads both weighs them
by two numbers that add up to its old weight, drawn at random, so that they part in the training that follows
(`Net2Net <https://arxiv.org/abs/1511.05641>`_).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from torch_gptff import load, save
from torch_gptff.models import GPTFF

SHARE = (0.3, 0.7)
"""Of an old weight, what the first of the two gets, drawn evenly in between."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    potential = load(options.checkpoint)
    potential.model = widened(potential.model, torch.Generator().manual_seed(options.seed))  # type: ignore[arg-type]
    potential.calibration = None
    save(potential, options.out)


def widened(model: GPTFF, rng: torch.Generator) -> GPTFF:
    """The model with channels, and a hidden layer of its networks, twice as wide.

    Raises:
        SystemExit: the model is not one with geometric attention.
    """
    config = model.config
    if config.transformer != "geometric" or config.properties:
        raise SystemExit(f"a model with geometric attention and without properties is needed; got {config}")
    wide = replace(config, channels=2 * config.channels, feedforward_channels=2 * config.feedforward_channels)
    larger = GPTFF(wide).to(next(model.parameters()).dtype)
    new = larger.state_dict()
    for name, value in model.state_dict().items():
        new[name] = widened_parameter(name, value, new[name].shape, rng)
    larger.load_state_dict(new)
    larger.elements = model.elements
    return larger


def widened_parameter(name: str, value: Tensor, shape: torch.Size, rng: torch.Generator) -> Tensor:
    """One parameter in its new shape: rows are doubled, and columns shared out or, of features themselves, doubled."""
    rows = shape[0] - len(value)
    value = torch.cat([value[:rows].repeat_interleave(2, dim=0), value[rows:]])
    if value.dim() == 2 and (columns := shape[1] - value.size(1)):
        doubled = value[:, :columns].repeat_interleave(2, dim=1)
        if not name.endswith(("embedding.weight", "product_weight")):
            low, high = SHARE
            share = low + (high - low) * torch.rand(len(value), columns, generator=rng, dtype=value.dtype)
            doubled = doubled * torch.stack([share, 1 - share], dim=2).flatten(1)
        value = torch.cat([doubled, value[:, columns:]], dim=1)
    if ".lin_query." in name:
        value = value * 2**-0.5  # a product of twice the length is divided by the root of it only
    return value


if __name__ == "__main__":
    main()
