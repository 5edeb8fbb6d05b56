"""Models built by the names that PyG's users know, their outputs beside PyG's own, and folders of models."""

from __future__ import annotations

import inspect
import json
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ase.build import bulk, molecule
from ase.data import atomic_masses
from pyg_reference import radius_graph
from torch import Tensor
from torch_geometric.nn.models import dimenet, schnet, visnet

from torch_gptff import GPTFF, CrystalData, GPTFFConfig, Potential, load, save
from torch_gptff.errors import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointShapeError,
    ConfigError,
    StructureError,
    UnsupportedElementError,
)
from torch_gptff.models import DimeNetPlusPlus, SchNet, ViSNet
from torch_gptff.training.config import ModelSettings
from torch_gptff.training.start import starting_potential

GPTFF_SMALL: dict[str, Any] = {"hidden_channels": 32, "num_layers": 1, "num_rbf": 4, "feedforward_channels": 32}
SMALL: dict[type, dict[str, Any]] = {
    GPTFF: GPTFF_SMALL,
    SchNet: {"hidden_channels": 16, "num_filters": 16, "num_interactions": 1},
    DimeNetPlusPlus: {"hidden_channels": 16, "num_blocks": 1, "out_emb_channels": 16},
    ViSNet: {"hidden_channels": 16, "num_heads": 2, "num_layers": 2, "num_rbf": 8},
}
MODELS = pytest.mark.parametrize("model_type", SMALL, ids=lambda each: each.__name__)


def make(model_type: type, seed: int = 0, **settings: Any) -> Any:
    torch.manual_seed(seed)
    return model_type(**SMALL[model_type], **settings).double().eval()


def two_molecules() -> tuple[Tensor, Tensor, Tensor]:
    """Methanol and water, with the molecule of every atom."""
    atoms = [molecule("CH3OH"), molecule("H2O")]
    z = torch.tensor([number for each in atoms for number in each.numbers])
    pos = torch.cat([torch.tensor(each.positions) for each in atoms])
    return z, pos, torch.tensor([0] * 6 + [1] * 3)


ATOMREF = torch.linspace(-30.0, 20.0, 100, dtype=torch.float64).unsqueeze(-1)  # [100, 1], as QM9.atomref gives it


@MODELS
def test_the_output_is_the_sum_of_scaled_and_shifted_atoms(model_type: type) -> None:
    z, pos, batch = two_molecules()
    plain = make(model_type)(z, pos, batch)
    n_atoms = torch.tensor([[6.0], [3.0]], dtype=torch.float64)
    single = torch.zeros(2, 1, dtype=torch.float64).index_add(0, batch, ATOMREF[z])
    of_mean = torch.ones_like(n_atoms) if model_type is ViSNet else n_atoms  # PyG's adds it once for a structure
    found = make(model_type, mean=0.7, std=2.0, atomref=ATOMREF)(z, pos, batch)
    torch.testing.assert_close(found, 2 * plain + 0.7 * of_mean + single)
    by_mean = make(model_type, readout="mean", std=2.0, atomref=ATOMREF.squeeze())(z, pos, batch)
    torch.testing.assert_close(by_mean, (2 * plain + single) / n_atoms)


@MODELS
def test_several_outputs(model_type: type) -> None:
    z, pos, batch = two_molecules()
    model = make(model_type, out_channels=3, readout="mean")
    found = model(z, pos, batch)
    assert found.shape == (2, 3)
    torch.testing.assert_close(found[1:], model(z[6:], pos[6:]))
    assert (found[:, :1] - found).abs().max() > 1e-6
    found.sum().backward()
    with pytest.raises(ConfigError, match=r"predicts no energy.*out_channels=1"):
        Potential(model)
    with pytest.raises(ConfigError, match="predicts no energy"):
        model.interaction_energy(None, None)


@MODELS
def test_the_dipole_moment_stays_as_the_molecule_is_moved_and_turned(model_type: type) -> None:
    z, pos, batch = two_molecules()
    model = make(model_type, dipole=True)
    moment = model(z, pos, batch)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    torch.testing.assert_close(model(z, pos @ turn + 3.0, batch), moment)
    assert moment.min() > 0
    crystal = CrystalData.from_ase(bulk("Cu"))
    with pytest.raises(StructureError, match="a periodic structure has no dipole moment"):
        model(crystal.z, crystal.pos, None, crystal.cell)


