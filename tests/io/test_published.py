"""The published checkpoints: read as they are, converted, and refused where they are not what they seem."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import bulk, molecule

from torch_gptff.errors import CheckpointFormatError, CheckpointShapeError, UnsafeCheckpointError
from torch_gptff.io import load, load_published, save
from torch_gptff.io.published import published_element_energies, rename_weights
from torch_gptff.models import GPTFFConfig

Content = Callable[..., dict[str, Any]]
STRUCTURES = (bulk("NaCl", "rocksalt", a=5.6), bulk("Si"), molecule("CH3OH"))


def write(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("version", "config", "n_parameters"), [("v1", GPTFFConfig.v1(), 351_745), ("v2", GPTFFConfig.v2(), 502_465)]
)
def test_the_published_files(version: str, config: GPTFFConfig, n_parameters: int, shared_data: Path) -> None:
    path = shared_data / "pretrained" / f"gptff_{version}.pth"
    potential = load_published(path)
    assert not potential.training
    assert potential.model.config == config
    assert potential.model.dtype == torch.float32
    assert potential.model.elements == frozenset(range(1, 95))
    assert potential.provenance["converted_from"] == f"gptff_{version}.pth"

    published = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    assert sum(weight.numel() for weight in published.values()) == n_parameters
    # Left out: fc_core, a column of zeros in each of the 2 + 4 L maps of radial functions, the keys' biases.
    dead = 3 * (64 * 64 + 64) + (2 + 4 * 3) * 64 + (3 * 64 if version == "v2" else 0)
    assert sum(weight.numel() for weight in potential.model.parameters()) == n_parameters - dead


def test_element_energies_are_the_published_ones(shared_data: Path) -> None:
    published = json.loads((shared_data / "pretrained" / "element_energies.json").read_text())
    assert list(published_element_energies()) == published["energies_eV"]
    energies = load_published(shared_data / "pretrained" / "gptff_v1.pth").element_energies.energies
    assert energies.dtype == torch.float64
    assert energies[: len(published["energies_eV"])].tolist() == published["energies_eV"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_converted_saved_and_loaded_it_predicts_the_same(version: str, shared_data: Path, tmp_path: Path) -> None:
    published = load_published(shared_data / "pretrained" / f"gptff_{version}.pth")
    save(published, tmp_path / "converted.safetensors")
    converted = load(tmp_path / "converted.safetensors")
    assert converted.provenance["converted_from"] == f"gptff_{version}.pth"
    for one, other in zip(published.predict(STRUCTURES), converted.predict(STRUCTURES), strict=True):
        assert torch.equal(one.energy, other.energy)
        assert torch.equal(one.forces, other.forces)
        assert torch.equal(one.stress.nan_to_num(), other.stress.nan_to_num())


@pytest.mark.parametrize("with_transformer", [False, True])
def test_every_published_weight_has_its_place(with_transformer: bool, published_content: Content) -> None:
    """To change it changes a weight of ours; only ``fc_core`` enters no equation."""
    theirs = published_content(with_transformer)["state_dict"]
    before = rename_weights(theirs, with_transformer)
    for name, weight in theirs.items():
        after = rename_weights({**theirs, name: weight + 1}, with_transformer)
        is_used = any(not torch.equal(before[key], after[key]) for key in before)
        assert is_used == ("fc_core" not in name), name


@pytest.mark.parametrize("with_transformer", [False, True])
def test_a_file_of_the_published_form(with_transformer: bool, published_content: Content, tmp_path: Path) -> None:
    content = published_content(with_transformer)
    model = load_published(write(tmp_path / "model.pth", content)).model
    expected = rename_weights(content["state_dict"], with_transformer)
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_published(tmp_path / "absent.pth")


class RunsCode:
    """Unpickled the usual way, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("place", ["state_dict", "cfg", "weight"])
def test_a_pickle_that_would_run_code(place: str, protocol: int, published_content: Content, tmp_path: Path) -> None:
    content = published_content()
    trap = tmp_path / "trap"
    if place == "weight":
        content["state_dict"]["w_b.weight"] = RunsCode(trap)
    else:
        content[place] = RunsCode(trap)
    path = tmp_path / "gptff_v1.pth"
    torch.save(content, path, pickle_protocol=protocol)
    with pytest.raises(UnsafeCheckpointError, match="could run code"):
        load_published(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)
    assert trap.exists()  # the file is what the test says it is


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_bare_pickle_that_would_run_code(protocol: int, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "gptff_v1.pth"
    path.write_bytes(pickle.dumps({"state_dict": RunsCode(trap), "cfg": {}}, protocol=protocol))
    with pytest.raises(UnsafeCheckpointError, match="could run code"):
        load_published(path)
    assert not trap.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.3, 0.9, 0.9999])
