"""Low-rank updates of weights: where they start, what they move, and what is left in a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from emt_frames import MODEL

from torch_gptff import GPTFF, GPTFFConfig, Potential, load, save
from torch_gptff.errors import ConfigError
from torch_gptff.models import build_model
from torch_gptff.prediction import Prediction
from torch_gptff.training import TrainingConfig, train
from torch_gptff.training.config import ModelSettings
from torch_gptff.training.lora import add_low_rank, merged
from torch_gptff.training.module import EnergyModelModule
from torch_gptff.training.optimizer import parameter_groups
from torch_gptff.training.start import starting_potential

RANK = 2


def small(size: float = 1.0, **settings: object) -> Potential:
    """A model of random weights; ``size`` multiplies its energies."""
    torch.manual_seed(0)
    model = GPTFF(GPTFFConfig(**{**MODEL, **settings}))
    with torch.no_grad():
        model.readout.fc_out.weight.mul_(size)
    return Potential(model, {29: -3.7, 79: -3.2}).double()


def predicted(potential: Potential, atoms: Atoms) -> Prediction:
    return potential.predict([atoms])[0]


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.symbols[0] = "Au"
    atoms.rattle(0.1, seed=1)
    return atoms


def moved(model: torch.nn.Module) -> None:
    """Give every low-rank update some size."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".b"):
                parameter.normal_(std=0.1)


@pytest.mark.parametrize("settings", [{"transformer": "local"}, {}], ids=["local", "geometric"])
def test_the_start_is_the_checkpoint_and_merged_weights_are_those_trained(settings: dict[str, object]) -> None:
    potential = small(100.0, **settings).eval()
    names = {name: tuple(value.shape) for name, value in potential.state_dict().items()}
    before = predicted(potential, alloy())
    add_low_rank(potential.model, RANK)
    start = predicted(potential, alloy())
    assert start.energy.item() == before.energy.item()
    assert torch.equal(start.forces, before.forces)
    moved(potential.model)
    trained = predicted(potential, alloy())
    assert (trained.forces - before.forces).abs().max() > 1e-3
    ordinary = Potential(merged(potential.model), potential.element_energies).eval()
    assert {name: tuple(value.shape) for name, value in ordinary.state_dict().items()} == names
    assert type(ordinary.model) is GPTFF
    found = predicted(ordinary, alloy())
    torch.testing.assert_close(found.energy, trained.energy, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.forces, trained.forces, rtol=0, atol=1e-10)
    again = predicted(potential, alloy())  # the model itself keeps its updates, and trains on
    assert torch.equal(again.forces, trained.forces)


def test_forces_are_the_derivative_of_the_energy_under_an_update() -> None:
    potential = small(100.0).eval()
    add_low_rank(potential.model, RANK)
    moved(potential.model)
    atoms, step = alloy(), 1e-4
    ends = []
    for sign in (1, -1):
        copy = atoms.copy()
        copy.positions[0, 0] += sign * step
        ends.append(predicted(potential, copy).energy.item())
    assert predicted(potential, atoms).forces[0, 0].item() == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_only_updates_are_trained_and_frozen_weights_get_none() -> None:
    potential = small()
    before = sum(parameter.numel() for parameter in potential.model.parameters())
    add_low_rank(potential.model, RANK, ["readout"])
    config = TrainingConfig(model=ModelSettings(checkpoint="any", lora=RANK, freeze=("readout", "embedding")))
    groups = parameter_groups(EnergyModelModule(potential, config), config)
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    names = [name for name, parameter in potential.model.named_parameters() if id(parameter) in trained]
    assert names
    assert all(name.endswith((".0.a", ".0.b")) and not name.startswith("readout") for name in names)
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) < before / 2


@pytest.mark.filterwarnings("ignore:.*(the (forces|stresses) are|another reference)")  # it knows nothing
def test_a_run_leaves_an_ordinary_checkpoint_whose_weights_moved_by_a_low_rank(config, tmp_path) -> None:
    start = small().float()
    save(start, tmp_path / "start.safetensors")
    model = ModelSettings(checkpoint=str(tmp_path / "start.safetensors"), lora=RANK)
    run = train(replace(config, model=model, epochs=2), tmp_path / "run", accelerator="cpu", report=False)
    tuned = load(run.best)
    before, after = start.model.state_dict(), tuned.model.state_dict()
    assert {name: value.shape for name, value in before.items()} == {name: v.shape for name, v in after.items()}
    linears = {f"{name}.weight" for name, part in start.model.named_modules() if isinstance(part, torch.nn.Linear)}
    some_moved = False
    for name, value in before.items():
        change = (after[name] - value).double()
        if name not in linears:
            assert not change.any(), name
        else:
            assert torch.linalg.matrix_rank(change, atol=1e-6).item() <= RANK, name
            some_moved |= bool(change.any())
    assert some_moved


def test_what_has_no_checkpoint_or_needs_all_weights_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"model\.lora changes the weights of a checkpoint: name one"):
        starting_potential(ModelSettings(lora=2), seed=0)
    save(small(), tmp_path / "start.safetensors")
    settings = ModelSettings(
        checkpoint=str(tmp_path / "start.safetensors"), lora=2, config={"properties": {"q": "atom"}}
    )
    with pytest.raises(ConfigError, match=r"train them without model\.lora"):
        starting_potential(settings, seed=0)
    with pytest.raises(ConfigError, match=r"model\.freeze leaves none"):
        add_low_rank(small().model, 2, [""])
    with pytest.raises(ConfigError, match=r"model\.lora must be at least 0; got -1"):
        ModelSettings(lora=-1)


@pytest.mark.parametrize(
    ("name", "inputs", "last"),
    [
        ("gptff", ("embedding.weight", "lin_basis.weight"), ("readout.fc1.weight", "readout.fc_out.bias")),
        ("schnet", ("embedding.weight",), ("lin1.weight", "lin2.bias")),
    ],
)
def test_learning_rates_fall_layer_by_layer_from_the_end(name: str, inputs: tuple[str, ...], last: tuple[str, ...]):
    settings = {
        "gptff": {**MODEL, "num_layers": 3, "transformer": "local"},
        "schnet": {"hidden_channels": 8, "num_interactions": 3},
    }[name]
    layers = {"gptff": "layers.", "schnet": "interactions."}[name]
    potential = Potential(build_model(name, settings))
    config = TrainingConfig(model=ModelSettings(layer_decay=0.5, learning_rates={last[0]: 0.1}))
    groups = parameter_groups(EnergyModelModule(potential, config), config)
    factor = {id(parameter): group["factor"] for group in groups for parameter in group["params"]}
    of = {name: factor[id(parameter)] for name, parameter in potential.model.named_parameters()}
    assert {of[each] for each in inputs} == {0.5**4}
    for number in range(3):
        found = {value for each, value in of.items() if each.startswith(f"{layers}{number}.")}
        assert found == {0.5 ** (3 - number)}
    assert [of[each] for each in last] == [0.1, 1.0]
    with pytest.raises(ConfigError, match=r"model\.layer_decay must be in \(0, 1\]; got 1\.5"):
        ModelSettings(layer_decay=1.5)
