"""Functions that the pair style of ``plugin/`` calls: loading of a model, and energies and gradients of atoms."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from torch_gptff.calculators.lammps.exchange import GhostExchange
from torch_gptff.calculators.memory import keep_freed_memory
from torch_gptff.errors import ConfigError, UnsupportedElementError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.io import load_pretrained
from torch_gptff.models.exchange import ALONE, Exchange
from torch_gptff.potential import Potential

MESSAGE = 2000
"""Largest length of a message, as in ``plugin/python.hpp``."""


class _Atoms(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("own", "all", "bonds")),
        *((name, ctypes.c_void_p) for name in ("z", "neighbour", "centre", "vectors", "energies", "gradient")),
    ]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("name", "elements", "precision")),
        *((name, ctypes.c_int) for name in ("processes", "rank")),
        *((name, ctypes.c_void_p) for name in ("pair", "exchange")),
        ("cutoff", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("width", "bytes")),
        ("z", ctypes.POINTER(ctypes.c_int64)),
    ]


_LOAD = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(_Model), ctypes.c_void_p)
_COMPUTE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(_Atoms), ctypes.c_void_p)
_FORGET = ctypes.CFUNCTYPE(None, ctypes.c_int64)


class _Engine(ctypes.Structure):
    _fields_ = [("load", _LOAD), ("compute", _COMPUTE), ("forget", _FORGET)]


class Engine:
    """A model that computes the atoms of one LAMMPS process.

    Args:
        potential: the potential; its model must support exchange, unless there is only one process
        processes: number of processes that share the atoms
        exchange: address of the function that exchanges
        pair: address of its first argument

    Raises:
        ConfigError: the model cannot run so.
    """

    def __init__(self, potential: Potential, processes: int = 1, exchange: int = 0, pair: int = 0) -> None:
        model = potential.model
        if not model.is_atomwise:
            raise ConfigError("the energy of this model is not a sum over atoms: take another model, see "
                              "torch-gptff info MODEL")  # fmt: skip
        if processes > 1 and not model.can_exchange:
            raise ConfigError(f"this {model.name} model runs on one process: start LAMMPS with --ranks 1")
        self.potential = potential.eval().requires_grad_(False)
        keep_freed_memory()
        self._exchange, self._pair = exchange, pair

    def energies_and_gradient(
        self, z: Tensor, n_own: int, edge_index: Tensor, vectors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the process's own atoms, in eV, ``[M]``, and the gradient of the energy of all processes by its
        bond vectors, in eV/Å, ``[E, 3]``, both float64.

        Args:
            z: atomic numbers of own atoms and ghosts, ``[N]``
            n_own: ``M``
            edge_index: neighbours and centres, ``[2, E]``, ascending by centre
            vectors: bond vectors, Å, ``[E, 3]``, float64
        """
        model = self.potential.model
        graph = CrystalData(z=z, edge_index=edge_index, cell=torch.zeros(1, 3, 3, dtype=torch.float64))
        if model.angle_cutoff is not None:
            graph.angle_index = angle_pairs(edge_index[1], vectors.norm(dim=1), model.angle_cutoff)
        exchange: Exchange = ALONE
        if n_own < len(z) or self._exchange:
            exchange = GhostExchange(n_own, len(z), self._exchange, self._pair)
        return self.potential.energies_and_gradient(graph, vectors.to(model.dtype), exchange)


ENGINES: dict[int, Engine] = {}
"""Engines by the numbers of their pair styles."""


def load(model: _Model) -> int:
    """The number of an engine for a pair style; fills in what the pair style must know."""
    symbols = model.elements.decode().split()
    potential = load_pretrained(model.name.decode())
    precision = model.precision.decode()
    if precision:
        potential = potential.to(getattr(torch, precision))
    numbers = [atomic_number(symbol, potential) for symbol in symbols]
    for type_, number in enumerate(numbers):
        model.z[type_] = number
    if model.processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # processes share the cores
    alone = model.processes == 1
    engine = Engine(potential, model.processes, 0 if alone else model.exchange, model.pair)
    if model.rank == 0:
        potential.warn_of_unseen_pairs(torch.tensor(numbers), "the simulation")
    model.cutoff = potential.model.cutoff
    model.bytes = torch.finfo(potential.model.dtype).bits // 8
    model.width = potential.model.exchange_width if potential.model.can_exchange else 1
    number = max(ENGINES, default=-1) + 1
    ENGINES[number] = engine
    return number


def compute(number: int, atoms: _Atoms) -> int:
    """Fill in the energies and the gradient of the atoms of a pair style."""
    z = _tensor(atoms.z, (atoms.all,), torch.int64)
    edge_index = torch.stack([_tensor(each, (atoms.bonds,), torch.int64) for each in (atoms.neighbour, atoms.centre)])
    vectors = _tensor(atoms.vectors, (atoms.bonds, 3), torch.float64)
    energies, gradient = ENGINES[number].energies_and_gradient(z, atoms.own, edge_index, vectors)
    _tensor(atoms.energies, (atoms.own,), torch.float64).copy_(energies)
    _tensor(atoms.gradient, (atoms.bonds, 3), torch.float64).copy_(gradient)
    return 0


def atomic_number(symbol: str, potential: Potential) -> int:
    """Atomic number of an element that a script names.

    Raises:
        UnsupportedElementError: it is no element, or the model does not know it.
    """
    from ase.data import atomic_numbers

    number = atomic_numbers.get(symbol, 0)
    if number == 0:
        raise UnsupportedElementError(f"pair_coeff: {symbol!r} is not the symbol of an element, such as Na")
    if number not in potential.model.elements:
        raise UnsupportedElementError(f"pair_coeff: the model has no parameters for {symbol}")
    potential.element_energies(torch.tensor([number]))
    return number


def _tensor(address: int | None, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The memory of the pair style, not a copy."""
    size = 8
    for length in shape:
        size *= length
    if size == 0 or not address:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer((ctypes.c_char * size).from_address(address), dtype=dtype).view(shape)


def _telling(work: Callable[..., int]) -> Callable[..., int]:
    """Decorate a function such that an exception becomes a message and the result -1."""

    @wraps(work)
    def told(*arguments: object) -> int:
        *given, message = arguments
        try:
            return work(*given)
        except BaseException as error:  # nothing may pass through the C++ above
            text = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            data = text.encode()[: MESSAGE - 1] + b"\0"
            ctypes.memmove(message, data, len(data))  # type: ignore[arg-type]
            return -1

    return told


def _forget(number: int) -> None:
    ENGINES.pop(number, None)


_FUNCTIONS = _Engine(
    _LOAD(_telling(lambda model: load(model.contents))),
    _COMPUTE(_telling(lambda number, atoms: compute(number, atoms.contents))),
    _FORGET(_forget),
)


def register(address: int) -> None:
    """Tell a plugin, by the address of its ``Engine``, where to find all this."""
    ctypes.memmove(address, ctypes.addressof(_FUNCTIONS), ctypes.sizeof(_Engine))
