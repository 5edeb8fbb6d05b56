"""Features of ghost atoms, by LAMMPS's communication between neighbouring processes."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import torch
from torch import Tensor

from torch_gptff.models.exchange import Exchange

EXCHANGE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int64)
)
"""``Exchange`` of ``plugin/python.hpp``."""


class _Address(ctypes.Structure):
    """``Exchange`` of ``ops/native/geometric/model.cpp``."""

    _fields_ = [("call", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class GhostExchange(Exchange):
    """Rows of own atoms are copied to the ghosts that stand for them on other processes, and gradients added back.

    Args:
        n_own: atoms of the process
        n_all: those, and its ghosts
        call: the address of the function of ``plugin/python.hpp`` that exchanges
        pair: the address of the pair style, which is its first argument
    """

    def __init__(self, n_own: int, n_all: int, call: int, pair: int) -> None:
        self.n_own, self.n_all = n_own, n_all
        self._call = ctypes.cast(call, EXCHANGE)
        self._pair = pair
        self._address = _Address(call, pair)

    def own(self, rows: Tensor) -> Tensor:
        return rows[: self.n_own]

    def __call__(self, *rows: Tensor) -> tuple[Tensor, ...]:
        return _Exchanged.apply(self, *rows)

    def address(self) -> Any:
        return ctypes.byref(self._address)

    def fill(self, rows: list[Tensor]) -> None:
        """Fill the rows of ghosts with those of their atoms, in place."""
        self._run(False, rows)

    def add(self, rows: list[Tensor]) -> None:
        """Add the rows of ghosts to those of their atoms, in place."""
        self._run(True, rows)

    def _run(self, reverse: bool, rows: list[Tensor]) -> None:
        addresses = (ctypes.c_void_p * len(rows))(*(each.data_ptr() for each in rows))
        widths = (ctypes.c_int64 * len(rows))(*(math.prod(each.shape[1:]) for each in rows))
        self._call(self._pair, reverse, len(rows), addresses, widths)


class _Exchanged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exchange: GhostExchange, *rows: Tensor) -> tuple[Tensor, ...]:
        ctx.exchange = exchange
        everywhere = [each.new_zeros(exchange.n_all, *each.shape[1:]) for each in rows]
        for all_rows, own_rows in zip(everywhere, rows, strict=True):
            all_rows[: exchange.n_own] = own_rows
        exchange.fill(everywhere)
        return tuple(everywhere)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        everywhere = [each.clone(memory_format=torch.contiguous_format) for each in gradients]
        ctx.exchange.add(everywhere)
        return None, *(each[: ctx.exchange.n_own] for each in everywhere)