def test_the_dipole_moment_is_of_charges_about_the_centre_of_mass() -> None:
    z, pos, _ = two_molecules()
    z, pos = z[6:], pos[6:]
    model = make(GPTFF, dipole=True)
    graph = model.build_graph(CrystalData.from_tensors(z, pos))
    charges = model.readout.mlp(model.node_features(graph, model.bond_vectors(graph))).detach().numpy()
    mass = atomic_masses[z.numpy()]
    centre = mass @ pos.numpy() / mass.sum()
    expected = ((charges[:, None] * (pos.numpy() - centre)).sum(0) ** 2).sum() ** 0.5
    assert model(z, pos).item() == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyG's models without torch-cluster, which their graphs need."""
    for module in (schnet, dimenet, visnet):
        monkeypatch.setattr(module, "radius_graph", radius_graph)


@pytest.mark.parametrize(
    "settings",
    [
        {"mean": 0.3, "std": 1.7, "atomref": ATOMREF.float()},
        {"readout": "mean", "mean": 0.3, "std": 1.7},
        {"dipole": True},
    ],
    ids=["atomref", "mean", "dipole"],
)
def test_schnet_is_that_of_pyg_by_the_same_names(without_a_limit: None, settings: dict[str, Any]) -> None:
    z, pos, batch = two_molecules()
    theirs = schnet.SchNet(**SMALL[SchNet], cutoff=5.0, **settings).double()
    ours = make(SchNet, cutoff=5.0, **settings)
    weights = ours.state_dict() | {k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()}
    ours.load_state_dict(weights)
    torch.testing.assert_close(ours(z, pos, batch), theirs(z, pos, batch), rtol=1e-6, atol=1e-7)


def test_visnet_is_that_of_pyg_by_the_same_names(without_a_limit: None) -> None:
    z, pos, batch = two_molecules()
    settings = {"reduce_op": "mean", "mean": 0.3, "std": 1.7, "atomref": ATOMREF}
    torch.set_default_dtype(torch.float64)
    try:
        theirs = visnet.ViSNet(**SMALL[ViSNet], **settings)
        ours = make(ViSNet, softening=0.0, **settings)
        weights = {name.partition(".")[2]: weight for name, weight in theirs.state_dict().items()}
        ours.load_state_dict({name: weights.get(name, weight) for name, weight in ours.state_dict().items()})
        torch.testing.assert_close(
            ours(z, pos, batch).squeeze(-1), theirs(z, pos, batch)[0].view(-1), rtol=1e-6, atol=0
        )
    finally:
        torch.set_default_dtype(torch.float32)


@MODELS
def test_names_and_defaults_can_be_looked_up(model_type: type) -> None:
    parameters = inspect.signature(model_type).parameters
    assert {"config", "hidden_channels", "cutoff", "out_channels", "dipole", "mean", "std", "atomref"} <= set(
        parameters
    )
    model = model_type(cutoff=4.0)
    assert model.config == type(model.config)(cutoff=4.0)
    assert model_type.from_config(model.config).config == model.config


