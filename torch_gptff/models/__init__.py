"""Energy models: GPTFF, the baselines it is compared with, and the base class of all."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.models.base import EnergyModel
    from torch_gptff.models.config import GPTFFConfig
    from torch_gptff.models.dimenet import DimeNetConfig, DimeNetPlusPlus
    from torch_gptff.models.explained import Explained
    from torch_gptff.models.gptff import GPTFF
    from torch_gptff.models.pyg import PyGModel
    from torch_gptff.models.registry import build_model, register_model
    from torch_gptff.models.schnet import SchNet, SchNetConfig
    from torch_gptff.models.visnet import ViSNet, ViSNetConfig

__all__ = [
    "GPTFF",
    "DimeNetConfig",
    "DimeNetPlusPlus",
    "EnergyModel",
    "Explained",
    "GPTFFConfig",
    "PyGModel",
    "SchNet",
    "SchNetConfig",
    "ViSNet",
    "ViSNetConfig",
    "build_model",
    "register_model",
]

import_lazily(
    __name__,
    {
        ".base": "EnergyModel",
        ".config": "GPTFFConfig",
        ".dimenet": "DimeNetConfig DimeNetPlusPlus",
        ".explained": "Explained",
        ".gptff": "GPTFF",
        ".pyg": "PyGModel",
        ".registry": "build_model register_model",
        ".schnet": "SchNet SchNetConfig",
        ".visnet": "ViSNet ViSNetConfig",
    },
)
