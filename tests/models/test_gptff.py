"""GPTFF as a PyG model: how it is called, on molecules and crystals; its weights; and large crystals in float32."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from torch_gptff.errors import CoincidentAtomsError, GraphError, UnsupportedElementError
from torch_gptff.graph import BondAngles, CrystalData, PeriodicRadiusGraph
from torch_gptff.models import GPTFF, GPTFFConfig, build_model
from torch_gptff.potential import Potential

SMALL = {"channels": 8, "num_layers": 2, "num_radial": 4, "feedforward_channels": 16}


ARCHITECTURES = {"geometric": GPTFFConfig, "paper": GPTFFConfig.paper}
Make = Callable[..., GPTFF]


def maker(architecture: str) -> Make:
    """A function that makes small models, with settings changed."""
    return lambda **settings: GPTFF(ARCHITECTURES[architecture](**{**SMALL, **settings}))


LAYERS = [
    *((transformer, angles) for transformer in ("none", "global", "local") for angles in ("explicit", "harmonic")),
    ("geometric", "none"),
]


def of_layers(transformer: str, angle_update: str, **settings: object) -> GPTFF:
    return maker("paper")(transformer=transformer, angle_update=angle_update, **settings)


@pytest.fixture(params=ARCHITECTURES)
def small(request: pytest.FixtureRequest) -> Make:
    return maker(request.param)


def molecules() -> list[Data]:
    """Records as QM9 and MD17 have them: ``z``, ``pos`` and a label, no cell."""
    names = ["H2O", "CH3OH", "C6H6", "NH3"]
    return [
        Data(z=torch.tensor(atoms.numbers), pos=torch.tensor(atoms.positions, dtype=torch.float32), y=torch.rand(1, 1))
        for atoms in map(molecule, names)
    ]


def crystals() -> list[CrystalData]:
    structures = [bulk("NaCl", "rocksalt", a=5.64), bulk("Ti"), bulk("Si") * (2, 1, 1)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=seed)
    return [CrystalData.from_ase(atoms) for atoms in structures]


def test_molecules_are_called_as_in_pyg(small):
    model = small()
    batch = next(iter(DataLoader(molecules(), batch_size=4)))
    energies = model(batch.z, batch.pos, batch.batch)
    assert energies.shape == (4, 1)
    assert energies.dtype == torch.float32
    one_by_one = torch.cat([model(data.z, data.pos) for data in molecules()])
    torch.testing.assert_close(energies, one_by_one, atol=1e-6, rtol=0)


def test_crystals_take_a_cell(small):
    model = small().double()
    batch = Batch.from_data_list(crystals())
    energies = model(batch.z, batch.pos, batch.batch, batch.cell, batch.pbc)
    assert energies.shape == (3, 1)
    without_pbc = model(batch.z, batch.pos, batch.batch, batch.cell)  # a cell means periods in every direction
    assert torch.equal(without_pbc, energies)
    one_by_one = torch.cat([model(data.z, data.pos, cell=data.cell) for data in crystals()])
    torch.testing.assert_close(energies, one_by_one, atol=1e-12, rtol=0)


def test_a_cell_without_periods_is_no_cell(small):
    model = small().double()
    data = crystals()[0]
    as_cluster = model(data.z, data.pos, cell=data.cell, pbc=False)
    assert torch.equal(as_cluster, model(data.z, data.pos))
    assert not torch.equal(as_cluster, model(data.z, data.pos, cell=data.cell))


def test_a_graph_given_is_not_built_again(small):
    model = small().double()
    batch = Batch.from_data_list(crystals())
    graph = PeriodicRadiusGraph(model.cutoff, "ase")(batch)
    if model.angle_cutoff is not None:
        graph = BondAngles(model.angle_cutoff)(graph)
    built = model(batch.z, batch.pos, batch.batch, batch.cell, batch.pbc)
    given = model(
        graph.z,
        graph.pos,
        graph.batch,
        graph.cell,
        graph.pbc,
        edge_index=graph.edge_index,
        edge_shift=graph.edge_shift,
        angle_index=graph.get("angle_index"),
    )
    torch.testing.assert_close(given, built, atol=1e-13, rtol=0)
    fewer = model(
        graph.z,
        graph.pos,
        graph.batch,
        graph.cell,
        graph.pbc,
        edge_index=graph.edge_index[:, ::2],
        edge_shift=graph.edge_shift[::2],
    )
    assert not torch.allclose(fewer, built)


def test_bonds_without_shifts_stay_within_the_structure(small):
    model = small().double()
    atoms = molecule("CH3OH")
    z, pos = torch.tensor(atoms.numbers), torch.tensor(atoms.positions)
    edge_index = model.build_graph(CrystalData.from_ase(atoms)).edge_index
    assert torch.equal(model(z, pos, edge_index=edge_index), model(z, pos))


@pytest.mark.parametrize("repulsion", [False, True])
def test_the_energy_is_the_mean_of_a_committee(small, repulsion):
    model = small(num_readouts=3, repulsion=repulsion).double().eval()
    graph = model.build_graph(Batch.from_data_list(crystals()))
    vectors = model.bond_vectors(graph)
    members = model.member_energies(graph, vectors)
    assert members.shape == (len(graph.z), 3)
    assert members.std(1).min() > 1e-6
    torch.testing.assert_close(members.mean(1), model.atomic_energies(graph, vectors), atol=1e-12, rtol=0)
    of_structures = torch.zeros(3, 3).double().index_add(0, graph.batch, members)
    torch.testing.assert_close(of_structures.mean(1), model.interaction_energy(graph, vectors), atol=1e-12, rtol=0)


def test_one_readout_is_a_committee_of_one(small):
    model = small().double()
    graph = model.build_graph(Batch.from_data_list(crystals()))
    vectors = model.bond_vectors(graph)
    assert torch.equal(model.member_energies(graph, vectors), model.atomic_energies(graph, vectors).unsqueeze(1))
    with pytest.raises(NotImplementedError, match="not a sum over atoms"):
        small(readout="pooled").member_energies(graph, vectors)


def test_atomic_energies_sum_to_the_energy(small):
    model = small().double()
    graph = model.build_graph(Batch.from_data_list(crystals()))
    vectors = model.bond_vectors(graph)
    atomic = model.atomic_energies(graph, vectors)
    total = torch.zeros(3, dtype=torch.float64).index_add(0, graph.batch, atomic)
    torch.testing.assert_close(total, model.interaction_energy(graph, vectors), atol=1e-14, rtol=0)


def test_a_pooled_readout_has_no_atomic_energies(small):
    model = small(readout="pooled")
    graph = model.build_graph(crystals()[0])
    with pytest.raises(NotImplementedError, match="not a sum over atoms"):
        model.atomic_energies(graph, model.bond_vectors(graph))


def test_what_it_refuses(small):
    model = small(max_z=20)
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    with pytest.raises(UnsupportedElementError, match="atom 1 is Fe"):
        model(torch.tensor([8, 26]), pos)
    with pytest.raises(CoincidentAtomsError, match="atoms 0 and 1"):
        model(torch.tensor([8, 8]), torch.zeros(2, 3))
    with pytest.raises(GraphError, match="ascending"):
        model(torch.tensor([8, 8]), pos, torch.tensor([1, 0]))
    with pytest.raises(GraphError, match="edge_shift"):
        model(torch.tensor([8, 8]), pos, edge_index=torch.tensor([[0], [1]]), edge_shift=torch.zeros(2, 3))


@pytest.mark.parametrize("layers", LAYERS, ids="-".join)
def test_reset_parameters_draws_every_weight_anew_by_the_seed(layers):
    def drawn(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        model.reset_parameters()
        return {name: parameter.clone() for name, parameter in model.named_parameters()}

    model = of_layers(*layers)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(not weight.eq(7.0).any() for weight in first.values()), "some weights were left as they were"
    assert all(torch.equal(first[name], again[name]) for name in first)
    same = {name for name in first if torch.equal(first[name], other[name])}
    assert same == {name for name in first if "norm" in name or "product_weight" in name}  # which start as ones


def test_the_seed_decides_the_weights_of_a_new_model(small):
    torch.manual_seed(5)
    first = small()
    torch.manual_seed(5)
    second = small()
    assert all(torch.equal(*both) for both in zip(first.parameters(), second.parameters(), strict=True))


def test_state_dict_carries_the_whole_model(small):
    first, second = small().double(), small().double()
    data = crystals()[0]
    assert not torch.equal(first(data.z, data.pos), second(data.z, data.pos))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(data.z, data.pos), second(data.z, data.pos))


def test_no_parameter_is_dead_in_the_recommended_model():
    potential = Potential(GPTFF()).double()
    data = CrystalData.from_ase(bulk("NaCl", "zincblende", a=5.0))
    data.pos[1] += 0.1
    prediction = potential(data, stress=False, create_graph=True)
    (prediction.energy.square().sum() + prediction.forces.square().sum()).backward()
    dead = [name for name, weight in potential.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []


def test_the_limit_of_an_embeddings_norm(small):
    """Only elements whose embedding is longer than the limit are scaled, down to it."""
    model = small(embedding_max_norm=1.0)
    with torch.no_grad():
        model.embedding.weight.mul_(10)
        model.embedding.weight[8].mul_(1e-3)
    scaled = model._embed_atoms(torch.arange(1, 20))
    norms = scaled.norm(dim=-1)
    assert norms[torch.arange(1, 20) != 8].tolist() == pytest.approx([1.0] * 18, abs=1e-6)
    assert torch.equal(scaled[7], model.embedding.weight[8])


def test_repr_tells_what_differs_from_the_recommended_model():
    small = maker("paper")
    assert repr(GPTFF()).startswith("GPTFF(")
    assert "channels" not in repr(GPTFF())
    text = repr(small(transformer="none"))
    assert "channels=8" in text
    assert "transformer='none'" in text
    n_parameters = sum(parameter.numel() for parameter in small(transformer="none").parameters())
    assert f"{n_parameters:,} parameters" in text


def test_built_by_name():
    model = build_model("gptff", {**SMALL, "num_readouts": 2})
    assert isinstance(model, GPTFF)
    assert model.config == GPTFFConfig(**SMALL, num_readouts=2)


@pytest.mark.parametrize("layers", [("none", "explicit"), ("none", "harmonic"), ("geometric", "none")], ids="-".join)
def test_ten_thousand_atoms_in_float32_lose_nothing(layers):
    model = of_layers(*layers, num_layers=1, cutoff=3.0, angle_cutoff=2.8)
    potential = Potential(model, {14: -5.4242424242}).eval()
    cell = bulk("Si", a=5.43)
    crystal = cell.repeat((18, 18, 16))
    one, many = (potential.predict([atoms], stress=False)[0] for atoms in (cell, crystal))
    assert len(crystal) == 10_368
    assert many.energy.item() / len(crystal) == pytest.approx(one.energy.item() / len(cell), rel=1e-8)
    interaction = [found.energy.item() / len(atoms) + 5.4242424242 for found, atoms in ((one, cell), (many, crystal))]
    assert interaction[1] == pytest.approx(interaction[0], rel=1e-6)
    assert many.forces.abs().max() < 1e-5  # every atom stands in the same surroundings


def test_a_few_steps_of_training_on_energies_and_forces(small):
    """Molecules without a cell and crystals in one loader, towards the energies and forces of another model."""
    teacher = Potential(small()).double()
    records = [CrystalData.from_ase(molecule(name)) for name in ("H2O", "CH3OH")] + crystals()
    for data in records:
        labels = teacher(data, stress=False)
        data.energy, data.forces = labels.energy, labels.forces
    student = Potential(small()).double()
    optimizer = torch.optim.Adam(student.parameters(), lr=5e-3)

    def loss_of(batch: Batch) -> torch.Tensor:
        found = student(batch, stress=False, create_graph=True)
        return (found.energy - batch.energy).square().mean() + (found.forces - batch.forces).square().mean()

    everything = Batch.from_data_list(records)
    before = loss_of(everything).item()
    for _ in range(6):
        for batch in DataLoader(records, batch_size=3, shuffle=True):
            optimizer.zero_grad()
            loss_of(batch).backward()
            optimizer.step()
    assert loss_of(everything).item() < 0.2 * before


def test_far_apart_copies_of_atoms_have_the_energy_of_atoms(small):
    """An isolated atom has an energy of its own, the same in any crowd of isolated atoms."""
    model = small().double()
    alone = model(torch.tensor([18]), torch.zeros(1, 3).double())
    crowd = Atoms("Ar5", positions=[[20.0 * n, 0, 0] for n in range(5)])
    together = model(torch.tensor(crowd.numbers), torch.tensor(crowd.positions))
    torch.testing.assert_close(together, 5 * alone, atol=1e-13, rtol=0)
