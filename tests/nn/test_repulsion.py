"""The repulsion of nuclei: its formula in SI units, its limits, and where it ends."""

from __future__ import annotations

import math

import pytest
import torch
from ase.build import bulk
from ase.data import covalent_radii
from scipy import constants
from torch import Tensor

from torch_gptff.errors import ConfigError
from torch_gptff.graph import CrystalData
from torch_gptff.graph.geometry import bond_vectors
from torch_gptff.models import GPTFF, GPTFFConfig
from torch_gptff.nn import ZBLRepulsion
from torch_gptff.potential import Potential

BOTH_WAYS = torch.tensor([[1, 0], [0, 1]])


def pair(repulsion: ZBLRepulsion, numbers: tuple[int, int], r: Tensor | float) -> Tensor:
    """The energy of two atoms at the distance ``r``."""
    r = torch.as_tensor(r, dtype=torch.float64)
    vector = r * torch.tensor([0.6, 0.48, 0.64], dtype=torch.float64)
    return repulsion(torch.tensor(numbers), BOTH_WAYS, torch.stack([vector, -vector])).sum()


def derivatives(numbers: tuple[int, int], at: float) -> list[float]:
    """The energy of two atoms and its first two derivatives by their distance."""
    r = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    value = pair(ZBLRepulsion(5.0), numbers, r)
    (first,) = torch.autograd.grad(value, r, create_graph=True, materialize_grads=True)
    if not first.requires_grad:
        return [value.item(), first.item(), 0.0]
    (second,) = torch.autograd.grad(first, r, materialize_grads=True)
    return [value.item(), first.item(), second.item()]


def end(numbers: tuple[int, int]) -> float:
    return float(covalent_radii[list(numbers)].sum())


def universal_potential(z_i: int, z_j: int, r: float) -> float:
    """The unswitched potential in eV with the constants of physics in SI units."""
    bohr = constants.physical_constants["Bohr radius"][0]
    x = r * constants.angstrom * (z_i**0.23 + z_j**0.23) / (0.88534 * bohr)
    screening = (
        0.18175 * math.exp(-3.1998 * x)
        + 0.50986 * math.exp(-0.94229 * x)
        + 0.28022 * math.exp(-0.4029 * x)
        + 0.02817 * math.exp(-0.20162 * x)
    )
    joule = z_i * z_j * constants.e**2 / (4 * constants.pi * constants.epsilon_0 * r * constants.angstrom) * screening
    return joule / constants.e


@pytest.mark.parametrize("numbers", [(1, 1), (8, 14), (29, 40), (79, 92)])
def test_the_universal_potential(numbers):
    for fraction in (0.02, 0.2, 0.5, 0.8):
        r = fraction * end(numbers)
        switch = 1 - 28 * fraction**6 + 48 * fraction**7 - 21 * fraction**8
        expected = universal_potential(*numbers, r) * switch
        assert pair(ZBLRepulsion(5.0), numbers, r).item() == pytest.approx(expected, rel=2e-5)


def test_two_copper_atoms_as_other_codes_have_them():
    """LAMMPS, ``pair_style zbl``, to the digits of its documentation: e² = 14.399645 eV Å, a = 0.46850 Å / 2 Z^0.23."""
    a = 0.46850 / (2 * 29**0.23)
    weights, exponents = (0.02817, 0.28022, 0.50986, 0.18175), (0.20162, 0.40290, 0.94229, 3.19980)
    screening = sum(w * math.exp(-b * 0.5 / a) for w, b in zip(weights, exponents, strict=True))
    expected = 14.399645 * 29**2 / 0.5 * screening
    switch = 1 - 28 * (0.5 / 2.64) ** 6 + 48 * (0.5 / 2.64) ** 7 - 21 * (0.5 / 2.64) ** 8
    assert pair(ZBLRepulsion(5.0), (29, 29), 0.5).item() == pytest.approx(expected * switch, rel=2e-5)


@pytest.mark.parametrize("numbers", [(1, 1), (3, 9), (92, 92)])
def test_bare_nuclei_at_no_distance(numbers):
    for r in (1e-5, 1e-6):
        coulomb = numbers[0] * numbers[1] * 14.399645 / r
        assert pair(ZBLRepulsion(5.0), numbers, r).item() == pytest.approx(coulomb, rel=1e2 * r)


@pytest.mark.parametrize("numbers", [(1, 1), (8, 14), (29, 40), (11, 17)])
def test_nothing_beyond_touching_atoms_and_no_kink(numbers):
    c = end(numbers)
    assert derivatives(numbers, c * (1 + 1e-9)) == [0, 0, 0]
    assert derivatives(numbers, c * (1 - 1e-9)) == pytest.approx([0, 0, 0], abs=1e-4)
    assert derivatives(numbers, 0.99 * c)[0] > 0


def test_ends_at_the_cutoff_where_atoms_are_larger():
    repulsion = ZBLRepulsion(4.0)
    assert pair(repulsion, (55, 55), 4.0001).item() == 0
    assert pair(repulsion, (55, 55), 3.9).item() > 0
    assert pair(ZBLRepulsion(5.0), (55, 55), 4.2).item() > 0


def test_repels_at_every_distance():
    r = torch.linspace(0.05, 3.0, 500, dtype=torch.float64)
    energies = torch.stack([pair(ZBLRepulsion(5.0), (29, 40), at) for at in r])
    assert energies.diff().le(0).all()
    assert energies[r < 3.0].gt(0).all()


