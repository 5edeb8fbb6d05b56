"""What is tested of every model that wraps one of PyG's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff import CrystalData, Potential, load, save
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.errors import ConfigError
from torch_gptff.models import EnergyModel, build_model


class BaselineTests:
    """A subclass names the model, gives small settings, and PyG's model of the same weights.

    Attributes:
        name: of the model
        settings: a small configuration, in which the energy is that of PyG for a molecule
        refused: settings that are refused, and what the message says
    """

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]]
    refused: ClassVar[list[tuple[dict[str, Any], str]]]

    @pytest.fixture
    def both(self) -> tuple[EnergyModel, Any]:
        """Our model, and a function of ``z``, ``pos`` and ``batch``: PyG's, with the same weights; float64."""
        raise NotImplementedError

    def model(self, **changes: Any) -> EnergyModel:
        return build_model(self.name, {**self.settings, **changes}).double()

    @pytest.mark.parametrize("name", ["CH3OH", "C6H6", "CO2"])
    def test_a_molecule_has_the_energy_that_pyg_gives_it(self, both: Any, name: str) -> None:
        ours, theirs = both
        z, pos = tensors(molecule(name))
        found, expected = ours(z, pos), theirs(z, pos, torch.zeros_like(z))
        torch.testing.assert_close(found.view(()), expected.view(()), rtol=1e-7, atol=1e-10)

    def test_more_than_32_neighbours(self, both: Any) -> None:
        """Of which PyG's own graph drops all but 32 by default."""
        ours, theirs = both
        cluster = bulk("Cu", a=3.0) * (4, 4, 4)
        cluster.pbc = False
        z, pos = tensors(cluster)
        graph = ours.build_graph(CrystalData.from_tensors(z, pos))
        assert graph.edge_index[1].bincount().max() > 40
        found, expected = ours(z, pos), theirs(z, pos, torch.zeros_like(z))
        torch.testing.assert_close(found.view(()), expected.view(()), rtol=1e-7, atol=1e-10)

    def test_images_of_an_atom_are_its_neighbours(self) -> None:
        """The same crystal, once with every bond between images of one atom and once with none of them."""
        potential = Potential(self.model())
        cell = Atoms("Cu", cell=[[0.1, 1.8, 1.75], [1.9, -0.1, 1.8], [1.8, 1.7, 0.2]], pbc=True)
        crystal = cell * (4, 4, 4)
        one, many = (potential.model.build_graph(CrystalData.from_ase(atoms)) for atoms in (cell, crystal))
        assert (one.edge_index[0] == one.edge_index[1]).all()
        assert (many.edge_index[0] != many.edge_index[1]).all()
        alone, together = potential(one), potential(many)
        torch.testing.assert_close(together.energy, 64 * alone.energy, rtol=1e-11, atol=0)
        torch.testing.assert_close(together.stress, alone.stress, rtol=1e-9, atol=1e-12)
        apart = potential(CrystalData.from_ase(Atoms("Cu")), stress=False)
        assert abs((alone.energy - apart.energy).item()) > 1e-3

    @pytest.mark.parametrize(
        "atoms", [bulk("NaCl", "rocksalt", a=5.64), bulk("Cu"), Atoms("Ar"), molecule("CO2")], ids=str
    )
    def test_perfect_symmetry_has_finite_gradients(self, atoms: Atoms) -> None:
        """Where symmetry makes vectors vanish and atoms stand in line, lengths and angles have no derivative."""
        potential = Potential(self.model())
        prediction = potential(CrystalData.from_ase(atoms), stress=False, create_graph=True)
        assert prediction.forces.abs().max() < 1e-9 or atoms.symbols[0] == "C"
        (prediction.energy.sum() + (prediction.forces - 0.1).square().sum()).backward()
        for weight in potential.parameters():
            assert weight.grad is None or bool(weight.grad.isfinite().all())

    def test_through_a_checkpoint_to_a_calculator(self, tmp_path: Path) -> None:
        potential = Potential(self.model(), {29: -3.0}).eval()
        save(potential, tmp_path / "model.safetensors")
        again = load(tmp_path / "model.safetensors")
        assert type(again.model) is type(potential.model)
        assert again.model.config == potential.model.config
        atoms = bulk("Cu") * (2, 1, 1)
        atoms.rattle(0.1, seed=0)
        atoms.calc = GPTFFCalculator(again)
        assert atoms.get_potential_energy() == pytest.approx(potential.predict([atoms])[0].energy.item(), abs=1e-10)

    def test_the_seed_decides_the_weights(self) -> None:
        torch.manual_seed(5)
        first = self.model()
        torch.manual_seed(5)
        second = self.model()
        assert all(torch.equal(*weights) for weights in zip(first.parameters(), second.parameters(), strict=True))

    def test_configuration(self) -> None:
        config = self.model().config
        assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
        with pytest.raises(ConfigError, match="unknown key 'cutof': did you mean 'cutoff'"):
            build_model(self.name, {"cutof": 4.0})
        for settings, message in [({"cutoff": 0.0}, "cutoff must be positive"), *self.refused]:
            with pytest.raises(ConfigError, match=message):
                build_model(self.name, settings)


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    """PyG's ViSNet makes tensors of the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def tensors(atoms: Atoms) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(atoms.numbers), torch.tensor(atoms.positions)
