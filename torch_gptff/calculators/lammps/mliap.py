"""GPTFF for ``pair_style mliap unified``, the interface for Python models that a LAMMPS may be compiled with."""

from __future__ import annotations

import ctypes
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torch_gptff.calculators.lammps.engine import atomic_number
from torch_gptff.calculators.lammps.exchange import EXCHANGE, GhostExchange
from torch_gptff.errors import ConfigError, LammpsError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.io import load_pretrained
from torch_gptff.potential import Potential


class GPTFFUnified:
    """The interface of ``pair_style mliap unified`` of LAMMPS, as in its ``lammps.mliap.MLIAPUnified``.

    LAMMPS must be compiled with ML-IAP, its Python interface, and KOKKOS: without the latter it cannot exchange
    features of ghost atoms between the hops of a model. ``GPTFFUnified(…).pickle("gptff.pkl")`` writes the file for
    ``pair_style mliap unified gptff.pkl 0``, which holds the name of the model and not its weights, so that every
    process loads it by itself.

    Args:
        model: name or path: see :func:`~torch_gptff.load_pretrained`
        elements: symbols of those that LAMMPS may map atom types to
        dtype: of the model's arithmetic, ``"float32"`` or ``"float64"``; by default that of its weights

    Attributes:
        element_types: the symbols
        cutoff: of bonds, Å
        rcutfac: half of it, since LAMMPS adds those of two atoms
        ndescriptors, nparams: one, of which nothing is made
        interface: LAMMPS's side, which LAMMPS sets

    Raises:
        CheckpointError, DownloadError: the model cannot be loaded.
        ConfigError: features of the model cannot be exchanged.
        UnsupportedElementError: the model has no parameters for an element.
    """

    def __init__(self, model: str | Path, elements: Sequence[str], dtype: str | None = None) -> None:
        self.model, self.dtype = str(model), dtype
        self.element_types = list(elements)
        self.ndescriptors = self.nparams = 1
        self.interface: Any = None
        self._potential: Potential | None = None
        self.numbers = [atomic_number(symbol, self.potential) for symbol in self.element_types]
        self.cutoff = float(self.potential.model.cutoff)
        self.rcutfac = self.cutoff / 2

    @property
    def potential(self) -> Potential:
        """The model, loaded when it is needed first."""
        if self._potential is None:
            potential = load_pretrained(self.model)
            if not potential.model.can_exchange:
                raise ConfigError(f"features of this {potential.model.name} model cannot be exchanged between the "
                                  "processes of LAMMPS: take another model, see torch-gptff info MODEL")  # fmt: skip
            dtype = potential.model.dtype if self.dtype is None else getattr(torch, self.dtype)
            self._potential = potential.to(dtype).eval().requires_grad_(False)
        return self._potential

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_potential": None, "interface": None}

    def pickle(self, file: str | Path) -> None:
        """Write the file that LAMMPS reads."""
        Path(file).write_bytes(pickle.dumps(self))

    def compute_descriptors(self, data: Any) -> None:
        """Nothing: the model has none."""

    def compute_gradients(self, data: Any) -> None:
        """Nothing: :meth:`compute_forces` does all."""

    def compute_forces(self, data: Any) -> None:
        """Give LAMMPS the energies of its atoms, eV, and the gradient of the energy by the vector of each pair, eV/Å.

        Args:
            data: LAMMPS's ``MLIAPDataPy``: atoms of this process and their ghosts, and pairs within the cutoff

        Raises:
            LammpsError: this LAMMPS cannot exchange features of ghost atoms.
        """
        if not hasattr(data, "forward_exchange"):
            raise LammpsError(
                "ML-IAP of this LAMMPS cannot exchange features of ghost atoms, which its version for KOKKOS can: "
                "start LAMMPS with -k on -sf kk, or use pair_style gptff"
            )
        elements = torch.as_tensor(data.elems).long()
        potential = self.potential.to(elements.device)
        model = potential.model
        order = torch.argsort(torch.as_tensor(data.pair_i).long(), stable=True)
        pairs = torch.stack([torch.as_tensor(each).long() for each in (data.pair_j, data.pair_i)])
        edge_index, vectors = pairs[:, order], torch.as_tensor(data.rij)[order]
        numbers = torch.tensor(self.numbers, device=elements.device)
        cell = torch.zeros(1, 3, 3, dtype=torch.float64, device=elements.device)
        graph = CrystalData(z=numbers[elements], edge_index=edge_index, cell=cell)
        if model.angle_cutoff is not None:
            graph.angle_index = angle_pairs(edge_index[1], vectors.norm(dim=1), model.angle_cutoff)
        exchange = DataExchange(data, model.dtype)
        energies, gradient = potential.energies_and_gradient(graph, vectors.to(model.dtype), exchange)
        exchange.check()
        if data.nlocal:
            torch.as_tensor(data.eatoms).copy_(energies)
        data.energy = float(energies.sum())
        if data.npairs:
            of_pairs = torch.empty_like(vectors)
            of_pairs[order] = gradient.to(vectors.dtype)
            data.update_pair_forces(of_pairs.numpy() if of_pairs.device.type == "cpu" else of_pairs)


class DataExchange(GhostExchange):
    """Exchanges through LAMMPS's ``MLIAPDataPy``, for Python and for compiled kernels.

    Args:
        data: with ``nlocal`` own atoms of ``ntotal``, ``forward_exchange`` and ``reverse_exchange``
        dtype: of the rows
    """

    def __init__(self, data: Any, dtype: torch.dtype) -> None:
        self._data, self._dtype = data, dtype
        self._error: BaseException | None = None
        self._function = EXCHANGE(self._called)  # kept, since compiled kernels know its address alone
        address = ctypes.cast(self._function, ctypes.c_void_p).value
        assert address is not None
        super().__init__(int(data.nlocal), int(data.ntotal), address, 0)

    def check(self) -> None:
        """Raise what was raised within compiled kernels, through which no error passes."""
        if self._error is not None:
            raise self._error

    def _run(self, reverse: bool, rows: list[Tensor]) -> None:
        for each in rows:
            width = math.prod(each.shape[1:])
            given = each.reshape(self.n_all, width).contiguous()
            exchanged = torch.zeros_like(given)
            (self._data.reverse_exchange if reverse else self._data.forward_exchange)(given, exchanged, width)
            each.copy_(exchanged.view_as(each))

    def _called(self, _: Any, reverse: int, count: int, addresses: Any, widths: Any) -> None:
        try:
            self._run(bool(reverse), [self._rows(addresses[each], widths[each]) for each in range(count)])
        except BaseException as error:
            self._error = error

    def _rows(self, address: int, width: int) -> Tensor:
        """The memory of a kernel, not a copy."""
        size = self.n_all * width * self._dtype.itemsize
        if size == 0:
            return torch.empty(self.n_all, width, dtype=self._dtype)
        memory = (ctypes.c_char * size).from_address(address)
        return torch.frombuffer(memory, dtype=self._dtype).view(self.n_all, width)
