"""From a model to energy, forces and stress: what is asked for, in batches that fit, and differentiable again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from pymatgen.core import Lattice, Molecule, Structure
from torch_geometric.data import Batch, Data

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, Prediction
from torch_gptff.errors import (
    CoincidentAtomsError,
    ConfigError,
    EmptyStructureError,
    GraphError,
    UnfamiliarCompositionWarning,
    UnknownReferenceError,
    UnsupportedElementError,
)
from torch_gptff.nn import ElementEnergies
from torch_gptff.prediction import Calibration

SMALL: dict[str, Any] = {
    "channels": 8,
    "num_layers": 2,
    "num_radial": 4,
    "feedforward_channels": 16,
    "cutoff": 3.6,
    "angle_cutoff": 3.0,
}


@pytest.fixture
def potential() -> Potential:
    return Potential(GPTFF(GPTFFConfig(**SMALL)), torch.randn(95)).double().eval()


def rattled(atoms: Atoms) -> Atoms:
    atoms.rattle(0.05, seed=3)
    return atoms


def crystal() -> Atoms:
    return rattled(bulk("NaCl", "rocksalt", a=5.6, cubic=True))


def mixed_list() -> list[Any]:
    """Of every type, large and small, periodic or not."""
    rutile = Structure(
        Lattice.tetragonal(4.6, 2.95),
        ["Ti", "Ti", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.52], [0.3, 0.31, 0], [0.7, 0.7, 0], [0.2, 0.8, 0.5], [0.8, 0.2, 0.5]],
    )
    return [
        rattled(bulk("Cu", cubic=True) * (2, 2, 2)),
        rutile,
        molecule("CH3OH"),
        Molecule(["O", "H", "H"], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        rattled(fcc111("Al", (2, 2, 3), vacuum=6.0)),
        Atoms("Ar"),
        CrystalData.from_ase(crystal()),
        bulk("Fe"),
    ]


def assert_equal(one: Prediction, other: Prediction, tolerance: float = 1e-11) -> None:
    for quantity in ("energy", "forces", "stress", "energies"):
        actual, expected = getattr(one, quantity), getattr(other, quantity)
        assert (actual is None) == (expected is None), quantity
        if actual is not None:
            torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


# -- many structures


def test_a_mixed_list_gives_what_each_structure_gives_alone(potential: Potential) -> None:
    together = potential.predict(mixed_list(), energies=True)
    assert len(together) == len(mixed_list())
    for structure, prediction in zip(mixed_list(), together, strict=True):
        (alone,) = potential.predict([structure], energies=True)
        assert_equal(prediction, alone)
        assert prediction.forces.shape == (len(prediction.energies), 3)
        assert prediction.stress.shape == (1, 3, 3)


def test_a_record_is_the_atoms_that_it_was_made_of(potential: Potential) -> None:
    atoms = crystal()
    structure = Structure(atoms.cell.array, list(atoms.symbols), atoms.positions, coords_are_cartesian=True)
    from_ase, from_pymatgen, from_record = potential.predict([atoms, structure, CrystalData.from_ase(atoms)])
    assert_equal(from_ase, from_pymatgen)
    assert_equal(from_ase, from_record)


@pytest.mark.parametrize(("max_bonds", "max_angles"), [(500, 10**9), (10**9, 700), (1, 1), (10**9, 10**9)])
def test_no_batch_exceeds_the_budget_unless_it_is_one_structure(
    max_bonds: int, max_angles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    potential = Potential(GPTFF(GPTFFConfig.paper(**SMALL))).double().eval()  # which has angles
    expected = potential.predict(mixed_list())
    sizes = []

    def spy(graph: Data, **wanted: bool) -> Prediction:
        sizes.append((len(graph.cell), graph.edge_index.size(1), graph.angle_index.size(1)))
        return Potential.evaluate(potential, graph, **wanted)

    monkeypatch.setattr(potential, "evaluate", spy)
    found = potential.predict(mixed_list(), max_bonds=max_bonds, max_angles=max_angles)
    assert all(n == 1 or (bonds <= max_bonds and angles <= max_angles) for n, bonds, angles in sizes)
    assert sum(n for n, _, _ in sizes) == len(mixed_list())
    # The budget is used: two batches that follow each other would not have fitted into one.
    for one, other in pairwise(sizes):
        assert one[1] + other[1] > max_bonds or one[2] + other[2] > max_angles
    for prediction, reference in zip(found, expected, strict=True):
        assert_equal(prediction, reference)


def test_structures_are_taken_as_they_come(potential: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a generator of many structures, no more than one batch and the next structure are held."""
    taken: list[int] = []
    taken_before_a_batch: list[int] = []

    def structures() -> Iterator[Atoms]:
        for number in range(4):
            taken.append(number)
            yield crystal()

    def spy(graph: Data, **wanted: bool) -> Prediction:
        taken_before_a_batch.append(len(taken))
        return Potential.evaluate(potential, graph, **wanted)

    monkeypatch.setattr(potential, "evaluate", spy)
    assert len(potential.predict(structures(), max_bonds=1)) == 4
    assert taken_before_a_batch == [2, 3, 4, 4]
    assert potential.predict([]) == []


