"""Checkpoints: what is saved is what is loaded, and what cannot be loaded is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from torch_gptff import __version__
from torch_gptff.errors import (
    CheckpointDigestError,
    CheckpointError,
    CheckpointFingerprintError,
    CheckpointFormatError,
    CheckpointShapeError,
    CheckpointVersionError,
    ConfigError,
)
from torch_gptff.graph import transforms
from torch_gptff.io import checkpoint, fingerprint, load, read_header, save
from torch_gptff.io.fingerprint import TOLERANCE
from torch_gptff.io.identity import identity
from torch_gptff.models import GPTFF, GPTFFConfig, geometry
from torch_gptff.nn import (
    AtomwiseReadout,
    BesselBasis,
    ExpectedErrors,
    GeometricTransformer,
    PolynomialEnvelope,
    RadialTable,
)
from torch_gptff.ops.bond_harmonics import bond_harmonics
from torch_gptff.potential import Potential
from torch_gptff.prediction import Calibration

DATA = Path(__file__).parent / "data"
TINY = {"channels": 4, "num_layers": 1, "num_radial": 3, "feedforward_channels": 8}
CONFIGS = {
    "recommended": GPTFFConfig(**TINY),
    "paper": GPTFFConfig.paper(**TINY),
    "v1-like": replace(GPTFFConfig.v1(), **TINY),
    "v2-like": replace(GPTFFConfig.v2(), **TINY),
}
STRUCTURES = (bulk("NaCl", "rocksalt", a=5.5), bulk("Cu"), molecule("CH3OH"))


def make_potential(config: GPTFFConfig = CONFIGS["recommended"], dtype: torch.dtype = torch.float32) -> Potential:
    model = GPTFF(config).to(dtype)
    return Potential(model, torch.randn(model.config.max_z + 1, dtype=torch.float64)).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save(make_potential(), path, provenance={"data": "made up"})
    return path


def rewrite(
    path: Path,
    header: Callable[[dict[str, Any]], Any] = lambda header: None,
    weights: Callable[[dict[str, Tensor]], Any] = lambda weights: None,
    with_digest: bool = False,
) -> None:
    """Change a checkpoint as another program would: both functions change what they are given."""
    with safe_open(path, framework="pt") as file:
        entries = json.loads(file.metadata()["torch_gptff"])
    tensors = load_file(path)
    header(entries)
    weights(tensors)
    if with_digest:
        entries["digest"] = checkpoint.digest(entries, tensors)
    save_file(tensors, path, metadata={"torch_gptff": json.dumps(entries)})


# -- what is saved is what is loaded


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_round_trip(config: GPTFFConfig, dtype: torch.dtype, tmp_path: Path) -> None:
    before = make_potential(config, dtype)
    before.model.elements = frozenset({1, 6, 8, 11, 17, 29})
    before.provenance = {"trained_on": "nothing"}
    save(before, tmp_path / "model.safetensors", provenance={"epochs": 0})
    after = load(tmp_path / "model.safetensors")

    assert not after.training
    assert after.model.dtype == dtype
    assert after.model.config == before.model.config
    assert after.model.elements == before.model.elements
    assert after.provenance == {"trained_on": "nothing", "epochs": 0, "torch_gptff": __version__}
    assert torch.equal(after.element_energies.energies, before.element_energies.energies)
    for one, other in zip(before.predict(STRUCTURES), after.predict(STRUCTURES), strict=True):
        assert torch.equal(one.energy, other.energy)
        assert torch.equal(one.forces, other.forces)
        assert torch.equal(one.stress, other.stress) or bool(one.stress.isnan().all() and other.stress.isnan().all())


def test_saving_twice_gives_the_same_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save(make_potential(), first)
    save(load(first), second)
    assert read_header(first) == read_header(second)
    assert first.read_bytes()[-1000:] == second.read_bytes()[-1000:]  # of the weights


def test_saving_leaves_the_potential_as_it_was(tmp_path: Path) -> None:
    potential = make_potential().train()
    elements = potential.model.elements
    save(potential, tmp_path / "model.safetensors")
    assert potential.training
    assert potential.model.dtype == torch.float32
    assert potential.model.elements == elements
    assert potential.provenance == {}
    assert all(parameter.requires_grad for parameter in potential.parameters())


def test_the_dtype_of_the_file_wins_over_the_default(saved: Path) -> None:
    energy = load(saved).predict(STRUCTURES)[0].energy
    torch.set_default_dtype(torch.float64)
    try:
        potential = load(saved)
        assert potential.model.dtype == torch.float32
        assert torch.equal(potential.predict(STRUCTURES)[0].energy, energy)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("elements", [{14}, {1, 8}], ids=["silicon", "water"])
def test_a_model_of_few_elements_has_a_fingerprint_of_them(elements: set[int], tmp_path: Path) -> None:
    potential = make_potential(GPTFFConfig(**TINY, max_z=max(elements)))
    potential.model.elements = frozenset(elements)
    save(potential, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").model.elements == elements


def test_the_header_says_what_the_numbers_mean(saved: Path) -> None:
    header = read_header(saved)
    assert header["units"] == {"energy": "eV", "length": "angstrom", "stress": "eV/angstrom^3, positive = tensile"}
    assert header["model"] == "gptff"
    assert header["config"] == CONFIGS["recommended"].to_dict()
    assert header["provenance"]["data"] == "made up"


def test_references_calibration_and_pairs_are_kept(tmp_path: Path) -> None:
    before = make_potential()
    before.references = {"pbe": {11: -1.5, 17: -2.25}, "acwf": {11: -3.0}}
    before.calibration = Calibration(energy=2.5, forces=0.75)
    before.seen_pairs = frozenset({(8, 14), (11, 17), (11, 29)})
    save(before.use_reference("pbe"), tmp_path / "model.safetensors")
    after = load(tmp_path / "model.safetensors")
    assert after.reference == "pbe"
    assert after.references == before.references
    assert after.calibration == before.calibration
    assert after.seen_pairs == before.seen_pairs
    assert torch.equal(after.predict(STRUCTURES[:1])[0].energy, before.predict(STRUCTURES[:1])[0].energy)


def test_expected_errors_are_kept(tmp_path: Path) -> None:
    before = make_potential()
    rng = torch.Generator().manual_seed(0)
    width = before.model.config.channels
    tensors = {
        "mean": (width,),
        "scale": (width,),
        "precision": (width, width),
        "weights": (width + 2,),
        "limits": (3,),
    }
    errors = ExpectedErrors(**{name: torch.rand(shape, generator=rng) for name, shape in tensors.items()})
    before.calibration = Calibration(energy=2.5, forces=0.75, errors=errors)
    save(before, tmp_path / "model.safetensors")
    after = load(tmp_path / "model.safetensors")
    assert after.calibration is not None
    assert after.calibration.numbers == before.calibration.numbers
    assert after.calibration.errors is not None
    for name, tensor in errors.tensors().items():
        assert torch.equal(after.calibration.errors.tensors()[name], tensor)
    assert identity(after) == identity(before)
    after.calibration = Calibration(energy=2.5, forces=0.75)
    assert identity(after) != identity(before)
    rewrite(
        tmp_path / "model.safetensors", weights=lambda all_: all_.update({"calibration.mean": torch.zeros(width + 1)})
    )
    with pytest.raises(ConfigError, match="scale of expected errors must be"):
        load(tmp_path / "model.safetensors")


def test_what_is_not_known_is_kept_so(saved: Path) -> None:
    potential = load(saved)
    assert potential.reference is None
    assert potential.references == {}
    assert potential.calibration is None
    assert potential.seen_pairs is None


# -- what is written is whole


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def fail(weights: Any, path: Path, metadata: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="the disk is full"):
        save(make_potential(), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    potential = make_potential()
    with torch.no_grad():
        next(potential.model.readout.parameters()).fill_(torch.nan)
    with pytest.raises(CheckpointError, match=r"nothing written .* no finite energy"):
        save(potential, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_provenance_that_is_no_json_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save(make_potential(), tmp_path / "model.safetensors", provenance={"data": {1, 2}})
    assert not list(tmp_path.iterdir())


# -- what cannot be loaded is refused


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*absent"):
        load(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("content", [b"", b"data_NaCl\n_cell_length_a 5.64\n", b"\x80\x04}."])
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointFormatError, match=r"other\.safetensors is not a safetensors file"):
        load(path)


@pytest.mark.parametrize("kept", [5, 0.02, 0.5, 0.999])
def test_a_truncated_file(kept: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(CheckpointFormatError, match="cut short"):
        load(saved)
    with pytest.raises(CheckpointFormatError, match="cut short"):
        read_header(saved)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_tensors_of_another_program(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(CheckpointFormatError, match="no header of torch_gptff"):
        load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"version": "one"}', '{"version": null}'])
def test_a_header_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"torch_gptff": text})
    with pytest.raises(CheckpointFormatError, match="header that cannot be read"):
        load(path)


@pytest.mark.parametrize("version", [0, checkpoint.FORMAT_VERSION + 1])
def test_a_version_that_is_not_known(version: int, saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update(version=version))
    for read in (load, read_header):
        with pytest.raises(CheckpointVersionError, match=f"format version {version}.*install a newer"):
            read(saved)


@pytest.mark.parametrize(
    "field",
    [
        "model",
        "config",
        "element_energies",
        "reference",
        "references",
        "calibration",
        "seen_pairs",
        "elements",
        "units",
        "provenance",
        "fingerprint",
        "digest",
    ],
)
def test_a_field_that_is_missing_or_of_another_kind(field: str, saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update({field: 3.5}))
    with pytest.raises(CheckpointFormatError, match=field):
        load(saved)
    rewrite(saved, header=lambda header: header.pop(field))
    with pytest.raises(CheckpointFormatError, match=f"header without {field}"):
        load(saved)


def test_elements_that_are_no_numbers(saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update(elements=["Na", "Cl"]))
    with pytest.raises(CheckpointFormatError, match="no atomic numbers"):
        load(saved)


def test_other_units(saved: Path) -> None:
    rewrite(saved, header=lambda header: header["units"].update(energy="kcal/mol"))
    with pytest.raises(CheckpointFormatError, match="kcal/mol"):
        load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"chanels": 4}}, "unknown key 'chanels'"),
        ({"config": {"cutoff": -1.0}}, "cutoff must be positive"),
        ({"config": {"channels": "four"}}, "channels must be a whole number; got 'four'"),
        ({"model": "gptff-next"}, "no model 'gptff-next'; there are .*gptff"),
        ({"element_energies": [0.0, None]}, "float"),
        ({"element_energies": [0.0] * 500}, "no atomic number 119"),
        ({"reference": "acwf"}, "no reference 'acwf'; there are: none"),
        ({"references": {"acwf": {"Cu": 1.0}}}, "invalid literal"),
        ({"references": {"acwf": [1.0]}}, "items"),
        ({"calibration": {"energy": -1.0}}, "a calibration factor must be positive"),
        ({"calibration": {"dipole": 1.0}}, "unexpected keyword"),
        ({"seen_pairs": {"11": 17}}, "not iterable"),
    ],
)
def test_a_model_that_is_not_known(change: dict[str, Any], message: str, saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update(change))
    with pytest.raises(ConfigError, match=rf"model\.safetensors: .*{message}"):
        load(saved)


def test_a_weight_of_another_shape(saved: Path) -> None:
    rewrite(saved, weights=lambda weights: weights.update({"embedding.weight": torch.zeros(95, 5)}))
    with pytest.raises(CheckpointShapeError, match=r"embedding\.weight is \[95, 5\] in the file, and \[95, 4\]"):
        load(saved)


def test_a_weight_that_is_missing(saved: Path) -> None:
    rewrite(saved, weights=lambda weights: weights.pop("readout.fc1.bias"))
    with pytest.raises(CheckpointShapeError, match=r"readout\.fc1\.bias is absent in the file"):
        load(saved)


def test_a_weight_too_many(saved: Path) -> None:
    rewrite(saved, weights=lambda weights: weights.update({"extra": torch.zeros(1)}))
    with pytest.raises(CheckpointShapeError, match=r"extra .* absent in the model"):
        load(saved)


# -- weights that mean something else now than when they were saved


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_weight_has_a_part_in_the_fingerprint(config: GPTFFConfig) -> None:
    potential = make_potential(config, torch.float64)
    before = fingerprint(potential)
    for name, parameter in potential.model.named_parameters():
        with torch.no_grad():
            parameter.add_(0.01 * torch.randn_like(parameter))
        after = fingerprint(potential)
        change = max(abs(after[compound] / before[compound] - 1) for compound in before)
        assert change > 10 * TOLERANCE, f"{name} changes no energy"
        before = after


def test_an_altered_weight(saved: Path) -> None:
    def alter(weights: dict[str, Tensor]) -> None:
        weights["layers.0.attention.radial.lin_out.weight"].mul_(1.001)

    rewrite(saved, weights=alter)
    with pytest.raises(CheckpointDigestError, match=r"model\.safetensors is not what was saved"):
        load(saved)
    rewrite(saved, with_digest=True)
    with pytest.raises(CheckpointFingerprintError, match=r"gave .* eV for NaCl when it was saved, and gives"):
        load(saved)


def test_an_altered_element_energy(saved: Path) -> None:
    def alter(header: dict[str, Any]) -> None:
        header["element_energies"][40] += 0.01

    rewrite(saved, header=alter)
    with pytest.raises(CheckpointDigestError):
        load(saved)
    rewrite(saved, with_digest=True)
    with pytest.raises(CheckpointFingerprintError, match="eV for CuZr"):
        load(saved)


def test_an_altered_energy_of_an_element_that_no_compound_has(saved: Path) -> None:
    rewrite(saved, header=lambda header: header["element_energies"].__setitem__(92, 1.0), with_digest=True)
    with pytest.raises(CheckpointFingerprintError, match=r"eV for U when it was saved, and gives 1\.000000 eV"):
        load(saved)


def of_version_2(header: dict[str, Any]) -> None:
    header["version"] = 2
    header["fingerprint"] = {name: header["fingerprint"][name] for name in ("NaCl", "SiO2", "CuZr")}


@pytest.mark.parametrize("digest", [None, "", "0" * 64])
def test_a_digest_that_was_taken_out(digest: str | None, saved: Path) -> None:
    """With the energy of an element that no compound of an older fingerprint has."""
    for version in (2, 3):

        def alter(header: dict[str, Any], version: int = version) -> None:
            if version == 2:
                of_version_2(header)
            header["element_energies"][92] += 1
            header["digest"] = digest

        rewrite(saved, header=alter)
        with pytest.raises(CheckpointDigestError):
            load(saved)
        save(make_potential(), saved)


def test_a_file_that_says_it_is_of_version_1(saved: Path) -> None:
    def alter(header: dict[str, Any]) -> None:
        of_version_2(header)
        header["version"] = 1
        header["element_energies"][92] += 1
        del header["digest"]

    rewrite(saved, header=alter)
    with pytest.raises(CheckpointDigestError, match=r"says that it is of version 1 .* and has entries of later ones"):
        load(saved)


def test_a_file_of_version_1_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    load(Path(__file__).parent / "data" / "version-1-pooled.safetensors")
    assert "has no digest: nothing tells whether its element energies are those that were saved" in caplog.text
    caplog.clear()
    load(Path(__file__).parent / "data" / "version-2-pooled.safetensors")
    assert not caplog.text


def test_a_header_that_is_nested_without_end(saved: Path) -> None:
    save_file(load_file(saved), saved, metadata={"torch_gptff": '{"version": 3, "config": ' + "[" * 10**6})
    with pytest.raises(CheckpointFormatError, match="header that cannot be read"):
        load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 10**9}, "num_layers = 1000000000, and has no weight of that size"),
        ({"num_layers": 200}, r"more than \d+ weights, and has \d+"),
        ({"channels": 10**12}, "channels = 1000000000000"),
        ({"channels": 256, "feedforward_channels": 256}, "is .* in the file, and .* in the model"),
        ({"cutoff": 1e9}, "cutoff = 1000000000.0"),
    ],
)
def test_a_model_larger_than_its_file_is_not_built(
    change: dict[str, Any], message: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(saved, header=lambda header: header["config"].update(change), with_digest=True)
    with pytest.raises(CheckpointShapeError, match=message):
        load(saved)


def test_one_bit_of_an_element_that_the_fingerprint_does_not_have(saved: Path) -> None:
    def flip(weights: dict[str, Tensor]) -> None:
        row = weights["embedding.weight"][92].view(torch.int32)
        row[0] ^= 1

    rewrite(saved, weights=flip)
    with pytest.raises(CheckpointDigestError, match="a weight or an entry of its header was altered"):
        load(saved)
    rewrite(saved, with_digest=True)
    load(saved)


@pytest.mark.parametrize("name", ["provenance", "seen_pairs"])
def test_an_altered_entry_of_the_header(name: str, saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update({name: {"1": [2]}}))
    with pytest.raises(CheckpointDigestError):
        load(saved)


@pytest.mark.parametrize("entries", [{}, {"NaCl": 1.0}, {"NaCl": 1.0, "SiO2": None, "CuZr": "1"}])
def test_a_fingerprint_that_cannot_be_compared(entries: dict[str, Any], saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update(fingerprint=entries), with_digest=True)
    with pytest.raises(CheckpointFingerprintError, match="fingerprint"):
        load(saved)


def _later_envelope(envelope: PolynomialEnvelope, r: Tensor) -> Tensor:
    """Another exponent."""
    x = (r / envelope.cutoff).clamp(max=1)
    return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5


def _counted_from_zero(basis: BesselBasis, r: Tensor) -> Tensor:
    """The radial functions of the published code, the first of which is zero everywhere."""
    n = torch.arange(basis.num_radial, dtype=r.dtype)
    return (2 / basis.cutoff) ** 0.5 * torch.sin(n * torch.pi / basis.cutoff * r.unsqueeze(-1)) / r.unsqueeze(-1)


def _between_different_atoms(centre: Tensor, lengths: Tensor, angle_cutoff: float) -> Tensor:
    """Half of the angles: those whose second bond comes after the first."""
    first, second = angle_pairs(centre, lengths, angle_cutoff)
    return torch.stack([first, second])[:, first < second]


def _turned_harmonics(vectors: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Components of a degree in another order, which is no rotation."""
    lengths, harmonics = bond_harmonics(vectors, degree)
    return lengths, harmonics.roll(1, dims=1)


