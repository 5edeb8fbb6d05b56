"""Files that look like the published checkpoints, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

CFG = {"n_layers": 3, "node_feature_len": 64, "edge_feature_len": 64}


@pytest.fixture
def published_content() -> Callable[..., dict[str, Any]]:
    """What ``torch.save`` wrote into the published files: names and shapes of SPEC, values by chance."""

    def make(with_transformer: bool = False) -> dict[str, Any]:
        return {
            "state_dict": {
                name: 0.1 * torch.randn(shape) for name, shape in published_shapes(with_transformer).items()
            },
            "cfg": {"transformer_activate": with_transformer, **CFG},
        }

    return make


@pytest.fixture
def published_file(published_content: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    path = tmp_path / "gptff_v1.pth"
    torch.save(published_content(), path)
    return path


def published_shapes(with_transformer: bool) -> dict[str, tuple[int, ...]]:
    linears = {
        "w_b": (64, 16),
        "w_eij": (64, 192),
        "w_r": (64, 16),
        "fc1": (64, 64),
        "fc2": (64, 64),
        "fc_out": (1, 64),
    }
    others: dict[str, tuple[int, ...]] = {"atom_embedding.weight": (95, 64)}
    for layer in range(3):
        three, edge, conv = f"three.{layer}", f"edge_updates.{layer}", f"convs.{layer}"
        linears |= {f"{three}.W_fea": (64, 320), f"{three}.W_1": (64, 64), f"{three}.W_2": (64, 64)}
        linears |= {f"{three}.bond_embedding_j": (64, 16), f"{three}.bond_embedding_k": (64, 16)}
        linears |= {f"{three}.angle_embedding": (64, 1)}
        linears |= {
            f"{edge}.W_1": (64, 192),
            f"{edge}.W_2": (64, 192),
            f"{edge}.W_3": (64, 64),
            f"{edge}.W_r": (64, 16),
        }
        linears |= {f"{conv}.fc_full": (128, 192), f"{conv}.fc_core": (64, 64)}
        linears |= {f"{conv}.W_1": (64, 128), f"{conv}.W_2": (64, 128), f"{conv}.W_r": (64, 16)}
        if with_transformer:
            encoder = f"transformers.{layer}.encoder.layers.0"
            others |= {f"{encoder}.self_attn.in_proj_weight": (192, 64), f"{encoder}.self_attn.in_proj_bias": (192,)}
            linears |= {f"{encoder}.self_attn.out_proj": (64, 64)}
            linears |= {f"{encoder}.linear1": (256, 64), f"{encoder}.linear2": (64, 256)}
            norms = (f"{encoder}.norm1", f"{encoder}.norm2", f"norms1.{layer}", f"norms2.{layer}")
            others |= {f"{norm}.{part}": (64,) for norm in norms for part in ("weight", "bias")}
    for name, (n_out, n_in) in linears.items():
        others |= {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}
    return others