def test_names_of_pyg_are_those_of_the_configuration() -> None:
    model = GPTFF(hidden_channels=32, num_heads=2, num_rbf=8, lmax=1, readout="add")
    assert model.config == GPTFFConfig(channels=32, heads=2, num_radial=8, degree=1)
    assert GPTFF(GPTFFConfig.large(), readout="mean", mean=torch.tensor(2.0)).config == GPTFFConfig.large(
        readout="mean", mean=2.0
    )
    assert GPTFF(transformer="local").config == GPTFFConfig.paper()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_channel": 32}, "unknown key 'hidden_channel'"),
        ({"hidden_channels": 32, "channels": 32}, "hidden_channels and channels are two names of one setting"),
        ({"max_num_neighbors": 32}, "GPTFF has no max_num_neighbors: every neighbour within the cutoff counts"),
        ({"config": 64}, r"built from a GPTFFConfig or from settings by name, as in GPTFF\(cutoff=5.0\); got 64"),
        ({"dipole": True, "mean": 1.0}, "dipole=True has no mean"),
        ({"dipole": True, "readout": "mean"}, "a dipole moment is one number, of a sum over atoms"),
        ({"std": 0.0}, "std must be positive"),
        ({"out_channels": 0}, "out_channels must be positive"),
        ({"readout": "max"}, "readout must be one of"),
        ({"atomref": torch.zeros(100, 3)}, r"atomref must be a vector .* got a table of \(100, 3\)"),
        ({"atomref": [0.0, float("nan")]}, r"atomref\[1\] must be a finite number"),
        ({"out_channels": 2, "num_readouts": 2}, "a committee predicts an energy"),
        ({"dipole": True, "repulsion": True}, "repulsion is an energy"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GPTFF(**settings)


def test_an_element_without_a_reference_is_refused() -> None:
    with pytest.raises(UnsupportedElementError, match=r"Cu \(Z = 29\).*H–F"):
        make(GPTFF, atomref=[0.0] * 10)(torch.tensor([29]), torch.zeros(1, 3))


@MODELS
@pytest.mark.parametrize("settings", [{"mean": 0.7, "std": 2.0, "atomref": ATOMREF}, {"readout": "mean"}], ids=str)
def test_energy_and_forces_of_a_potential_are_those_of_the_model(
    model_type: type, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Also through a checkpoint, and where one call of a kernel gives both."""
    z, pos, batch = two_molecules()
    potential = Potential(make(model_type, **settings)).eval()
    save(potential, tmp_path / "model.safetensors")
    for each in (potential, load(tmp_path / "model.safetensors")):
        pos.requires_grad_()
        energy = each.model(z, pos, batch)
        (gradient,) = torch.autograd.grad(energy.sum(), pos)
        pos = pos.detach()
        data = CrystalData.from_tensors(z, pos, batch)
        for create_graph in (False, True):
            prediction = each(data, create_graph=create_graph)
            torch.testing.assert_close(prediction.energy.detach(), energy.detach().squeeze(-1))
            torch.testing.assert_close(prediction.forces.detach(), -gradient)
    expected = "sum over atoms" if "mean" not in settings.get("readout", "add") else "mean over atoms"
    assert expected in repr(potential.model.output)


def test_training_fits_the_references_itself() -> None:
    with pytest.raises(ConfigError, match="training fits the elements' energies to the data: leave out atomref, mean"):
        starting_potential(ModelSettings(config={"mean": 1.0, "atomref": [0.0] * 95}), 0)


class TestFolders:
    @MODELS
    def test_there_and_back(self, model_type: type, tmp_path: Path) -> None:
        z, pos, batch = two_molecules()
        model = make(model_type, out_channels=2, mean=3.0)
        model.save_pretrained(tmp_path / "model")
        again = model_type.from_pretrained(tmp_path / "model")
        assert again.config == model.config
        assert not again.training
        assert torch.equal(again(z, pos, batch), model(z, pos, batch))
        assert sorted(each.name for each in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]

    def test_what_is_refused(self, tmp_path: Path) -> None:
        make(SchNet).save_pretrained(tmp_path)
        with pytest.raises(CheckpointFormatError, match="holds a model 'schnet', and GPTFF is 'gptff'"):
            GPTFF.from_pretrained(tmp_path)
        settings = json.loads((tmp_path / "config.json").read_text())
        settings["config"]["num_filters"] = 8
        (tmp_path / "config.json").write_text(json.dumps(settings))
        with pytest.raises(CheckpointShapeError, match="do not fit the configuration"):
            SchNet.from_pretrained(tmp_path)
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(CheckpointFormatError, match="cannot be read"):
            SchNet.from_pretrained(tmp_path)
        (tmp_path / "config.json").unlink()
        with pytest.raises(CheckpointFormatError, match=r"has no config\.json"):
            SchNet.from_pretrained(tmp_path)

    def test_a_repository_needs_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(ConfigError, match="pip install huggingface_hub"):
            SchNet.from_pretrained("somebody/schnet")
        with pytest.raises(ConfigError, match="an upload needs the package huggingface_hub"):
            make(SchNet).push_to_hub("somebody/schnet")

    def test_a_repository(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """With the calls of huggingface_hub that copy a folder in place of an upload."""
        uploaded: dict[str, Any] = {}

        class HfApi:
            def __init__(self, token: str | None) -> None:
                uploaded["token"] = token

            def create_repo(self, repo_id: str, private: bool | None, exist_ok: bool) -> None:
                uploaded["made"] = (repo_id, private)

            def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> None:
                (tmp_path / repo_id).mkdir(parents=True)
                for each in Path(folder_path).iterdir():
                    (tmp_path / repo_id / each.name).write_bytes(each.read_bytes())

        def snapshot_download(repo_id: str, allow_patterns: list[str], revision: str) -> str:
            assert revision == "main"
            return str(tmp_path / repo_id)

        package = SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download)
        monkeypatch.setitem(sys.modules, "huggingface_hub", package)
        model = make(SchNet)
        model.push_to_hub("somebody/schnet", token="t", private=True, commit_message="First")
        assert uploaded == {"token": "t", "made": ("somebody/schnet", True)}
        again = SchNet.from_pretrained("somebody/schnet", revision="main")
        assert torch.equal(again.lin1.weight, model.lin1.weight)


@cache
def dimenet_of_pyg() -> dimenet.DimeNetPlusPlus:
    """Once: sympy takes seconds to derive its functions."""
    widths = {"int_emb_size": 8, "basis_emb_size": 4, "num_spherical": 2, "num_radial": 2}
    return dimenet.DimeNetPlusPlus(
        **SMALL[DimeNetPlusPlus], **widths, out_channels=1, output_initializer="glorot_orthogonal"
    ).double()


class TestModelsOfPyG:
    @pytest.fixture(params=["SchNet", "DimeNetPlusPlus", "ViSNet"])
    def theirs(self, request: pytest.FixtureRequest, without_a_limit: None, monkeypatch: pytest.MonkeyPatch) -> Any:
        import pyg_reference

        monkeypatch.setattr(dimenet, "triplets", pyg_reference.triplets)
        torch.manual_seed(0)
        if request.param == "SchNet":
            return schnet.SchNet(**SMALL[SchNet]).double()
        if request.param == "ViSNet":
            request.getfixturevalue("float64_by_default")
            return visnet.ViSNet(**SMALL[ViSNet])
        return deepcopy(dimenet_of_pyg())

    @pytest.fixture
    def float64_by_default(self) -> Any:
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(torch.float32)

    def test_energy_and_forces(self, theirs: Any) -> None:
        z, pos, batch = two_molecules()
        prediction = Potential(theirs, {1: -13.6})(CrystalData.from_tensors(z, pos, batch))
        pos.requires_grad_()
        out = theirs(z, pos, batch)
        energy = (out[0] if isinstance(out, tuple) else out).view(-1)
        (gradient,) = torch.autograd.grad(energy.sum(), pos)
        torch.testing.assert_close(prediction.energy, energy.detach() - 13.6 * torch.tensor([4.0, 2.0]).double())
        torch.testing.assert_close(prediction.forces, -gradient)
        torch.testing.assert_close(prediction.forces.sum(0), torch.zeros(3).double(), atol=1e-10, rtol=0)

    def test_its_parameters_learn_from_forces(self, theirs: Any) -> None:
        prediction = Potential(theirs)(CrystalData.from_tensors(*two_molecules()), stress=False, create_graph=True)
        (prediction.forces.square().sum() + prediction.energy.sum()).backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in theirs.parameters())

    def test_as_a_calculator(self, theirs: Any) -> None:
        from torch_gptff.calculators import GPTFFCalculator

        atoms = molecule("CH3OH")
        atoms.calc = GPTFFCalculator(Potential(theirs))
        before, force = atoms.get_potential_energy(), atoms.get_forces()[0, 0]
        atoms.positions[0, 0] += 1e-4
        assert atoms.get_potential_energy() - before == pytest.approx(-1e-4 * force, rel=1e-2, abs=1e-7)

    def test_molecules_of_a_batch_relax_as_they_do_alone(self, theirs: Any) -> None:
        from torch_gptff.workflows import evaluate_many, relax_many

        potential = Potential(theirs)
        molecules = [molecule("CH3OH"), molecule("H2O")]
        together = dict(relax_many(molecules, potential, max_steps=3))
        for place, atoms in enumerate(molecules):
            (alone,) = dict(relax_many([atoms], potential, max_steps=3)).values()
            assert together[place].energy == pytest.approx(alone.energy, abs=1e-9)
            (evaluated,) = evaluate_many([together[place].final], potential)
            assert evaluated.energy == pytest.approx(alone.energy, abs=1e-9)

    def test_crystals_and_checkpoints_are_refused(self, theirs: Any, tmp_path: Path) -> None:
        potential = Potential(theirs)
        with pytest.raises(StructureError, match="knows molecules alone"):
            potential(CrystalData.from_ase(bulk("Cu")))
        with pytest.raises(CheckpointError, match="does not tell what it was built from"):
            save(potential, tmp_path / "model.safetensors")

    def test_one_atom(self, theirs: Any) -> None:
        if isinstance(theirs, schnet.SchNet):
            data = CrystalData.from_tensors(torch.tensor([8]), torch.zeros(1, 3).double())
            assert torch.equal(Potential(theirs)(data, stress=False).forces, torch.zeros(1, 3).double())


def test_what_predicts_no_energy_makes_no_potential() -> None:
    with pytest.raises(ConfigError, match=r"Linear is no energy model: Potential takes those of torch_gptff\.models"):
        Potential(torch.nn.Linear(2, 1))
    with pytest.raises(ConfigError, match="this SchNet predicts no energy"):
        Potential(schnet.SchNet(dipole=True))
