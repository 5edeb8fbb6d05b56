"""The published GPTFF checkpoints, a pickled ``{"state_dict": …, "cfg": …}``, read into this package's model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from json import loads
from pathlib import Path

import torch
from torch import Tensor

from torch_gptff.errors import CheckpointFormatError, CheckpointShapeError
from torch_gptff.io.pickled import load_tensors
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.potential import Potential

WIDTH = 64
LAYERS = 3
RADIAL = 16
FEEDFORWARD = 256
ELEMENTS = 95

_EXPECTED_CFG = {"n_layers": LAYERS, "node_feature_len": WIDTH, "edge_feature_len": WIDTH}


def load_published(path: str | Path) -> Potential:
    """Read a published ``.pth`` file. Only tensors and plain values are unpickled, never code.

    Raises:
        FileNotFoundError: no such file.
        UnsafeCheckpointError: the pickle holds other objects.
        CheckpointFormatError: the file is truncated or corrupt, or not a GPTFF checkpoint.
        CheckpointShapeError: a weight is missing, superfluous or of another shape.
    """
    path = Path(path)
    content = load_tensors(
        path,
        if_unsafe="Get the file from its published home, or ask its author for the state_dict alone",
        if_damaged="fetch it again",
    )
    if not isinstance(content, Mapping) or not {"state_dict", "cfg"} <= content.keys():
        raise CheckpointFormatError(f"{path} has no state_dict and cfg: it is not a published GPTFF checkpoint")
    weights, cfg = content["state_dict"], content["cfg"]
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise CheckpointFormatError(f"{path} has a state_dict that is no table of tensors")
    if not isinstance(cfg, Mapping) or {k: v for k, v in cfg.items() if k != "transformer_activate"} != _EXPECTED_CFG:
        raise CheckpointFormatError(f"{path} has the configuration {cfg}; the published models have {_EXPECTED_CFG}")
    config = GPTFFConfig.v2() if cfg.get("transformer_activate", False) else GPTFFConfig.v1()
    renamed = rename_weights(weights, config.transformer != "none", str(path))
    model = GPTFF(config)
    model.load_state_dict(renamed)
    potential = Potential(model, published_element_energies())
    potential.provenance = {"converted_from": path.name, "source": "published GPTFF checkpoint"}
    return potential.eval()


@cache
def published_element_energies() -> tuple[float, ...]:
    """Reference energies in eV, by atomic number, that both published checkpoints use."""
    table = loads(files("torch_gptff.io").joinpath("published_element_energies.json").read_text())
    return tuple(table["energies_eV"])


def rename_weights(
    theirs: Mapping[str, Tensor], with_transformer: bool, source: str = "the checkpoint"
) -> dict[str, Tensor]:
    """The published names and layouts to ours.

    Left out is what enters no equation: ``fc_core``, the column of the radial function that is zero everywhere, and
    the bias of the attention's keys, which softmax takes away. The two maps of each gate become one, and the bias of a
    map of radial functions is the weight of the last radial feature, which is 1.

    Args:
        theirs: the published state dict
        with_transformer: whether it is of ``gptff_v2``
        source: the file, for messages

    Raises:
        CheckpointShapeError: a weight is missing, of another shape, or one too many.
    """
    rest = dict(theirs)
    ours: dict[str, Tensor] = {}

    def take(name: str, *shape: int) -> Tensor:
        if name not in rest:
            raise CheckpointShapeError(f"{source} has no weight {name}; was the file altered?")
        weight = rest.pop(name)
        if weight.shape != shape:
            raise CheckpointShapeError(
                f"{source}: weight {name} is {list(weight.shape)}, and {list(shape)} in GPTFF; was the file altered?"
            )
        return weight

    def linear(name: str, source: str, n_in: int = WIDTH, n_out: int = WIDTH) -> None:
        ours[f"{name}.weight"] = take(f"{source}.weight", n_out, n_in)
        ours[f"{name}.bias"] = take(f"{source}.bias", n_out)

    def radial(name: str, source: str) -> None:
        weight, bias = take(f"{source}.weight", WIDTH, RADIAL), take(f"{source}.bias", WIDTH)
        ours[f"{name}.weight"] = torch.cat([weight[:, 1:], bias.unsqueeze(1)], dim=1)

    def gated(name: str, value: str, gate: str, n_in: int) -> None:
        weights = [take(f"{part}.weight", WIDTH, n_in) for part in (value, gate)]
        biases = [take(f"{part}.bias", WIDTH) for part in (value, gate)]
        ours[f"{name}.weight"], ours[f"{name}.bias"] = torch.cat(weights), torch.cat(biases)

    def norm(name: str, source: str) -> None:
        ours[f"{name}.weight"], ours[f"{name}.bias"] = take(f"{source}.weight", WIDTH), take(f"{source}.bias", WIDTH)

    def transformer(name: str, source: str) -> None:
        attention = f"{name}.attention"
        query, key, value = take(f"{source}.self_attn.in_proj_weight", 3 * WIDTH, WIDTH).chunk(3)
        query_bias, _, value_bias = take(f"{source}.self_attn.in_proj_bias", 3 * WIDTH).chunk(3)
        ours[f"{attention}.lin_query.weight"], ours[f"{attention}.lin_query.bias"] = query, query_bias
        ours[f"{attention}.lin_key.weight"] = key
        ours[f"{attention}.lin_value.weight"], ours[f"{attention}.lin_value.bias"] = value, value_bias
        linear(f"{attention}.lin_out", f"{source}.self_attn.out_proj")
        linear(f"{name}.lin1", f"{source}.linear1", n_out=FEEDFORWARD)
        linear(f"{name}.lin2", f"{source}.linear2", n_in=FEEDFORWARD)
        norm(f"{name}.norm1", f"{source}.norm1")
        norm(f"{name}.norm2", f"{source}.norm2")

    ours["embedding.weight"] = take("atom_embedding.weight", ELEMENTS, WIDTH)
    radial("lin_basis", "w_b")
    linear("lin_bond", "w_eij", n_in=3 * WIDTH)
    radial("lin_radial", "w_r")
    for layer in range(LAYERS):
        to, angle, bond, atom = (f"{room}.{layer}" for room in ("layers", "three", "edge_updates", "convs"))
        linear(f"{to}.angle.lin_full", f"{angle}.W_fea", n_in=5 * WIDTH)
        gated(f"{to}.angle.lin_gated", value=f"{angle}.W_2", gate=f"{angle}.W_1", n_in=WIDTH)
        radial(f"{to}.angle.lin_radial_j", f"{angle}.bond_embedding_j")
        radial(f"{to}.angle.lin_radial_k", f"{angle}.bond_embedding_k")
        linear(f"{to}.angle.lin_angle", f"{angle}.angle_embedding", n_in=1)
        gated(f"{to}.bond.lin_gated", value=f"{bond}.W_1", gate=f"{bond}.W_2", n_in=3 * WIDTH)
        linear(f"{to}.bond.lin_out", f"{bond}.W_3")
        radial(f"{to}.bond.lin_radial", f"{bond}.W_r")
        linear(f"{to}.atom.lin_full", f"{atom}.fc_full", n_in=3 * WIDTH, n_out=2 * WIDTH)
        gated(f"{to}.atom.lin_gated", value=f"{atom}.W_1", gate=f"{atom}.W_2", n_in=2 * WIDTH)
        radial(f"{to}.atom.lin_radial", f"{atom}.W_r")
        take(f"{atom}.fc_core.weight", WIDTH, WIDTH), take(f"{atom}.fc_core.bias", WIDTH)
        if with_transformer:
            transformer(f"{to}.transformer", f"transformers.{layer}.encoder.layers.0")
            norm(f"{to}.norm1", f"norms1.{layer}")
            norm(f"{to}.norm2", f"norms2.{layer}")
    for name in ("fc1", "fc2"):
        linear(f"readout.{name}", name)
    linear("readout.fc_out", "fc_out", n_out=1)
    if rest:
        raise CheckpointShapeError(f"{source} has unknown weights: {', '.join(sorted(map(str, rest))[:3])}")
    return {name: weight.clone() for name, weight in ours.items()}
