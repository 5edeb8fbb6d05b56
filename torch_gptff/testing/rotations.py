"""Random rotations of space, uniform over all of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch


def rotation_by_qr(seed: int) -> np.ndarray:
    """A rotation, ``[3, 3]``: the orthogonal factor of a matrix of normal deviates.

    From F. Mezzadri, `How to generate random matrices from the classical compact groups
    <https://arxiv.org/abs/math-ph/0609050>`_: the signs of R's diagonal are taken into Q, without which Q is not
    uniform.
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def rotation_by_e3nn(seed: int) -> np.ndarray:
    """A rotation, ``[3, 3]``, by :func:`e3nn.o3.rand_matrix`."""
    from e3nn import o3

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return o3.rand_matrix(dtype=torch.float64).numpy()


ROTATIONS: dict[str, Callable[[int], np.ndarray]] = {"qr": rotation_by_qr}
"""The sources of rotations that are installed, by name."""
if find_spec("e3nn") is not None:
    ROTATIONS["e3nn"] = rotation_by_e3nn
