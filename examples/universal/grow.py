"""Give a model whose harmonics end at degree 2 those of degree 3 too, with nearly the same predictions.

    python examples/universal/grow.py cold/best.safetensors grown.safetensors

The twelve nearest neighbours of an atom have the same distance in fcc and in hcp, and no harmonics of degree 1 and 2
about it; those of degree 3 vanish in fcc alone, and likewise tell zinc blende from wurtzite. The radial functions and
matrices of degree 2 are copied to degree 3, and whatever leads from features of degree 3 to the energy starts at zero.
The model is then to be trained further.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from torch_gptff import load, save
from torch_gptff.models import GPTFF
from torch_gptff.ops.tensor_product import paths

CLOSED = -3.0
"""Bias of the gate of features of degree 3, which is nearly closed at first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    potential = load(options.checkpoint)
    potential.model = grown(potential.model)  # type: ignore[arg-type]
    save(potential, options.out)


def grown(model: GPTFF) -> GPTFF:
    """The model with harmonics of degree 3.

    Raises:
        SystemExit: the model is not one with geometric attention of degree 2.
    """
    config = model.config
    if config.transformer != "geometric" or config.degree != 2:
        raise SystemExit(f"a model with geometric attention of degree 2 is needed; got {config}")
    larger = GPTFF(replace(config, degree=3)).to(next(model.parameters()).dtype)
    old = model.state_dict()
    new = {name: old.get(name, value) for name, value in larger.state_dict().items()}
    for layer in range(config.num_layers):
        grow_layer(old, new, f"layers.{layer}.", config.channels)
    larger.load_state_dict(new)
    larger.elements = model.elements
    return larger


def grow_layer(old: dict[str, Tensor], new: dict[str, Tensor], layer: str, c: int) -> None:
    """The parameters of one layer, in place."""
    new[f"{layer}product_weight"] = grown_products(old[f"{layer}product_weight"])
    for name in ("weight", "bias"):  # sets of functions: scores, degrees 0, 1 and 2, then those of turning features
        functions = old[f"{layer}attention.radial.lin_out.{name}"]
        new[f"{layer}attention.radial.lin_out.{name}"] = torch.cat(
            [functions[: 4 * c], functions[3 * c : 4 * c], functions[4 * c :]]
        )
    new[f"{layer}lin_message.2.weight"] = old[f"{layer}lin_message.1.weight"].clone()
    known = old[f"{layer}lin1.weight"]  # y, message of degree 0, n of degrees 1 and 2, n' of them, weights of heads
    nothing = torch.zeros_like(known[:, :c])
    new[f"{layer}lin1.weight"] = torch.cat(
        [known[:, : 4 * c], nothing, known[:, 4 * c : 6 * c], nothing, known[:, 6 * c :]], dim=1
    )
    if f"{layer}lin_product.1.weight" in old:
        new[f"{layer}lin_product.2.weight"] = torch.zeros_like(old[f"{layer}lin_product.1.weight"])
        weight, bias = old[f"{layer}lin2.weight"], old[f"{layer}lin2.bias"]
        new[f"{layer}lin2.weight"] = torch.cat([weight, torch.zeros_like(weight[:c])])
        new[f"{layer}lin2.bias"] = torch.cat([bias, torch.full_like(bias[:c], CLOSED)])


def grown_products(weight: Tensor) -> Tensor:
    """Weights of the paths to degree 3: those that are known, 1 for those that end at 3, and 0 for others."""
    known = dict(zip(paths(2), weight, strict=True))
    one, zero = torch.ones_like(weight[0]), torch.zeros_like(weight[0])
    return torch.stack([known.get(path, one if path[2] == 3 else zero) for path in paths(3)])


if __name__ == "__main__":
    main()
