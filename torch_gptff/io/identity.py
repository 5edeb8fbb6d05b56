"""Identity of a potential and of structures: what results depend on, as digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from torch_gptff.potential import Potential

if TYPE_CHECKING:
    from ase import Atoms


def identity(potential: Potential) -> dict[str, Any]:
    """The precision, the reference and the digest of a potential, in types that JSON knows.

    The digest is a SHA-256 of the weights, the configuration, the element energies and the calibration. A potential
    whose identity is the same gives the same numbers, whatever file it was read from.
    """
    model = potential.model
    said = {
        "model": model.name,
        "config": model.config.to_dict(),
        "elements": sorted(model.elements),
        "element_energies": potential.element_energies.energies.tolist(),
        "calibration": None if potential.calibration is None else potential.calibration.numbers,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    errors = None if potential.calibration is None else potential.calibration.errors
    weights = model.state_dict() | ({} if errors is None else errors.tensors())
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {list(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {
        "dtype": str(model.dtype).removeprefix("torch."),
        "reference": potential.reference,
        "model_digest": digest.hexdigest(),
    }


def structure_digest(atoms: Atoms) -> str:
    """A SHA-256 of what the results of a structure depend on: elements, masses, positions, cell and constraints."""
    from ase.io.jsonio import encode

    digest = hashlib.sha256()
    for array in (atoms.numbers, atoms.get_masses(), atoms.positions, atoms.cell.array, atoms.pbc):
        digest.update(array.tobytes())
    digest.update(encode([constraint.todict() for constraint in atoms.constraints]).encode())
    return digest.hexdigest()


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first difference between two such records, in words; ``None`` where results of both may be mixed."""
    for name in dict.fromkeys((*now, *stored)):
        theirs, ours = stored.get(name), now.get(name)
        if theirs == ours or (name == "model" and "model_digest" in now):  # a name is nothing where weights are known
            continue
        if name == "model_digest":
            names = [
                f"{record['model']} ({digest})" if "model" in record else str(digest)
                for record, digest in ((stored, str(theirs)[:12]), (now, str(ours)[:12]))
            ]
            return f"with other weights, {names[0]}, and these are {names[1]}"
        return f"with {name} {_said(theirs)}, and this is {_said(ours)}"
    return None


def _said(value: Any) -> str:
    return "unknown" if value is None else str(value)