def test_a_truncated_file(kept: float, published_file: Path) -> None:
    content = published_file.read_bytes()
    published_file.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(CheckpointFormatError, match="truncated or corrupt"):
        load_published(published_file)


def test_a_damaged_file(published_file: Path) -> None:
    """One bit, in names, weights or the archive's directory."""
    content = published_file.read_bytes()
    for place in range(50, len(content), len(content) // 60):
        damaged = bytearray(content)
        damaged[place] ^= 4
        published_file.write_bytes(bytes(damaged))
        try:
            weights = load_published(published_file).model.state_dict()
        except CheckpointFormatError:
            continue
        published_file.write_bytes(content)  # the bit was of no weight: padding, a date
        intact = load_published(published_file).model.state_dict()
        assert all(torch.equal(weights[name], intact[name]) for name in intact)


@pytest.mark.parametrize(
    "content",
    [b"a text\n", b"<!DOCTYPE html><html></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", b"{}"],
)
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gptff_v1.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointFormatError, match="not a checkpoint that PyTorch wrote"):
        load_published(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "no state_dict and cfg"),
        ({"state_dict": {}}, "no state_dict and cfg"),
        ({"model": {}, "cfg": {}}, "no state_dict and cfg"),
        ({"state_dict": [1, 2], "cfg": {}}, "no table of tensors"),
        ({"state_dict": {"w_b.weight": "text"}, "cfg": {}}, "no table of tensors"),
        ({"state_dict": {}, "cfg": 7}, "the configuration 7"),
        ({"state_dict": {}, "cfg": {"n_layers": 4, "node_feature_len": 64, "edge_feature_len": 64}}, "'n_layers': 4"),
        ({"state_dict": {}, "cfg": {"n_layers": 3}}, "the configuration"),
    ],
)
def test_another_checkpoint(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointFormatError, match=message):
        load_published(write(tmp_path / "other.pth", content))


@pytest.mark.parametrize("with_transformer", [False, True])
def test_a_weight_that_is_missing_or_of_another_shape(with_transformer: bool, published_content: Content) -> None:
    theirs = published_content(with_transformer)["state_dict"]
    for name, weight in theirs.items():
        for wrong in (weight.new_zeros(weight.size(0) + 1, *weight.shape[1:]), weight.flatten()[:1], weight.sum()):
            if wrong.shape != weight.shape:
                with pytest.raises(CheckpointShapeError, match=rf"the checkpoint: weight {name} is \["):
                    rename_weights({**theirs, name: wrong}, with_transformer)
        with pytest.raises(CheckpointShapeError, match=f"no weight {name}"):
            rename_weights({key: value for key, value in theirs.items() if key != name}, with_transformer)


def test_wrong_weights_are_named_with_their_file(published_content: Content, tmp_path: Path) -> None:
    content = published_content()
    content["state_dict"]["fc1.weight"] = torch.zeros(64, 65)
    with pytest.raises(CheckpointShapeError, match=r"model\.pth: weight fc1\.weight is \[64, 65\], and \[64, 64\]"):
        load_published(write(tmp_path / "model.pth", content))


def test_a_weight_too_many(published_content: Content, tmp_path: Path) -> None:
    content = published_content()
    content["state_dict"]["convs.3.fc_core.weight"] = torch.zeros(64, 64)
    with pytest.raises(CheckpointShapeError, match=r"unknown weights: convs\.3\.fc_core\.weight"):
        load_published(write(tmp_path / "model.pth", content))


def test_a_transformer_that_the_configuration_denies(published_content: Content, tmp_path: Path) -> None:
    content = published_content(with_transformer=True)
    content["cfg"]["transformer_activate"] = False
    with pytest.raises(CheckpointShapeError, match="unknown weights: norms1"):
        load_published(write(tmp_path / "model.pth", content))
    content = published_content(with_transformer=False)
    content["cfg"]["transformer_activate"] = True
    with pytest.raises(CheckpointShapeError, match="no weight transformers"):
        load_published(write(tmp_path / "model.pth", content))