def test_an_atom_has_half_of_each_of_its_bonds():
    repulsion = ZBLRepulsion(5.0)
    vectors = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.2, 0], [0, -1.2, 0]])
    edge_index = torch.tensor([[1, 0, 2, 1], [0, 1, 1, 2]])
    shares = repulsion(torch.tensor([8, 14, 6, 1]), edge_index, vectors)
    both = [pair(repulsion, numbers, r).item() for numbers, r in (((8, 14), 1.0), ((14, 6), 1.2))]
    expected = [both[0] / 2, (both[0] + both[1]) / 2, both[1] / 2, 0]
    assert shares.tolist() == pytest.approx(expected, rel=1e-6)
    assert shares.dtype == torch.float64


def test_twice_differentiable():
    repulsion = ZBLRepulsion(5.0)
    z, edge_index = torch.tensor([8, 14, 55]), torch.tensor([[1, 0, 2, 0], [0, 1, 0, 2]])
    bonds = torch.tensor([[0.9, 0.4, 0.1], [1.2, -1.3, 0.5]], dtype=torch.float64)
    vectors = torch.stack([bonds[0], -bonds[0], bonds[1], -bonds[1]]).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda v: repulsion(z, edge_index, v).sum(), vectors)


def test_a_change_of_dtype_changes_nothing():
    exact = pair(ZBLRepulsion(5.0), (8, 14), 1.25)
    assert torch.equal(pair(ZBLRepulsion(5.0).half().float(), (8, 14), 1.25), exact)


def test_radii_are_those_of_ase():
    radii = ZBLRepulsion(5.0).radii.double()[1:] / 100
    assert radii.tolist() == pytest.approx(covalent_radii[1:97].tolist(), abs=1e-12)


def test_elements_without_a_radius_are_refused():
    with pytest.raises(ConfigError, match=r"known up to Z = 96; got max_z = 100"):
        GPTFF(GPTFFConfig(channels=4, max_z=100, repulsion=True))


@pytest.mark.parametrize("readout", ["atomwise", "pooled"])
def test_a_model_adds_it_to_the_network_whatever_the_readout(readout):
    settings = {"channels": 4, "num_layers": 1, "num_radial": 3, "feedforward_channels": 8, "readout": readout}
    without = Potential(GPTFF(GPTFFConfig(**settings)))
    with_it = Potential(GPTFF(GPTFFConfig(**settings, repulsion=True)))
    with_it.model.load_state_dict(without.model.state_dict())  # it has no parameters
    atoms = bulk("NaCl", "rocksalt", a=4.6)
    data = CrystalData.from_ase(atoms)
    one, other = without.double()(data), with_it.double()(data)
    # A cell has 6 bonds of Na and Cl at 2.3 Å and, since sodium is large, 6 of Na and Na at 3.25 Å.
    repulsion = ZBLRepulsion(with_it.model.cutoff)
    pairs = pair(repulsion, (11, 17), 2.3) + pair(repulsion, (11, 11), 2.3 * 2**0.5)
    assert (other.energy - one.energy).item() == pytest.approx(6 * pairs.item(), rel=1e-9)
    assert other.stress[0].trace() < one.stress[0].trace()


def test_atoms_on_a_collision_course_repel():
    torch.manual_seed(1)
    model = GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4, feedforward_channels=16, repulsion=True))
    for r in (0.3, 0.6, 0.9):
        data = CrystalData.from_tensors(torch.tensor([29, 29]), torch.tensor([[0.0, 0, 0], [r, 0, 0]]))
        forces = Potential(model)(data, stress=False).forces
        assert forces[1, 0] > 5
        assert bool(forces.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_gradient_by_formula_is_that_of_autograd(dtype: torch.dtype) -> None:
    repulsion = ZBLRepulsion(5.0)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.3, seed=0)
    graph = GPTFF(GPTFFConfig(num_layers=1)).build_graph(CrystalData.from_ase(atoms))
    vectors = bond_vectors(graph).to(dtype).requires_grad_()
    expected = repulsion(graph.z, graph.edge_index, vectors)
    (gradient,) = torch.autograd.grad(expected.sum(), vectors)
    found = repulsion.with_gradient(graph.z, graph.edge_index, vectors)
    assert found is not None
    assert 0 < (found[1] != 0).any(dim=1).sum() < len(vectors)
    torch.testing.assert_close(found[0], expected.detach(), rtol=1e-12, atol=0)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found[1], gradient, rtol=tolerance, atol=tolerance)


def test_atoms_that_do_not_repel_have_no_gradient() -> None:
    assert (
        ZBLRepulsion(5.0).with_gradient(torch.tensor([14, 14]), BOTH_WAYS, torch.tensor([[2.3, 0, 0], [-2.3, 0, 0]]))
        is None
    )


def test_atomic_numbers_are_multiplied_in_float64() -> None:
    z, r, end = torch.tensor([79, 8]), torch.tensor([1.1, 0.7]).double(), torch.tensor([2.0, 1.3]).double()
    repulsion = ZBLRepulsion(5.0)
    for function in (repulsion.pair_energy, repulsion.pair_slope):
        torch.testing.assert_close(function(z, z, r, end), function(z.double(), z.double(), r, end), rtol=1e-15, atol=0)
