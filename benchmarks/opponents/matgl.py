"""A potential of matgl (PyG backend), from a local folder."""

from __future__ import annotations

import os

os.environ["MATGL_BACKEND"] = "PYG"  # read when matgl is imported

import matgl
import torch
from matgl.ext.ase import PESCalculator


def calculator(device: str, folder: str) -> PESCalculator:
    """An ASE calculator."""
    if device != "cpu":
        torch.set_default_device(device)  # where its graphs are made
    return PESCalculator(matgl.load_model(folder).to(device), stress_unit="eV/A3")
