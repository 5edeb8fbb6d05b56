"""The published GPTFF checkpoints, a pickled ``{"state_dict": …, "cfg": …}``, read into this package's model."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from json import loads
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torch_gptff.errors import CheckpointFormatError, CheckpointShapeError, UnsafeCheckpointError
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.potential import Potential

_EXPECTED_CFG = {"n_layers": 3, "node_feature_len": 64, "edge_feature_len": 64}


def load_published(path: str | Path) -> Potential:
    """Read a published ``.pth`` file. Only tensors and plain values are unpickled, never code.

    Raises:
        FileNotFoundError: no such file.
        UnsafeCheckpointError: the pickle holds other objects.
        CheckpointFormatError: the file is truncated, or not a GPTFF checkpoint.
        CheckpointShapeError: a weight is missing, superfluous or of another shape.
    """
    content = _unpickle(Path(path))
    if not isinstance(content, Mapping) or not {"state_dict", "cfg"} <= content.keys():
        raise CheckpointFormatError(f"{path} has no state_dict and cfg: it is not a published GPTFF checkpoint")
    cfg = dict(content["cfg"])
    with_transformer = cfg.pop("transformer_activate", False)
    if cfg != _EXPECTED_CFG:
        raise CheckpointFormatError(f"{path} has the configuration {cfg}; the published models have {_EXPECTED_CFG}")
    model = GPTFF(GPTFFConfig.v2() if with_transformer else GPTFFConfig.v1())
    weights = rename_weights(content["state_dict"], str(path))
    expected = {name: weight.shape for name, weight in model.state_dict().items()}
    found = {name: weight.shape for name, weight in weights.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise CheckpointShapeError(f"{path} does not fit GPTFF: see {', '.join(wrong[:3])}; was the file altered?")
    model.load_state_dict(weights)
    potential = Potential(model, published_element_energies())
    potential.provenance = {"converted_from": Path(path).name, "source": "published GPTFF checkpoint"}
    return potential.eval()


@cache
def published_element_energies() -> tuple[float, ...]:
    """Reference energies in eV, by atomic number, that both published checkpoints use."""
    table = loads(files("torch_gptff.io").joinpath("published_element_energies.json").read_text())
    return tuple(table["energies_eV"])


def rename_weights(theirs: Mapping[str, Tensor], source: str = "the checkpoint") -> dict[str, Tensor]:
    """The published names and layouts to ours.

    Left out is what enters no equation: ``fc_core``, the column of the radial function that is zero everywhere, and
    the bias of the attention's keys, which softmax takes away. The two maps of each gate become one, and the bias of a
    map of radial functions is the weight of the last radial feature, which is 1.

    Raises:
        CheckpointShapeError: a weight is missing, or there is one too many.
    """
    rest = dict(theirs)
    ours: dict[str, Tensor] = {}

    def take(name: str) -> Tensor:
        if name not in rest:
            raise CheckpointShapeError(f"{source} has no weight {name}")
        return rest.pop(name)

    def linear(name: str, source: str) -> None:
        ours[f"{name}.weight"], ours[f"{name}.bias"] = take(f"{source}.weight"), take(f"{source}.bias")

    def radial(name: str, source: str) -> None:
        ours[f"{name}.weight"] = torch.cat(
            [take(f"{source}.weight")[:, 1:], take(f"{source}.bias").unsqueeze(1)], dim=1
        )

    def gated(name: str, value: str, gate: str) -> None:
        for part in ("weight", "bias"):
            ours[f"{name}.{part}"] = torch.cat([take(f"{value}.{part}"), take(f"{gate}.{part}")])

    ours["embedding.weight"] = take("atom_embedding.weight")
    radial("lin_basis", "w_b")
    linear("lin_bond", "w_eij")
    radial("lin_radial", "w_r")
    for name in ("fc1", "fc2", "fc_out"):
        linear(f"readout.{name}", name)

    n_layers = 1 + max((int(name.split(".")[1]) for name in theirs if name.startswith("convs.")), default=-1)
    for layer in range(n_layers):
        to, angle, bond, atom = (f"{room}.{layer}" for room in ("layers", "three", "edge_updates", "convs"))
        linear(f"{to}.angle.lin_full", f"{angle}.W_fea")
        gated(f"{to}.angle.lin_gated", value=f"{angle}.W_2", gate=f"{angle}.W_1")
        radial(f"{to}.angle.lin_radial_j", f"{angle}.bond_embedding_j")
        radial(f"{to}.angle.lin_radial_k", f"{angle}.bond_embedding_k")
        linear(f"{to}.angle.lin_angle", f"{angle}.angle_embedding")
        gated(f"{to}.bond.lin_gated", value=f"{bond}.W_1", gate=f"{bond}.W_2")
        linear(f"{to}.bond.lin_out", f"{bond}.W_3")
        radial(f"{to}.bond.lin_radial", f"{bond}.W_r")
        linear(f"{to}.atom.lin_full", f"{atom}.fc_full")
        gated(f"{to}.atom.lin_gated", value=f"{atom}.W_1", gate=f"{atom}.W_2")
        radial(f"{to}.atom.lin_radial", f"{atom}.W_r")
        take(f"{atom}.fc_core.weight"), take(f"{atom}.fc_core.bias")

        encoder = f"transformers.{layer}.encoder.layers.0"
        if f"{encoder}.self_attn.in_proj_weight" in rest:
            transformer = f"{to}.transformer"
            query, key, value = take(f"{encoder}.self_attn.in_proj_weight").chunk(3)
            query_bias, _, value_bias = take(f"{encoder}.self_attn.in_proj_bias").chunk(3)
            ours[f"{transformer}.attention.lin_query.weight"] = query
            ours[f"{transformer}.attention.lin_query.bias"] = query_bias
            ours[f"{transformer}.attention.lin_key.weight"] = key
            ours[f"{transformer}.attention.lin_value.weight"] = value
            ours[f"{transformer}.attention.lin_value.bias"] = value_bias
            linear(f"{transformer}.attention.lin_out", f"{encoder}.self_attn.out_proj")
            for name, source_name in (("lin1", "linear1"), ("lin2", "linear2"), ("norm1", "norm1"), ("norm2", "norm2")):
                linear(f"{transformer}.{name}", f"{encoder}.{source_name}")
            for norm in (1, 2):
                linear(f"{to}.norm{norm}", f"norms{norm}.{layer}")
    if rest:
        raise CheckpointShapeError(f"{source} has unknown weights: {', '.join(sorted(rest)[:3])}")
    return {name: weight.clone() for name, weight in ours.items()}


def _unpickle(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise UnsafeCheckpointError(
                f"{path} holds objects other than tensors and is not loaded: unpickling them could run code. Get the "
                "file from its published home, or ask its author for the state_dict alone"
            ) from error
        raise CheckpointFormatError(f"{path} is not a checkpoint that PyTorch wrote, or was cut short") from error
    except (RuntimeError, EOFError, KeyError) as error:
        raise CheckpointFormatError(f"{path} is truncated or corrupt: {error}") from error
