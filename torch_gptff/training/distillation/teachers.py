"""Teachers: any ASE calculator, by name, by import path, or one of our models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from torch_gptff.calculators import GPTFFCalculator, potential_of
from torch_gptff.errors import DistillationError, GPTFFError
from torch_gptff.io import fingerprint
from torch_gptff.prediction import Prediction
from torch_gptff.training.distillation.limits import FAILED, NOT_FINITE
from torch_gptff.training.distillation.nequix import NequixCalculator


@dataclass(frozen=True)
class Labels:
    """Labels of a structure by a teacher.

    Attributes:
        energy: eV
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, Voigt order, positive = tensile, ``[6]``; ``None`` where there is none
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None


@dataclass(frozen=True)
class Teacher:
    """An ASE calculator that labels structures.

    Attributes:
        name: name of the source in the labelled frames
        calculator: used for labels and for molecular dynamics
        arguments: arguments that it was made with, where they are known
        origin: the file or folder that it was read from, where it is not one of our models
    """

    name: str
    calculator: Calculator
    arguments: Mapping[str, Any] = field(default_factory=dict)
    origin: Path | None = None

    def identity(self) -> dict[str, Any]:
        """Identity of the teacher as JSON: its name, its arguments and its fingerprint, or the digest of its file."""
        known: dict[str, Any] = {"name": self.name, "arguments": dict(self.arguments)}
        potential = potential_of(self.calculator)
        if potential is not None:
            known["fingerprint"] = fingerprint(potential)
        if self.origin is not None:
            known["digest"] = _digest(self.origin)
        return known

    def label(self, atoms: Atoms) -> Labels | str:
        """Labels of a structure, or why there are none.

        Any error of the calculator, such as one about an unknown element, becomes the reason.
        """
        atoms = atoms.copy()
        atoms.calc = self.calculator
        has_stress = bool(atoms.pbc.all()) and "stress" in self.calculator.implemented_properties
        try:
            energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
            stress = atoms.get_stress() if has_stress else None
        except PropertyNotImplementedError as error:
            raise DistillationError(f"the teacher {self.name} gives no energy and forces: {error}") from error
        except Exception as error:
            return f"{FAILED}{type(error).__name__}: {' '.join(str(error).split())}"
        values = [energy, *forces.flat, *(() if stress is None else stress)]
        return Labels(energy, np.array(forces), stress) if np.isfinite(values).all() else NOT_FINITE

    def label_all(self, structures: Sequence[Atoms]) -> list[Labels | str]:
        """Label many structures, in batches where the teacher is a model of this package or of nequix."""
        predict = _predict_of(self.calculator)
        if predict is not None:
            try:
                predictions = predict(structures)
            except GPTFFError:
                pass  # structures are then labelled one by one, which shows the one that fails
            else:
                return [_labels(prediction, atoms) for prediction, atoms in zip(predictions, structures, strict=True)]
        return [self.label(atoms) for atoms in structures]


def _predict_of(calculator: Calculator) -> Callable[[Sequence[Atoms]], list[Prediction]] | None:
    """The function that predicts many structures at a time; ``None`` for a calculator without one."""
    potential = potential_of(calculator)
    if potential is not None:
        return potential.predict
    return calculator.predict if isinstance(calculator, NequixCalculator) else None


def _labels(prediction: Prediction, atoms: Atoms) -> Labels | str:
    assert prediction.forces is not None
    assert prediction.stress is not None
    energy, forces = prediction.energy.item(), prediction.forces.double().numpy()
    stress = full_3x3_to_voigt_6_stress(prediction.stress[0].numpy()) if atoms.pbc.all() else None
    values = [energy, *forces.flat, *(() if stress is None else stress)]
    return Labels(energy, forces, stress) if np.isfinite(values).all() else NOT_FINITE


