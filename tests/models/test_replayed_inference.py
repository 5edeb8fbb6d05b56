"""Graphs filled up to few sizes and work that is recorded and replayed: on the CPU by recordings that call the work
again, and by CUDA graphs where there is a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from ase.build import bulk
from one_call import assert_follows, assert_same, by_autograd, graphs_of, structures, untrained
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential
from torch_gptff.errors import SlowKernelsWarning
from torch_gptff.models import gptff, replayed_inference
from torch_gptff.models.padding import LEAST, Padded, Size
from torch_gptff.models.replayed_inference import ReplayedInference
from torch_gptff.ops import geometric_attention, operator
from torch_gptff.ops.cuda_graphs import Work
from torch_gptff.ops.triton import geometric as gpu

CONFIG = GPTFFConfig(repulsion=True, num_readouts=3, channels=32, heads=2, num_layers=2, max_z=30)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Recordings:
    """Makes recordings that call the work again, as a replay would do it, into the same results."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, work: Work) -> Work:
        self.number += 1
        results = work()

        def replay() -> Sequence[Tensor]:
            for fixed, value in zip(results, work(), strict=True):
                fixed.copy_(value)
            return results

        return replay


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> Recordings:
    """Models are recorded on the CPU, too."""
    record = Recordings()

    class OnTheCPU(ReplayedInference):
        def __init__(self, model: GPTFF) -> None:
            super().__init__(model, record)

        @staticmethod
        def can_fuse(model: GPTFF, *_: Any) -> bool:
            return not model.training

    monkeypatch.setattr(gptff.GeometricInference, "can_fuse", lambda *_: False)
    monkeypatch.setattr(gptff, "ReplayedInference", OnTheCPU)
    replayed_inference._tell.cache_clear()
    return record


