"""Models whose atoms are shared by several processes, here threads, against one that has all of them."""

from __future__ import annotations

import ctypes
import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential
from torch_gptff.calculators.lammps.exchange import EXCHANGE, GhostExchange
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.models import SchNet
from torch_gptff.models.exchange import Exchange

CONFIGS = {
    "geometric": GPTFFConfig(channels=32, heads=2, num_layers=3, num_readouts=2, repulsion=True),
    "paper": GPTFFConfig.paper(channels=32, num_layers=2, transformer="local", readout="atomwise", envelope_exponent=6),
    "no transformer": GPTFFConfig.paper(
        channels=32, num_layers=3, transformer="none", readout="atomwise", angle_update="harmonic"
    ),
}


class Processes:
    """Some atoms for each of several threads, which exchange as processes of LAMMPS do."""

    def __init__(self, graph: CrystalData, owner: np.ndarray, dtype: torch.dtype) -> None:
        self.graph, self.owner, self.dtype = graph, owner, dtype
        self.n = int(owner.max()) + 1
        self.barrier, self.lock = Barrier(self.n), Lock()
        self.arrays: dict[int, list[np.ndarray]] = {}
        self.exchanges = [0] * self.n
        self.own = [np.flatnonzero(owner == rank) for rank in range(self.n)]
        centre = graph.edge_index[1].numpy()
        self.bonds = [np.flatnonzero(owner[centre] == rank) for rank in range(self.n)]
        self.atoms = []
        for own, bonds in zip(self.own, self.bonds, strict=True):
            neighbours = np.unique(graph.edge_index[0].numpy()[bonds])
            self.atoms.append(np.concatenate([own, np.setdiff1d(neighbours, own)]))

    def run(self, potential: Potential) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies of all atoms and the gradient of all bonds."""
        energies = torch.empty(len(self.owner), dtype=torch.float64)
        gradient = torch.empty(self.graph.edge_index.size(1), 3, dtype=torch.float64)
        with ThreadPoolExecutor(self.n) as pool:
            for rank, (e, g) in enumerate(pool.map(lambda rank: self._one(potential, rank), range(self.n))):
                energies[self.own[rank]], gradient[self.bonds[rank]] = e, g.double()
        return energies, gradient

    def _one(self, potential: Potential, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        atoms, bonds = self.atoms[rank], self.bonds[rank]
        place = np.full(len(self.owner), -1)
        place[atoms] = np.arange(len(atoms))
        edge_index = torch.from_numpy(place)[self.graph.edge_index[:, bonds]]
        vectors = potential.model.bond_vectors(self.graph)[bonds].to(self.dtype)
        part = CrystalData(z=self.graph.z[atoms], edge_index=edge_index, cell=torch.zeros(1, 3, 3))
        if potential.model.angle_cutoff is not None:
            part.angle_index = angle_pairs(edge_index[1], vectors.norm(dim=1), potential.model.angle_cutoff)

        def call(_pair: int, reverse: int, count: int, arrays: object, widths: object) -> None:
            self._exchange(rank, bool(reverse), [arrays[n] for n in range(count)], [widths[n] for n in range(count)])

        function = EXCHANGE(call)
        address = ctypes.cast(function, ctypes.c_void_p).value
        exchange = GhostExchange(len(self.own[rank]), len(atoms), address, 0)
        try:
            return potential.energies_and_gradient(part, vectors, exchange)
        except BaseException:
            self.barrier.abort()
            raise

    def _exchange(self, rank: int, reverse: bool, addresses: list[int], widths: list[int]) -> None:
        real = np.float32 if self.dtype == torch.float32 else np.float64
        shapes = [(len(self.atoms[rank]), width) for width in widths]
        self.arrays[rank] = [
            np.frombuffer((ctypes.c_char * (math.prod(shape) * real().nbytes)).from_address(address), real).reshape(
                shape
            )
            if math.prod(shape)
            else np.empty(shape, real)
            for address, shape in zip(addresses, shapes, strict=True)
        ]
        self.exchanges[rank] += 1
        self.barrier.wait()
        for ghost in range(len(self.own[rank]), len(self.atoms[rank])):
            atom = self.atoms[rank][ghost]
            other = self.owner[atom]
            row = int(np.flatnonzero(self.own[other] == atom)[0])
            for mine, theirs in zip(self.arrays[rank], self.arrays[other], strict=True):
                if reverse:
                    with self.lock:
                        theirs[row] += mine[ghost]
                else:
                    mine[ghost] = theirs[row]
        self.barrier.wait()


def potential_of(name: str, dtype: torch.dtype) -> Potential:
    torch.manual_seed(0)
    potential = Potential(GPTFF(CONFIGS[name]), torch.randn(95)).to(dtype).eval().requires_grad_(False)
    for parameter in potential.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    return potential


def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (3, 2, 1)
    atoms.rattle(0.1, seed=1)
    return atoms


WAYS = [("geometric", True), *((name, False) for name in CONFIGS)]


@pytest.mark.parametrize(("name", "native"), WAYS, ids=["native", *CONFIGS])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_processes_that_share_atoms_find_what_one_finds(
    name: str, dtype: torch.dtype, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes, of which one has no atoms, and neighbours across every border."""
    potential = potential_of(name, dtype)
    graph = potential.model.build_graph(CrystalData.from_ase(salt()))
    if not native:
        monkeypatch.setattr(GPTFF, "energies_and_gradient", lambda *_: None)
    expected_energies, expected = potential.energies_and_gradient(graph, potential.model.bond_vectors(graph))
    owner = np.array([0, 2, 0, 2, 2, 2, 0, 0, 0, 2, 0, 0])
    processes = Processes(graph, owner, dtype)
    energies, gradient = processes.run(potential)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    torch.testing.assert_close(energies, expected_energies, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(gradient, expected.double(), atol=tolerance, rtol=tolerance)
    assert len(set(processes.exchanges)) == 1, "processes that do not exchange equally often wait for ever"


def test_the_gradient_is_that_of_the_prediction() -> None:
    potential = potential_of("geometric", torch.float64)
    data = CrystalData.from_ase(salt())
    graph = potential.model.build_graph(data)
    energies, gradient = potential.energies_and_gradient(graph, potential.model.bond_vectors(graph))
    prediction = potential(data, energies=True)
    torch.testing.assert_close(energies, prediction.energies)
    neighbour, centre = graph.edge_index
    forces = torch.zeros(12, 3, dtype=torch.float64).index_add(0, centre, gradient).index_add(0, neighbour, -gradient)
    torch.testing.assert_close(forces, prediction.forces)


def test_models_say_whether_they_can_exchange() -> None:
    graph = SchNet().build_graph(CrystalData.from_ase(salt()))
    assert GPTFF().can_exchange
    assert not GPTFF(GPTFFConfig.v1()).can_exchange
    assert not SchNet().can_exchange
    with pytest.raises(NotImplementedError, match="does not run on several processes"):
        SchNet().member_energies(graph, SchNet().bond_vectors(graph), Exchange())