def test_the_place_of_a_bad_structure_is_named(potential: Potential) -> None:
    on_one_spot = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0]])
    for bad, error in (
        (Atoms(), EmptyStructureError),
        (Atoms("Am"), UnsupportedElementError),
        (on_one_spot, CoincidentAtomsError),
        ("NaCl.cif", GraphError),
    ):
        with pytest.raises(error, match="structure 2 of the list"):
            potential.predict([crystal(), crystal(), bad])


def test_labels_of_records_do_not_matter(potential: Potential) -> None:
    labelled, bare = CrystalData.from_ase(crystal()), CrystalData.from_ase(crystal())
    labelled.energy = torch.tensor([-3.0])
    labelled.name = "rock salt"
    one, other = potential.predict([labelled, bare])
    assert_equal(one, other)
    assert "edge_index" not in labelled


# -- what is asked for, and nothing else


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.parametrize("stress", [False, True])
@pytest.mark.parametrize("energies", [False, True])
def test_what_is_not_asked_for_is_none(forces: bool, stress: bool, energies: bool, potential: Potential) -> None:
    everything = potential.predict([crystal()], energies=True)[0]
    asked = potential.predict([crystal()], forces=forces, stress=stress, energies=energies)[0]
    assert_equal(
        asked,
        Prediction(
            everything.energy,
            everything.forces if forces else None,
            everything.stress if stress else None,
            everything.energies if energies else None,
        ),
    )


def test_energy_alone_needs_no_autograd(potential: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []
    potential.model.readout.register_forward_hook(lambda module, inputs, result: recorded.append(result.requires_grad))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a gradient was taken")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    potential.predict([crystal()], forces=False, stress=False)
    with torch.no_grad():
        potential(CrystalData.from_ase(crystal()), forces=False, stress=False)
    assert recorded == [False, False]
    with pytest.raises(AssertionError, match="a gradient was taken"):
        potential.predict([crystal()])


def test_forces_and_stress_are_one_gradient(potential: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: calls.append(1) or grad(*args, **kwargs))
    potential.predict([crystal()])
    assert calls == [1]


def test_no_gradient_goes_to_the_parameters(potential: Potential) -> None:
    potential(CrystalData.from_ase(crystal()))
    potential.predict([crystal()])
    assert all(parameter.grad is None for parameter in potential.parameters())


def test_without_a_volume_stress_is_not_a_number(potential: Potential) -> None:
    water, salt = potential.predict([molecule("H2O"), crystal()])
    assert water.stress.isnan().all()
    assert salt.stress.isfinite().all()


def test_shares_of_atoms_where_the_model_has_none() -> None:
    potential = Potential(GPTFF(GPTFFConfig(**SMALL, readout="pooled"))).eval()
    with pytest.raises(NotImplementedError, match="not a sum over atoms"):
        potential.predict([crystal()], energies=True)


# -- differentiable again


def labelled_batch() -> Batch:
    records = []
    for structure in (rattled(bulk("CsCl", "cesiumchloride", a=3.3)), molecule("H2O"), bulk("Cu")):
        record = CrystalData.from_ase(structure)
        record.forces = torch.randn(len(structure), 3, dtype=torch.float64)
        record.stress = torch.randn(1, 3, 3, dtype=torch.float64)
        records.append(record)
    return Batch.from_data_list(records)


def loss_of(potential: Potential, batch: Batch) -> torch.Tensor:
    prediction = potential(batch, create_graph=True)
    has_volume = prediction.stress.isfinite().flatten(1).all(dim=1)
    stress_error = (prediction.stress - batch.stress)[has_volume]
    return (prediction.forces - batch.forces).square().sum() + 100 * stress_error.square().sum()


def loss_with(potential: Potential, batch: Batch, parameter: torch.Tensor, change: torch.Tensor) -> float:
    original = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(change)
    loss = loss_of(potential, batch).item()
    with torch.no_grad():
        parameter.copy_(original)
    return loss


def test_the_gradient_of_a_loss_of_forces_and_stress(potential: Potential) -> None:
    """Of every parameter, along a random direction, against a central difference."""
    batch = potential.model.build_graph(labelled_batch())
    parameters = dict(potential.model.named_parameters())
    gradients = torch.autograd.grad(loss_of(potential, batch), parameters.values(), allow_unused=True)
    unused = {name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None}
    assert unused == {"readout.fc_out.bias"}  # a constant
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        if gradient is None:
            continue
        direction = torch.randn_like(parameter)
        step = 1e-5
        ahead, behind = (loss_with(potential, batch, parameter, sign * step * direction) for sign in (1, -1))
        expected = (ahead - behind) / (2 * step)
        scale = float((gradient.abs() * direction.abs()).sum())
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-6 * scale + 1e-7), name


