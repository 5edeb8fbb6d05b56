"""Checkpoints: safetensors with a versioned header. Reading one can run no code.

The header is one JSON document in the safetensors metadata, under the key ``torch_gptff``:

======================  ================================================================================
``version``             of this format; a reader knows every version up to its own
``model``, ``config``   what :func:`torch_gptff.models.build_model` takes
``element_energies``    eV, by atomic number
``elements``            atomic numbers that the weights have seen
``units``               of what the model gives: energy eV, length angstrom, stress positive = tensile
``provenance``          where the weights come from
``fingerprint``         energies of three compounds, see :mod:`torch_gptff.io.fingerprint`
======================  ================================================================================
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from torch_gptff import __version__
from torch_gptff.errors import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointShapeError,
    CheckpointVersionError,
    ConfigError,
)
from torch_gptff.io.files import written_atomically
from torch_gptff.io.fingerprint import check_fingerprint, fingerprint
from torch_gptff.models import build_model
from torch_gptff.nn import ElementEnergies
from torch_gptff.potential import Potential

FORMAT_VERSION = 1
UNITS = {"energy": "eV", "length": "angstrom", "stress": "eV/angstrom^3, positive = tensile"}
_KEY = "torch_gptff"
_FIELDS: dict[str, type] = {
    "model": str,
    "config": dict,
    "element_energies": list,
    "elements": list,
    "units": dict,
    "provenance": dict,
    "fingerprint": dict,
}


def save(potential: Potential, path: str | Path, provenance: dict[str, Any] | None = None) -> None:
    """Write a potential to a ``.safetensors`` file, whole or not at all.

    Args:
        potential: any energy model known to :func:`torch_gptff.models.build_model`, with its element energies
        path: an existing file is replaced
        provenance: JSON values that say where the weights come from; added to what ``potential.provenance`` says

    Raises:
        CheckpointError: the weights give energies that are not finite.
        TypeError, ValueError: the provenance is no JSON.
    """
    model = potential.model
    energies = fingerprint(potential)
    if not all(map(math.isfinite, energies.values())):
        raise CheckpointError(f"nothing written to {path}: the weights give no finite energy, but {energies}")
    header = {
        "version": FORMAT_VERSION,
        "model": model.name,
        "config": model.config.to_dict(),
        "element_energies": potential.element_energies.energies.tolist(),
        "elements": sorted(model.elements),
        "units": UNITS,
        "provenance": {**potential.provenance, **(provenance or {}), "torch_gptff": __version__},
        "fingerprint": energies,
    }
    text = json.dumps(header, allow_nan=False)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    with written_atomically(path) as temporary:
        save_file(weights, temporary, metadata={_KEY: text})


def load(path: str | Path) -> Potential:
    """Read a potential that :func:`save` wrote, in evaluation mode, on the CPU, in the dtype it was saved in.

    Raises:
        FileNotFoundError: no such file.
        CheckpointFormatError: not a checkpoint of this format, or truncated.
        CheckpointVersionError: of a newer version of the format.
        ConfigError: of a model or with a configuration that this version does not know.
        CheckpointShapeError: the weights do not fit the configuration.
        CheckpointFingerprintError: the weights give other energies than when they were saved.
    """
    header, weights = _read(Path(path))
    try:
        model = build_model(header["model"], header["config"])
        element_energies = ElementEnergies(header["element_energies"])
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    model.elements = frozenset(header["elements"])
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        theirs, ours = (list(table[name].shape) if name in table else None for table in (weights, expected))
        if theirs != ours:
            raise CheckpointShapeError(
                f"{path}: weight {name} is {_shape(theirs)} in the file, and {_shape(ours)} in the model of its header"
            )
    dtypes = {weight.dtype for weight in weights.values() if weight.is_floating_point()}
    if len(dtypes) == 1:
        model = model.to(dtypes.pop())
    model.load_state_dict(weights)
    potential = Potential(model, element_energies).eval()
    potential.provenance = header["provenance"]
    check_fingerprint(potential, header["fingerprint"], str(path))
    return potential


def read_header(path: str | Path) -> dict[str, Any]:
    """The header alone, without building the model.

    Raises:
        FileNotFoundError, CheckpointFormatError, CheckpointVersionError: see :func:`load`.
    """
    return _read(Path(path), with_weights=False)[0]


def _read(path: Path, with_weights: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()} if with_weights else {}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointFormatError(f"{path} is not a safetensors file, or was cut short ({error})") from error
    if _KEY not in metadata:
        raise CheckpointFormatError(f"{path} holds tensors, but no header of torch_gptff: some other program wrote it")
    return _checked_header(metadata[_KEY], path), weights


def _checked_header(text: str, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(text)
        version = int(header["version"])
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointFormatError(f"{path} has a header that cannot be read ({error!r})") from error
    if not 1 <= version <= FORMAT_VERSION:
        raise CheckpointVersionError(
            f"{path} is of format version {version}; this torch_gptff ({__version__}) reads up to {FORMAT_VERSION}: "
            "install a newer one"
        )
    missing = [field for field in _FIELDS if field not in header]
    if missing:
        raise CheckpointFormatError(f"{path} has a header without {', '.join(missing)}")
    for field, kind in _FIELDS.items():
        if not isinstance(header[field], kind):
            raise CheckpointFormatError(f"{path} has a header whose {field} is no {kind.__name__}: {header[field]!r}")
    if not all(isinstance(number, int) for number in header["elements"]):
        raise CheckpointFormatError(f"{path} has elements that are no atomic numbers: {header['elements']!r}")
    if header["units"] != UNITS:
        raise CheckpointFormatError(f"{path} is in the units {header['units']}; expected {UNITS}")
    return header


def _shape(shape: list[int] | None) -> str:
    return "absent" if shape is None else str(shape)