@pytest.mark.parametrize("n_atoms", [1, 2, 8, 63, 64, 500])
def test_sizes_hold_what_they_are_for(n_atoms: int) -> None:
    for n_bonds in range(1, 60 * n_atoms, 7):
        size = Size.of(n_atoms, n_bonds)
        assert size.atoms > n_atoms
        assert n_bonds <= size.bonds <= max(LEAST, 1.125 * n_bonds)
        of_each = -(-(size.bonds - n_bonds) // (size.atoms - n_atoms))
        assert of_each <= max(n_bonds / n_atoms, LEAST) + 1


def test_there_are_few_sizes() -> None:
    assert len({Size.of(1000, n).bonds for n in range(1, 65_537)}) < 90


def test_what_is_filled_up_is_a_graph_of_its_own() -> None:
    z, vectors = torch.tensor([14, 14]), torch.randn(3, 3)
    filled = Padded.of(z, torch.tensor([[0, 1, 0], [0, 0, 1]]), vectors, Size(5, 9), cutoff=5.0)
    assert filled.z.tolist() == [14, 14, 1, 1, 1]
    assert filled.edge_index.tolist() == [[0, 1, 0, 2, 2, 3, 3, 4, 4], [0, 0, 1, 2, 2, 3, 3, 4, 4]]
    torch.testing.assert_close(filled.vectors[:3], vectors)
    torch.testing.assert_close(filled.vectors[3:].norm(dim=1), torch.full((6,), 5.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_replay_gives_what_autograd_gives(recordings: Recordings, dtype: torch.dtype) -> None:
    """Energies, forces, stress and uncertainties, of a batch and of each of its structures."""
    potential = untrained(CONFIG, dtype)
    rounding = 2e-5 if dtype == torch.float32 else 1e-11
    wanted = {"energies": True, "energy_std": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for atoms in [structures(), *([each] for each in structures())]:
            graph = graphs_of(potential, atoms)
            assert_same(potential.evaluate(graph, **wanted), by_autograd(potential, graph, **wanted), rounding)
    assert recordings.number > 1


def test_what_is_filled_up_does_not_change_the_rest() -> None:
    """To rounding, of energies, gradient and features, however much is added."""
    potential = untrained(CONFIG, torch.float64)
    graph = graphs_of(potential, structures())
    vectors = potential.model.bond_vectors(graph)
    model = ReplayedInference(potential.model)
    n_atoms, n_bonds = len(graph.z), len(vectors)
    expected = model._by_layers(Padded(graph.z, graph.edge_index, vectors))
    for size in (Size(n_atoms + 1, n_bonds), Size(n_atoms + 1, n_bonds + 50), Size(3 * n_atoms, 2 * n_bonds)):
        found = model._by_layers(Padded.of(graph.z, graph.edge_index, vectors, size, potential.model.cutoff))
        for value, other, number in zip(found, expected, (n_atoms, n_bonds, n_atoms), strict=True):
            torch.testing.assert_close(value[:number], other, rtol=1e-12, atol=1e-12)


def test_structures_of_one_size_share_a_recording(recordings: Recordings) -> None:
    """And results are copies, which the next replay leaves alone."""
    potential = untrained(CONFIG, torch.float64)
    graphs = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        graphs.append(potential.model.build_graph(CrystalData.from_ase(atoms)))
    assert len({Size.of(len(each.z), each.edge_index.size(1)) for each in graphs}) == 1
    found = [potential.evaluate(each) for each in graphs]
    assert recordings.number == 1
    for graph, prediction in zip(graphs, found, strict=True):
        assert_same(prediction, by_autograd(potential, graph), 1e-11)


def test_the_last_sizes_are_kept(recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayed_inference, "MOST_RECORDINGS", 2)
    potential = untrained(CONFIG, torch.float64)
    one, two, three = (CrystalData.from_ase(bulk("Cu") * (1, 1, n)) for n in (1, 4, 16))
    for data in (one, two, one, three, one):  # three takes the place of two, which was used before one
        potential(data)
    assert recordings.number == 3
    potential(two)
    assert recordings.number == 4


def test_it_follows_the_parameters(recordings: Recordings) -> None:
    potential = untrained(CONFIG, torch.float64)
    assert_follows(potential, potential.model.layers[1].lin1.weight)
    assert recordings.number > 1


def fails(work: Work) -> Work:
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def is_off(work: Work) -> Work:
    return lambda: [1.01 * value for value in work()]


@pytest.mark.parametrize(("record", "reason"), [(fails, "not permitted"), (is_off, "a replay is off by")])
def test_without_recordings_the_layers_are_called_and_a_warning_says_so_once(
    recordings: Recordings, monkeypatch: pytest.MonkeyPatch, record: Callable[[Work], Work], reason: str
) -> None:
    monkeypatch.setattr(Recordings, "__call__", lambda _, work: record(work))
    potential = untrained(CONFIG, torch.float64)
    graph = graphs_of(potential, structures())
    with pytest.warns(SlowKernelsWarning, match=reason) as told:
        found = [potential.evaluate(graph) for _ in range(2)]
    assert len(told) == 1
    for each in found:
        assert_same(each, by_autograd(potential, graph), 1e-11)


class OnOneDevice(TorchDispatchMode):
    """Refuses tensors of the CPU: a recording cannot bring numbers from there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in torch.utils._pytree.tree_leaves((args, kwargs, out)):
            if isinstance(each, Tensor) and each.dim():
                assert each.device.type == "meta", f"{func} is on the {each.device}"
        return out


def test_the_work_never_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On tensors without values, of which nothing can be asked, with the kernels of a GPU, which find their results
    allocated."""
    monkeypatch.setattr(operator, "of_device", lambda device, cpu, cuda: cuda)
    for module in (operator, geometric_attention):  # though this test looks on
        monkeypatch.setattr(module, "is_plain", lambda tensors: True)
    monkeypatch.setattr(gpu, "is_available", lambda dtype, channels: True)
    for name in ("geometric_attention", "tensor_product"):
        monkeypatch.setattr(gpu, name, lambda *_: None)
    potential = Potential(GPTFF(CONFIG)).eval().to("meta").requires_grad_(False)
    model = ReplayedInference(potential.model)
    graph = Padded(*(value.to("meta") for value in (torch.ones(5).long(), torch.ones(2, 30).long(), torch.ones(30, 3))))
    with OnOneDevice():
        energies, gradient, features = model._by_layers(graph)
    assert energies.shape == (5, 3)
    assert gradient.shape == (30, 3)
    assert features.shape == (5, 32)


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_gpu_replays(dtype: torch.dtype) -> None:
    potential = untrained(CONFIG, dtype).to("cuda")
    graph = graphs_of(potential, structures()).to("cuda")
    if not ReplayedInference.can_fuse(potential.model, graph, potential.model.bond_vectors(graph)):
        pytest.skip("there is no Triton")
    for _ in range(2):
        found = potential.evaluate(graph, energies=True)
        assert_same(found, by_autograd(potential, graph, energies=True), 1e-4 if dtype == torch.float32 else 1e-10)
    assert isinstance(potential.model._inference, ReplayedInference)
    assert potential.model._inference._recordings