def test_a_training_step_reaches_every_parameter(potential: Potential) -> None:
    batch = labelled_batch()
    prediction = potential(batch, create_graph=True)
    (prediction.energy.sum() + prediction.forces.square().sum()).backward()
    for name, parameter in potential.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_second_derivatives_by_positions(potential: Potential) -> None:
    """The row of the Hessian of one coordinate, against a central difference of the forces."""
    record = potential.model.build_graph(CrystalData.from_ase(crystal()))
    record.pos.requires_grad_()
    forces = potential.evaluate(record, stress=False, create_graph=True).forces
    (row,) = torch.autograd.grad(-forces[2, 1], record.pos)
    step = 1e-4
    forces_at = []
    for sign in (1, -1):
        moved = crystal()
        moved.positions[2, 1] += sign * step
        forces_at.append(potential.predict([moved], stress=False)[0].forces)
    torch.testing.assert_close(row, (forces_at[1] - forces_at[0]) / (2 * step), rtol=1e-6, atol=1e-7)


def test_a_prediction_is_cut_off_unless_the_graph_is_kept(potential: Potential) -> None:
    record = CrystalData.from_ase(crystal())
    for create_graph in (False, True):
        prediction = potential(record, energies=True, create_graph=create_graph)
        for quantity in ("energy", "forces", "stress", "energies"):
            assert getattr(prediction, quantity).requires_grad == create_graph, quantity
    assert potential(record, forces=False, stress=False).energy.requires_grad


# -- numbers


def test_float32_agrees_with_float64(potential: Potential) -> None:
    exact = potential.predict(mixed_list())
    rounded = potential.float().predict(mixed_list())
    for one, other in zip(rounded, exact, strict=True):
        assert one.energy.dtype == torch.float64
        assert one.forces.dtype == torch.float32
        n_atoms = len(one.forces)
        assert float((one.energy - other.energy).abs()) < 2e-6 * n_atoms
        torch.testing.assert_close(one.forces.double(), other.forces, rtol=0, atol=1e-5)


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_the_default_dtype_is_neither_used_nor_changed(default: torch.dtype, potential: Potential) -> None:
    potential = potential.float()
    expected = potential.predict(mixed_list(), energies=True)
    torch.set_default_dtype(default)
    try:
        found = potential.predict(mixed_list(), energies=True)
        assert torch.get_default_dtype() == default
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected, strict=True):
        assert one.forces.dtype == torch.float32
        assert_equal(one, other, tolerance=0)


def test_energies_of_the_elements_lose_nothing_in_ten_thousand_atoms() -> None:
    """In float32 the sum would be wrong by meV an atom."""
    model = GPTFF(GPTFFConfig(**{**SMALL, "cutoff": 1.0, "angle_cutoff": 1.0}))
    with torch.no_grad():
        for parameter in model.readout.fc_out.parameters():
            parameter.zero_()
    reference = {11: -1234.567891, 17: -460.123456789}
    potential = Potential(model, reference).float().eval()
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (11, 11, 11)
    assert len(atoms) > 10_000
    energy = potential.predict([atoms], forces=False, stress=False)[0].energy.item()
    assert energy == pytest.approx(len(atoms) / 2 * sum(reference.values()), rel=1e-14)


