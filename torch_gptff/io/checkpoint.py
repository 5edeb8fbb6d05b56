"""Checkpoints: safetensors with a versioned header. Reading one can run no code.

The header is one JSON document in the safetensors metadata, under the key ``torch_gptff``:

======================  ================================================================================
``version``             of this format; a reader knows every version up to its own
``model``, ``config``   what :func:`torch_gptff.models.build_model` takes
``element_energies``    eV, by atomic number: what the energies are counted from
``reference``           their name among ``references``, or null
``references``          element energies of every source by name: eV, by atomic number
``calibration``         factors of the uncertainties of a committee and the range that they were measured in, or null;
                        tensors ``calibration.…`` are :class:`~torch_gptff.nn.ExpectedErrors`
``seen_pairs``          for each element, those of higher number that it was trained together with; or null
``elements``            atomic numbers that the weights have seen
``units``               of what the model gives: energy eV, length angstrom, stress positive = tensile
``provenance``          where the weights come from
``fingerprint``         energies of three compounds and of every element, see :mod:`torch_gptff.io.fingerprint`
``digest``              SHA-256 of the weights and of everything else in the header
======================  ================================================================================

Version 3 had no tensors of a calibration. Version 2 had no elements in the fingerprint, and no range (``seen``) in
``calibration``. Version 1 had none of ``reference``, ``references``, ``calibration``, ``seen_pairs`` and ``digest``, so
that nothing tells whether most of its element energies are those that were saved: loading it logs a warning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torch_gptff import __version__
from torch_gptff.errors import (
    CheckpointDigestError,
    CheckpointError,
    CheckpointFormatError,
    CheckpointShapeError,
    CheckpointVersionError,
    ConfigError,
)
from torch_gptff.io.files import system_errors, written_atomically
from torch_gptff.io.fingerprint import check_fingerprint, fingerprint
from torch_gptff.models import PyGModel, build_model
from torch_gptff.nn import ExpectedErrors
from torch_gptff.potential import Potential
from torch_gptff.prediction import Calibration

FORMAT_VERSION = 4
UNITS = {"energy": "eV", "length": "angstrom", "stress": "eV/angstrom^3, positive = tensile"}
_KEY = "torch_gptff"
_CALIBRATION = "calibration."
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "config": dict,
    "element_energies": list,
    "reference": (str, type(None)),
    "references": dict,
    "calibration": (dict, type(None)),
    "seen_pairs": (dict, type(None)),
    "elements": list,
    "units": dict,
    "provenance": dict,
    "fingerprint": dict,
    "digest": (str, type(None)),
}
_log = logging.getLogger(__name__)

SMALL = 256
"""A size in a configuration that needs no weight of that size beside it."""

NO_SIZES = ("mean", "std")
"""Numbers in a configuration that are not the size of anything."""


def save(potential: Potential, path: str | Path, provenance: dict[str, Any] | None = None) -> None:
    """Write a potential to a ``.safetensors`` file, whole or not at all.

    Args:
        potential: any energy model known to :func:`torch_gptff.models.build_model`, with its element energies
        path: an existing file is replaced
        provenance: JSON values that say where the weights come from; added to what ``potential.provenance`` says

    Raises:
        CheckpointError: the weights give energies that are not finite, or are of a model of PyG.
        OSError: the disk is full, or cannot be written.
        TypeError, ValueError: the provenance is no JSON.
    """
    model = potential.model
    if isinstance(model, PyGModel):
        raise CheckpointError(
            f"nothing written to {path}: {type(model.model).__name__} of PyG does not tell what it was built from; "
            "keep its state_dict(), or train the model of the same name from torch_gptff.models"
        )
    energies = fingerprint(potential)
    if not all(map(math.isfinite, energies.values())):
        raise CheckpointError(f"nothing written to {path}: the weights give no finite energy, but {energies}")
    header = {
        "version": FORMAT_VERSION,
        "model": model.name,
        "config": model.config.to_dict(),
        "element_energies": potential.element_energies.energies.tolist(),
        "reference": potential.reference,
        "references": {name: _by_text(table) for name, table in potential.references.items()},
        "calibration": None if potential.calibration is None else potential.calibration.numbers,
        "seen_pairs": None if potential.seen_pairs is None else _partners(potential.seen_pairs),
        "elements": sorted(model.elements),
        "units": UNITS,
        "provenance": {**potential.provenance, **(provenance or {}), "torch_gptff": __version__},
        "fingerprint": energies,
    }
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    if potential.calibration is not None and potential.calibration.errors is not None:
        tensors = potential.calibration.errors.tensors()
        weights |= {f"{_CALIBRATION}{name}": tensor.cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**header, "digest": digest(header, weights)}, allow_nan=False)
    with written_atomically(path) as temporary, system_errors(path):
        save_file(weights, temporary, metadata={_KEY: text})


def load(path: str | Path) -> Potential:
    """Read a potential that :func:`save` wrote, in evaluation mode, on the CPU, in the dtype it was saved in.

    Raises:
        FileNotFoundError: no such file.
        CheckpointFormatError: not a checkpoint of this format, or truncated.
        CheckpointVersionError: of a newer version of the format.
        ConfigError: of a model or with a configuration that this version does not know.
        CheckpointShapeError: the weights do not fit the configuration.
        CheckpointDigestError: weights or header were altered, be it by one bit, or the digest was taken out.
        CheckpointFingerprintError: the weights give other energies than when they were saved.
    """
    header, stored = _read(Path(path))
    weights = {name: weight for name, weight in stored.items() if not name.startswith(_CALIBRATION)}
    errors = {name.removeprefix(_CALIBRATION): stored[name] for name in stored.keys() - weights.keys()}
    _require_plausible_size(header, weights, path)
    try:
        model = build_model(header["model"], header["config"])
        potential = Potential(model, header["element_energies"])
        potential.references = {
            name: {int(number): float(energy) for number, energy in table.items()}
            for name, table in header["references"].items()
        }
        if header["reference"] is not None:
            potential.use_reference(header["reference"])
        if header["calibration"] is not None:
            potential.calibration = Calibration(
                **header["calibration"], errors=ExpectedErrors(**errors) if errors else None
            )
        if header["seen_pairs"] is not None:
            potential.seen_pairs = _pairs(header["seen_pairs"])
    except (ValueError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError) as error:
        raise ConfigError(f"{path}: {error}") from error
    model.elements = frozenset(header["elements"])
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        theirs, ours = (list(table[name].shape) if name in table else None for table in (weights, expected))
        if theirs != ours:
            raise CheckpointShapeError(
                f"{path}: weight {name} is {_shape(theirs)} in the file, and {_shape(ours)} in the model of its header"
            )
    if header["version"] == 1:
        _log.warning(
            f"{path} is of version 1 of the format, which has no digest: nothing tells whether its element energies "
            "are those that were saved. Save it anew with torch_gptff.save"
        )
    elif header["digest"] != digest(header, stored):
        raise CheckpointDigestError(
            f"{path} is not what was saved: a weight or an entry of its header was altered or damaged; fetch it again, "
            "or save it anew with torch_gptff.save"
        )
    dtypes = {weight.dtype for weight in weights.values() if weight.is_floating_point()}
    if len(dtypes) == 1:
        model = model.to(dtypes.pop())
    model.load_state_dict(weights)
    potential.provenance = header["provenance"]
    check_fingerprint(potential, header["fingerprint"], str(path), compounds_alone=header["version"] < 3)
    return potential.eval()


def digest(header: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 of all weights, with their names, dtypes and shapes, and of a header without its ``digest``."""
    entries = {name: value for name, value in header.items() if name != "digest"}
    total = hashlib.sha256(json.dumps(entries, sort_keys=True, allow_nan=False).encode())
    for name in sorted(weights):
        weight = weights[name].contiguous()
        total.update(f"{name} {weight.dtype} {list(weight.shape)}".encode())
        total.update(weight.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _require_plausible_size(header: Mapping[str, Any], weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuse a configuration of a model that is larger than the weights of its file, before that model is built.

    Raises:
        CheckpointShapeError: names the size, or that there are too few weights.
    """
    largest = max([SMALL, *(size for weight in weights.values() for size in weight.shape)])
    for name, value in header["config"].items():
        if name not in NO_SIZES and isinstance(value, int | float) and not -largest <= value <= largest:
            raise CheckpointShapeError(f"{path} asks for a model of {name} = {value}, and has no weight of that size")
    this_thread, most, number = threading.get_ident(), 100 + 4 * len(weights), 0

    def count(*_: object) -> None:
        nonlocal number
        number += threading.get_ident() == this_thread
        if number > most:
            raise _TooLargeError

    counting = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), _Uninitialized():  # shapes without memory for them
            build_model(header["model"], header["config"])
    except _TooLargeError as error:
        raise CheckpointShapeError(
            f"{path} asks for a model of more than {most} weights, and has {len(weights)}"
        ) from error
    except Exception:  # what cannot be built without memory is told where it is built with it
        pass
    finally:
        counting.remove()


class _Uninitialized(TorchFunctionMode):
    """Leaves tensors as they are where ``torch.nn.init`` would fill them: on the meta device that is of no effect, and
    loads the compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


class _TooLargeError(Exception):
    """A model with more weights than its file."""


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
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointFormatError(f"{path} has a header that cannot be read ({error!r})") from error
    if not 1 <= version <= FORMAT_VERSION:
        raise CheckpointVersionError(
            f"{path} is of format version {version}; this torch_gptff ({__version__}) reads up to {FORMAT_VERSION}: "
            "install a newer one"
        )
    for since, upgrade in enumerate(_UPGRADES, start=1):
        if version <= since:
            header = upgrade({**header, "version": version}, path)
    missing = [field for field in _FIELDS if field not in header]
    if missing:
        raise CheckpointFormatError(f"{path} has a header without {', '.join(missing)}")
    for field, kind in _FIELDS.items():
        if not isinstance(header[field], kind):
            name = (kind if isinstance(kind, type) else kind[0]).__name__
            raise CheckpointFormatError(f"{path} has a header whose {field} is no {name}: {header[field]!r}")
    if not all(isinstance(number, int) for number in header["elements"]):
        raise CheckpointFormatError(f"{path} has elements that are no atomic numbers: {header['elements']!r}")
    if header["units"] != UNITS:
        raise CheckpointFormatError(f"{path} is in the units {header['units']}; expected {UNITS}")
    return header


def _from_version_1(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """One reference without a name, no calibration, and nothing known of pairs; the fingerprint alone guards it."""
    later: dict[str, Any] = {
        "reference": None,
        "references": {},
        "calibration": None,
        "seen_pairs": None,
        "digest": None,
    }
    if later.keys() & header.keys():
        raise CheckpointDigestError(
            f"{path} says that it is of version 1 of the format, and has entries of later ones: it was altered; fetch "
            "it again"
        )
    return header | later


def _from_version_2(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """A fingerprint of compounds alone, and a calibration without its range, which :class:`Calibration` takes for
    unknown."""
    return header


def _from_version_3(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """A calibration by the spread of the members."""
    return header


_UPGRADES = (_from_version_1, _from_version_2, _from_version_3)
"""From each version to the next."""


def _by_text(table: Mapping[int, float]) -> dict[str, float]:
    return {str(number): float(energy) for number, energy in sorted(table.items())}


def _partners(pairs: Collection[tuple[int, int]]) -> dict[str, list[int]]:
    """Pairs of elements, by the one of lower number."""
    partners: dict[str, list[int]] = {}
    for lower, higher in sorted(pairs):
        partners.setdefault(str(lower), []).append(higher)
    return partners


def _pairs(partners: Mapping[str, list[int]]) -> frozenset[tuple[int, int]]:
    return frozenset((int(lower), higher) for lower, those in partners.items() for higher in those)


def _shape(shape: list[int] | None) -> str:
    return "absent" if shape is None else str(shape)