def make_teacher(spec: str, arguments: Mapping[str, Any] | None = None, device: str | None = None) -> Teacher:
    """Make the teacher of a name on the command line.

    Args:
        spec: ``emt`` or ``lj``, of ASE; ``chgnet``, with the weights of its package; ``matgl:FOLDER``, a potential of
            matgl; ``nequix:FILE``, one of nequix; ``package.module:Name``, any class or function that returns a
            calculator; or one of our models, by name or path
        arguments: arguments of the calculator
        device: device of the calculator, where it has one

    Raises:
        DistillationError: there is no such teacher, its package is not installed, or it cannot be made.
        CheckpointError, DownloadError: see :func:`~torch_gptff.load_pretrained`.
    """
    given = dict(arguments or {})
    kind, _, place = spec.partition(":")
    try:
        if spec in _NAMED:
            return Teacher(spec, _NAMED[spec](given, device), given)
        if kind == "matgl" and place:
            return Teacher(Path(place).name, _matgl(place, given, device), given, Path(place))
        if kind == "nequix" and place:
            return Teacher(Path(place).stem, _nequix(place, given, device), given, Path(place))
        if place.isidentifier() and not Path(spec).exists():
            return Teacher(place, getattr(import_module(kind), place)(**given), given)
    except ImportError as error:
        raise DistillationError(f"the teacher {spec} cannot be imported ({error}): install its package") from error
    except (AttributeError, TypeError) as error:
        raise DistillationError(f"the teacher {spec} cannot be made of {given}: {error}") from error
    return Teacher(Path(spec).stem, GPTFFCalculator(spec, device, **given), given)


def _digest(origin: Path) -> str:
    """A SHA-256 of a file, or of all files in a folder and their names."""
    total = hashlib.sha256()
    for file in [origin] if origin.is_file() else sorted(each for each in origin.rglob("*") if each.is_file()):
        total.update(f"{file.relative_to(origin)} {file.stat().st_size} ".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _emt(arguments: Mapping[str, Any], device: str | None) -> Calculator:
    from ase.calculators.emt import EMT

    return EMT(**arguments)


def _lj(arguments: Mapping[str, Any], device: str | None) -> Calculator:
    from ase.calculators.lj import LennardJones

    return LennardJones(**arguments)


def _chgnet(arguments: Mapping[str, Any], device: str | None) -> Calculator:
    calculators: Any = import_module("chgnet.model.dynamics")
    return calculators.CHGNetCalculator(**{"use_device": device or "cpu", **arguments})


def _matgl(folder: str, arguments: Mapping[str, Any], device: str | None) -> Calculator:
    """A potential of matgl, after a check that this version of matgl reads it correctly."""
    os.environ.setdefault("MATGL_BACKEND", "PYG")  # read when matgl is imported
    matgl: Any = import_module("matgl")
    if not Path(folder).is_dir():
        raise DistillationError(f"no folder {folder} with a potential of matgl")
    calculators: Any
    try:
        calculators = import_module("matgl.ext.ase")
    except ImportError:
        calculators = import_module("matgl.ext._ase_pyg")
    model = matgl.load_model(folder)
    if device is not None:
        model = model.to(device)
    calculator = calculators.PESCalculator(model, **{"stress_unit": "eV/A3", **arguments})
    require_a_minimum_of_magnesia(calculator, f"{Path(folder).name} as matgl {matgl.__version__} reads it")
    return calculator


def _nequix(file: str, arguments: Mapping[str, Any], device: str | None) -> Calculator:
    calculator = NequixCalculator(file, **{"device": device, **arguments})
    require_a_minimum_of_magnesia(calculator, f"{Path(file).name} as the installed nequix reads it")
    return calculator


def require_a_minimum_of_magnesia(calculator: Calculator, name: str) -> None:
    """Refuse a universal potential for which rock salt of MgO is not most stable near 4.25 Å.

    Some versions of matgl read files of others without complaint, and give nonsense for compounds.

    Raises:
        DistillationError: another edge of the cell has a lower energy.
    """
    energies = [_energy(calculator, bulk("MgO", "rocksalt", a=edge)) for edge in (3.9, 4.25, 4.65)]
    if int(np.argmin(energies)) != 1:
        raise DistillationError(
            f"{name} has no minimum of MgO near 4.25 Å (energies at 3.9, 4.25 and 4.65 Å: "
            f"{', '.join(f'{energy:.3f}' for energy in energies)} eV): install the version that it was made with"
        )


def _energy(calculator: Calculator, atoms: Atoms) -> float:
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


_NAMED: dict[str, Callable[[Mapping[str, Any], str | None], Calculator]] = {"emt": _emt, "lj": _lj, "chgnet": _chgnet}