def test_many_small_atomic_energies_lose_nothing() -> None:
    """The energy of many like atoms far apart is their number times the energy of one, in float32 too."""
    potential = Potential(GPTFF(GPTFFConfig(**SMALL))).float().eval()
    grid = np.stack(np.meshgrid(*[np.arange(22)] * 3), axis=-1).reshape(-1, 3) * 8.0
    many = Atoms(numbers=np.full(len(grid), 18), positions=grid)
    one, together = potential.predict([Atoms("Ar"), many], forces=False, stress=False)
    assert together.energy.item() / len(many) == pytest.approx(one.energy.item(), rel=1e-6)


def test_element_energies_follow_no_dtype() -> None:
    energies = ElementEnergies({1: -13.605693122994}).half().float()
    assert energies(torch.tensor([1])).item() == -13.605693122994
    with pytest.raises(ConfigError, match="Z = 3 is not a finite number"):
        ElementEnergies([0, 1.0, 2.0, float("nan")])
    with pytest.raises(ConfigError, match="no atomic number 200"):
        Potential(GPTFF(GPTFFConfig(**SMALL)), {200: 1.0})


# -- what is left as it was


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_predict_leaves_the_potential_as_it_was(training: bool, fails: bool, potential: Potential) -> None:
    potential.train(training)
    potential.model.embedding.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in potential.named_parameters()}
    structures = [crystal(), Atoms() if fails else crystal()]
    try:
        potential.predict(structures)
    except EmptyStructureError:
        assert fails
    assert potential.training == training
    assert all(module.training == training for module in potential.modules())
    assert {name: parameter.requires_grad for name, parameter in potential.named_parameters()} == before


def test_predict_does_not_drop_out() -> None:
    potential = Potential(GPTFF(GPTFFConfig.paper(**SMALL, dropout=0.5))).train()
    first, second = (potential.predict([crystal()])[0] for _ in range(2))
    assert_equal(first, second, tolerance=0)


def test_records_are_left_as_they_were(potential: Potential) -> None:
    record = CrystalData.from_ase(crystal())
    before = record.clone()
    potential(record)
    potential.predict([record])
    assert record.keys() == before.keys()
    assert all(torch.equal(record[key], before[key]) for key in before.keys())  # noqa: SIM118
    assert not record.pos.requires_grad


def test_a_plain_record_of_pyg_without_a_cell(potential: Potential) -> None:
    atoms = molecule("CH3OH")
    data = Data(z=torch.tensor(atoms.numbers), pos=torch.tensor(atoms.positions))
    assert_equal(potential(data), potential(CrystalData.from_ase(atoms)))
    assert data.keys() == ["z", "pos"] or set(data.keys()) == {"z", "pos"}


# -- references of several sources


def with_references() -> Potential:
    potential = Potential(GPTFF(GPTFFConfig(**SMALL))).double().eval()
    potential.references = {"pbe": {11: -1.0, 17: -2.0, 29: -3.0}, "acwf": {11: -10.0, 17: -20.0}}
    return potential.use_reference("pbe")


def test_a_reference_moves_the_energy_and_nothing_else():
    potential = with_references()
    one = potential.predict([crystal()], energies=True)[0]
    assert potential.reference == "pbe"
    other = potential.use_reference("acwf").predict([crystal()], energies=True)[0]
    assert potential.reference == "acwf"
    assert (other.energy - one.energy).item() == pytest.approx(-4 * 27.0, abs=1e-10)
    sodium = torch.tensor(crystal().numbers == 11)
    torch.testing.assert_close(other.energies - one.energies, torch.where(sodium, -9.0, -18.0).double())
    assert torch.equal(one.forces, other.forces)
    assert torch.equal(one.stress, other.stress)


def test_a_reference_is_exact_in_any_dtype():
    potential = with_references().float().use_reference("acwf").float()
    assert potential.element_energies.energies.dtype == torch.float64
    assert potential.element_energies(torch.tensor([11, 17])).tolist() == [-10, -20]


def test_a_reference_without_an_element_names_it():
    potential = with_references().use_reference("acwf")
    graph = potential.model.build_graph(CrystalData.from_ase(bulk("Cu")))
    with pytest.raises(UnsupportedElementError, match="structure 1 of the list: the reference 'acwf' has no energy of"):
        potential.predict([crystal(), bulk("Cu")])
    for predict in (potential, potential.evaluate):
        with pytest.raises(UnsupportedElementError, match="reference 'acwf' has no energy of Cu: take another"):
            predict(graph)
    potential.use_reference("pbe").evaluate(graph)