angle_pairs = transforms.angle_pairs
FORMULAS: dict[str, tuple[str, object, str, Any]] = {
    "envelope": ("paper", PolynomialEnvelope, "forward", _later_envelope),
    "radial functions": ("paper", BesselBasis, "forward", _counted_from_zero),
    "angles": ("paper", transforms, "angle_pairs", _between_different_atoms),
    "readout": ("paper", AtomwiseReadout, "mlp", lambda readout, x: readout.fc_out(readout.fc1(x)).squeeze(-1)),
    "envelope of a table": ("recommended", PolynomialEnvelope, "forward", _later_envelope),
    "size of tabulated functions": ("recommended", RadialTable, "SCALE", 0.26),
    "harmonics": ("recommended", geometry, "bond_harmonics", _turned_harmonics),
    "sum of weights": ("recommended", GeometricTransformer, "TOTAL_SCALE", 0.11),
}


@pytest.mark.parametrize(("name", "owner", "attribute", "later"), FORMULAS.values(), ids=FORMULAS)
def test_a_formula_that_a_later_version_changes(
    name: str, owner: object, attribute: str, later: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save(make_potential(CONFIGS[name]), path)
    load(path)
    monkeypatch.setattr(owner, attribute, later)
    with pytest.raises(CheckpointFingerprintError, match="or this version of torch_gptff reads it differently"):
        load(path)


# -- files that were written once, by earlier versions of the code


def reference_files() -> list[Path]:
    return sorted(DATA.glob("*.safetensors"))


def test_every_version_of_the_format_has_files_that_it_wrote() -> None:
    assert {read_header(path)["version"] for path in reference_files()} == {*range(1, checkpoint.FORMAT_VERSION + 1)}


@pytest.mark.parametrize("path", reference_files(), ids=lambda path: path.stem)
def test_a_file_written_once_still_gives_its_energies(path: Path) -> None:
    """If this fails, files that users have are read differently: add a version of the format and an upgrade to it."""
    expected = json.loads(path.with_suffix(".json").read_text())
    potential = load(path)
    assert potential.model.config == GPTFFConfig.paper(**expected["config"])
    atoms = Atoms(**expected["structure"])
    prediction = potential.double().predict([atoms])[0]
    assert prediction.energy.item() == pytest.approx(expected["energy"], abs=1e-9)
    torch.testing.assert_close(prediction.forces, torch.tensor(expected["forces"], dtype=torch.float64))
    torch.testing.assert_close(prediction.stress[0], torch.tensor(expected["stress"], dtype=torch.float64))
