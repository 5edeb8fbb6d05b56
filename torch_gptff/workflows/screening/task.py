"""Workflows and settings that workers apply to chunks of structures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import GPTFFError, RecordError, ScreeningError
from torch_gptff.io import load_pretrained
from torch_gptff.io.identity import identity
from torch_gptff.potential import Potential
from torch_gptff.record import Record
from torch_gptff.workflows.elastic import elastic_tensor
from torch_gptff.workflows.eos import equation_of_state
from torch_gptff.workflows.phonons import phonon_spectrum
from torch_gptff.workflows.relax_many import relax_many


@dataclass(frozen=True)
class StructurePrediction(Record):
    """Energy, forces and stress of a structure as it is.

    Attributes:
        structure: the structure
        energy: eV
        forces: eV/Å, ``[N, 3]``
        stress: eV/Å³, ``[3, 3]``, positive = tensile; ``None`` for a structure without a volume
        energy_std: expected error of ``energy``, eV; ``None`` for a model that is no committee
    """

    units: ClassVar[dict[str, str]] = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³", "energy_std": "eV"}
    derived: ClassVar[tuple[str, ...]] = ("fmax",)

    structure: Atoms
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    energy_std: float | None = None

    @property
    def fmax(self) -> float:
        """The largest force on an atom, eV/Å."""
        return float(np.linalg.norm(self.forces, axis=1).max(initial=0))

    def labelled_structure(self) -> Atoms:
        """A copy of the structure that carries energy, forces and stress, as ASE writes them to files."""
        from ase.calculators.singlepoint import SinglePointCalculator

        atoms = self.structure.copy()
        stress = {} if self.stress is None else {"stress": self.stress}
        atoms.calc = SinglePointCalculator(atoms, energy=self.energy, forces=self.forces, **stress)
        return atoms


@dataclass(frozen=True)
class Failure(Record):
    """Failure of a structure.

    Attributes:
        reason: name of the class of the error
        message: message of the error
    """

    reason: str
    message: str


@dataclass(frozen=True)
class Task:
    """A workflow with its settings and its model: all that the result of a structure depends on.

    Attributes:
        what: one of :data:`WORKFLOWS`
        model: name or path, made absolute, of the model, which every worker loads by itself
        dtype: floating-point precision of the model; ``None`` for that of its weights
        device: device of the model; ``None`` for the GPU, where there is one
        reference: source whose reference energies are relative to
        settings: arguments of the workflow
        threads: number of threads of a worker; ``None`` to leave it unchanged
    """

    what: str = "relax"
    model: str = DEFAULT_MODEL
    dtype: str | None = None
    device: str | None = None
    reference: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None

    def __post_init__(self) -> None:
        path = Path(self.model).expanduser()
        if path.is_file():
            object.__setattr__(self, "model", str(path.resolve()))
        if self.what not in WORKFLOWS:
            raise ScreeningError(f"no workflow {self.what!r} to screen with: there are {', '.join(WORKFLOWS)}")
        takes = WORKFLOWS[self.what].settings
        unknown = [name for name in self.settings if name not in takes]
        if unknown:
            known = ", ".join(takes) or "none"
            raise ScreeningError(f"{self.what} has no setting {unknown[0]!r}: there are {known}")

    def identity(self) -> dict[str, Any]:
        """Everything that results in one table must share, in types that JSON knows."""
        return {"what": self.what, "settings": dict(self.settings), "model": self.model, **identity(self.potential())}

    def potential(self) -> Potential:
        """The model, loaded once in a process."""
        return _potential(self.model, self.dtype, self.device, self.reference)

    def run(self, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
        """The results of some structures, or their failures, in their order and in types that JSON knows."""
        if self.threads is not None:
            import torch

            if torch.get_num_threads() != self.threads:
                torch.set_num_threads(self.threads)
        potential = self.potential()
        try:
            found = dict(WORKFLOWS[self.what].compute(structures, potential, self.settings))
        except Exception:  # of one structure or of all: compute them one by one
            found = {}
            for number, atoms in enumerate(structures):
                try:
                    ((_, found[number]),) = WORKFLOWS[self.what].compute([atoms], potential, self.settings)
                except Exception as error:
                    found[number] = Failure(type(error).__name__, str(error))
        return [_document(found[number]) for number in range(len(structures))]


Found = Iterator[tuple[int, Record]]


@dataclass(frozen=True)
class Workflow:
    """A workflow that is applied to chunks of structures.

    Attributes:
        record: class of its results
        compute: function of structures, a potential and settings that yields place and result of each structure
        settings: names of its settings
    """

    record: type[Record]
    compute: Callable[[Sequence[Atoms], Potential, Mapping[str, Any]], Found]
    settings: tuple[str, ...]


def _relax(structures: Sequence[Atoms], potential: Potential, settings: Mapping[str, Any]) -> Found:
    n_atoms = sum(map(len, structures))
    for number, result in relax_many(structures, potential, max_atoms=n_atoms, **settings):
        yield number, _failure(result) if isinstance(result, GPTFFError) else result


def _predict(structures: Sequence[Atoms], potential: Potential, settings: Mapping[str, Any]) -> Found:
    committee = potential.model.num_readouts > 1
    try:
        predictions = potential.predict(structures, energy_std=committee)
    except GPTFFError as error:
        if len(structures) == 1:
            yield 0, _failure(error)
            return
        raise
    for number, (atoms, found) in enumerate(zip(structures, predictions, strict=True)):
        assert found.forces is not None
        assert found.stress is not None
        has_volume = atoms.cell.rank == 3
        yield (
            number,
            StructurePrediction(
                structure=atoms,
                energy=found.energy.item(),
                forces=found.forces.double().numpy(),
                stress=found.stress[0].double().numpy() if has_volume else None,
                energy_std=None if found.energy_std is None else found.energy_std.item(),
            ),
        )


def _one_by_one(work: Callable[..., Record]) -> Callable[[Sequence[Atoms], Potential, Mapping[str, Any]], Found]:
    def compute(structures: Sequence[Atoms], potential: Potential, settings: Mapping[str, Any]) -> Found:
        calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
        for number, atoms in enumerate(structures):
            calculator.reset()  # results depend on nothing that was computed before
            try:
                yield number, work(atoms, calculator, **settings)
            except GPTFFError as error:
                yield number, _failure(error)

    return compute


def _document(record: Record) -> dict[str, Any]:
    try:
        return record.to_dict()
    except RecordError as error:  # a number that is not finite
        return _failure(error).to_dict()


def _settings(work: Callable[..., Any]) -> tuple[str, ...]:
    """The keywords of a workflow that are plain values."""
    parameters = signature(work).parameters.values()
    own = ("journal", "max_atoms")
    names = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    return tuple(name for name in names if name not in own and not name.startswith("on_"))


def _failure(error: Exception) -> Failure:
    return Failure(type(error).__name__, str(error))


def _workflows() -> dict[str, Workflow]:
    from torch_gptff.workflows.elastic_moduli import ElasticTensor
    from torch_gptff.workflows.eos import EquationOfState
    from torch_gptff.workflows.phonon_spectrum import PhononSpectrum
    from torch_gptff.workflows.relaxation import Relaxation

    return {
        "relax": Workflow(Relaxation, _relax, _settings(relax_many)),
        "predict": Workflow(StructurePrediction, _predict, ()),
        "eos": Workflow(EquationOfState, _one_by_one(equation_of_state), _settings(equation_of_state)),
        "elastic": Workflow(ElasticTensor, _one_by_one(elastic_tensor), _settings(elastic_tensor)),
        "phonons": Workflow(PhononSpectrum, _one_by_one(phonon_spectrum), _settings(phonon_spectrum)),
    }


WORKFLOWS = _workflows()
"""Workflows of a screening, by name."""


@lru_cache(maxsize=2)
def _potential(model: str, dtype: str | None, device: str | None, reference: str | None) -> Potential:
    import torch

    potential = load_pretrained(os.fspath(model), reference)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return potential.to(where, potential.model.dtype if dtype is None else getattr(torch, dtype)).eval()