def test_the_old_name_of_use_reference_warns():
    with pytest.warns(DeprecationWarning, match="is now Potential.use_reference"):
        potential = with_references().speak("acwf")
    assert potential.reference == "acwf"


def test_an_unknown_reference_names_those_there_are():
    with pytest.raises(UnknownReferenceError, match="no reference 'lda'; there are: acwf, pbe"):
        with_references().use_reference("lda")
    with pytest.raises(UnknownReferenceError, match="none but the one in use"):
        Potential(GPTFF(GPTFFConfig(**SMALL))).use_reference("pbe")


# -- uncertainty


def committee(**settings: Any) -> Potential:
    return Potential(GPTFF(GPTFFConfig(**SMALL, num_readouts=3, **settings)), torch.randn(95)).double().eval()


def alone(potential: Potential, member: int) -> Potential:
    """The potential with one of its readouts only."""
    model = potential.model
    one = Potential(GPTFF(GPTFFConfig(**SMALL)), potential.element_energies).double().eval()
    weights = {name: weight for name, weight in model.state_dict().items() if "readout.others" not in name}
    if member:
        for name in [name for name in weights if name.startswith("readout.")]:
            weights[name] = model.state_dict()[name.replace("readout.", f"readout.others.{member - 1}.")]
    one.model.load_state_dict(weights)
    return one


@pytest.mark.parametrize("calibration", [None, Calibration(energy=2.0, forces=5.0)])
def test_the_uncertainty_is_the_spread_of_its_members(calibration):
    potential = committee()
    potential.calibration = calibration
    structures = [crystal(), molecule("CH3OH")]
    found = potential.predict(structures, energies=True, energy_std=True, forces_std=True)
    members = [alone(potential, member).predict(structures) for member in range(3)]
    for number, atoms in enumerate(structures):
        energies = torch.stack([each[number].energy for each in members])
        forces = torch.stack([each[number].forces for each in members])
        by_energy, by_forces = (1, 1) if calibration is None else (2, 5)
        torch.testing.assert_close(found[number].energy, energies.mean(0), atol=1e-11, rtol=0)
        torch.testing.assert_close(found[number].energy_std, by_energy * energies.std(0), atol=1e-11, rtol=0)
        torch.testing.assert_close(found[number].forces, forces.mean(0), atol=1e-11, rtol=0)
        assert found[number].forces_std.shape == (len(atoms),)
        spread = by_forces * forces.var(0).mean(1).sqrt()
        torch.testing.assert_close(found[number].forces_std, spread, atol=1e-11, rtol=0)


def test_the_uncertainty_changes_no_prediction():
    potential = committee(repulsion=True)
    plain = potential.predict([crystal()], energies=True)[0]
    assert plain.energy_std is None
    assert plain.forces_std is None
    for options in ({"energy_std": True}, {"forces_std": True}, {"energy_std": True, "forces_std": True}):
        assert_equal(potential.predict([crystal()], energies=True, **options)[0], plain)
    alone = potential.predict([crystal()], forces=False, stress=False, forces_std=True)[0]
    assert alone.forces is None
    assert alone.forces_std is not None


def test_an_uncertainty_can_be_differentiated():
    """As active learning needs it: where is the model least sure?"""
    potential = committee()
    data = CrystalData.from_ase(crystal())
    data.pos.requires_grad_()
    found = potential(data, energy_std=True, forces_std=True, create_graph=True)
    for values in (found.energy_std, found.forces_std):
        (slope,) = torch.autograd.grad(values.sum(), data.pos, retain_graph=True)
        assert slope.abs().max() > 0


def test_one_readout_knows_no_uncertainty(potential):
    for option in ("energy_std", "forces_std"):
        with pytest.raises(NotImplementedError, match="only several can differ"):
            potential.predict([crystal()], **{option: True})


# -- elements never seen together


def test_elements_never_seen_together_warn(potential):
    potential.seen_pairs = frozenset({(11, 17), (1, 6)})
    potential.predict([crystal(), bulk("Cu")])  # warnings are errors
    with pytest.warns(UnfamiliarCompositionWarning, match=r"structure 1 .* \(H–O, C–O\): expect larger errors"):
        potential.predict([crystal(), molecule("CH3OH")])
