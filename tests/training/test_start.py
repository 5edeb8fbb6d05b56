"""What a run starts from: energies of the elements' references, or a checkpoint as it is."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, load, save
from torch_gptff.training.config import ModelSettings
from torch_gptff.training.start import starting_potential

SMALL = {"channels": 8, "num_layers": 2, "num_radial": 4, "feedforward_channels": 16}
REFERENCES = {1: -3.3, 6: -8.0, 8: -4.9, 11: -1.25, 17: -2.5}
CONFIGS = {
    "recommended": GPTFFConfig(**SMALL),
    "committee": GPTFFConfig(**SMALL, num_readouts=3),
    "paper": GPTFFConfig.paper(**SMALL),
    "pooled": GPTFFConfig.paper(**SMALL, readout="pooled"),
}


def structures() -> list[Atoms]:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.rattle(0.1, seed=1)
    return [salt, molecule("CH3OH")]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("training", [False, True])
def test_the_first_energies_are_those_of_the_references(config: GPTFFConfig, training: bool) -> None:
    model = starting_potential(ModelSettings(config=config.to_dict()), seed=3).model
    potential = Potential(model, REFERENCES).train(training)
    for atoms, found in zip(structures(), potential.predict(structures()), strict=True):
        assert found.energy.item() == pytest.approx(sum(REFERENCES[z] for z in atoms.numbers), abs=1e-12)
        assert found.forces is not None
        assert not found.forces.any()


def test_repulsion_is_there_from_the_start() -> None:
    config = GPTFFConfig(**SMALL, repulsion=True).to_dict()
    potential = starting_potential(ModelSettings(config=config), seed=3)
    near, far = potential.predict([Atoms("NaCl", [[0, 0, 0], [0, 0, r]]) for r in (1.0, 5.0)])
    assert near.energy > 10
    assert far.energy == 0


def test_every_readout_learns_from_the_first_step() -> None:
    """Also those of a committee, each of which starts with other weights below its last."""
    settings = ModelSettings(config=CONFIGS["committee"].to_dict())
    potential = starting_potential(settings, seed=3).eval()  # all readouts, not one that is drawn
    graph = CrystalData.from_ase(structures()[0], dtype=torch.float32)
    readouts = [potential.model.readout, *potential.model.readout.others]
    (potential(graph, create_graph=True).energy - 1).square().sum().backward()
    gradients = [each.fc_out.weight.grad for each in readouts]
    assert all(bool(gradient.any()) for gradient in gradients)
    assert not torch.equal(gradients[0], gradients[1])


def test_the_seed_decides_the_other_weights() -> None:
    settings = ModelSettings(config=SMALL)
    one, again, other = (starting_potential(settings, seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["layers.0.lin1.weight"], other["layers.0.lin1.weight"])


def test_other_models_start_as_they_are_made() -> None:
    settings = ModelSettings("schnet", {"hidden_channels": 8, "num_filters": 8, "num_interactions": 1})
    assert starting_potential(settings, seed=1).predict(structures())[0].energy != 0


@pytest.mark.parametrize("repair", [False, True])
def test_a_checkpoint_is_left_as_it_is(repair: bool, tmp_path) -> None:
    potential = Potential(GPTFF(CONFIGS["pooled"] if repair else CONFIGS["recommended"]), REFERENCES)
    save(potential, tmp_path / "model.safetensors")
    settings = ModelSettings(checkpoint=str(tmp_path / "model.safetensors"), repair=repair)
    weights = starting_potential(settings, seed=1).model.state_dict()
    saved = load(tmp_path / "model.safetensors").model.state_dict()
    assert all(torch.equal(weights[name], saved[name]) for name in saved)
    assert bool(weights["readout.fc_out.weight"].any())
