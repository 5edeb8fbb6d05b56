"""Old names of modules and of what they hold. Each works for one version more, with a ``DeprecationWarning``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

MODULES = {
    "workflows.record": "record",
    "workflows.arrhenius": "workflows.diffusion.arrhenius",
    "workflows.diffusion_series": "workflows.diffusion.series",
    "workflows.estimate": "workflows.diffusion.estimate",
    "workflows.ion_density": "workflows.diffusion.density",
    "workflows.motion": "workflows.diffusion.motion",
    "workflows.msd": "workflows.diffusion.msd",
    "workflows.peaks": "workflows.diffraction.peaks",
    "workflows.local_structure": "workflows.diffraction.local_structure",
    "workflows.eos_fit": "workflows.eos.fit",
    "workflows.eos_reference": "workflows.eos.reference",
    "workflows.eos_comparison": "workflows.eos.benchmark",
    "workflows.md_drivers": "workflows.md.drivers",
    "workflows.md_remarks": "workflows.md.remarks",
    "workflows.md_run": "workflows.md.result",
    "workflows.md_settings": "workflows.md.settings",
    "workflows.trajectory": "workflows.md.trajectory",
    "workflows.ulm_frames": "workflows.md.ulm",
    "workflows.elasticity": "workflows.elastic",
    "workflows.reports.relaxation": "workflows.reports.relax",
    "workflows.reports.elasticity": "workflows.reports.elastic",
    "workflows.reports.eos_comparison": "workflows.reports.eos_benchmark",
    "training.evaluation": "evaluation.evaluate",
    "training.evaluation_record": "evaluation.record",
    "training.evaluation_files": "evaluation.files",
    "training.evaluation_report": "evaluation.report",
    "training.scores": "evaluation.scores",
    "training.calibration": "evaluation.calibration",
    "training.model_card": "evaluation.model_card",
    "training.comparison": "comparison.compare",
    "training.comparison_record": "comparison.record",
    "training.comparison_report": "comparison.report",
    "training.contender": "comparison.contender",
    "training.contender_process": "comparison.process",
    "training.memory": "comparison.memory",
}
"""New names of modules by their old ones, without the name of the package."""

NAMES = {
    "training.Evaluation": "evaluation.Evaluation",
    "training.evaluate": "evaluation.evaluate",
    "training.report.Metrics": "training.record.LearningCurves",
    "workflows.reports.diffraction.peak_table": "workflows.diffraction.series.DiffractionSeries.peak_table",
    "workflows.reports.diffusion.with_error": "workflows.diffusion.estimate.Estimate.__str__",
    "workflows.reports.elastic.elasticity_report": "workflows.reports.elastic.elastic_report",
    "workflows.reports.eos.eos_figure": "workflows.reports.eos._figure",
    "workflows.reports.eos_benchmark.eos_comparison_report": "workflows.reports.eos_benchmark.eos_benchmark_report",
    "workflows.reports.eos_benchmark.prototype_table": (
        "workflows.eos.benchmark.EquationOfStateBenchmark.prototype_table"
    ),
    "workflows.reports.md.averages_table": "workflows.md.result.MolecularDynamicsRun.averages_table",
    "workflows.reports.phonons.phonon_report": "workflows.reports.phonons.phonons_report",
    "workflows.reports.relax.relaxation_report": "workflows.reports.relax.relax_report",
}
"""New places of functions and classes by their old ones, without the name of the package."""

PACKAGE = "torch_gptff."


def moved_name(module: str, name: str) -> Any:
    """Return the function or class that an old name of a module stands for.

    Args:
        module: full name of the module
        name: name that was asked of it

    Raises:
        AttributeError: no such name has been in the module.
    """
    new = NAMES.get(f"{module}.{name}".removeprefix(PACKAGE))
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", PACKAGE + new, stacklevel=4)
    return resolve_name(PACKAGE + new)


def old_names(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that knows the old names of its functions: ``old_names(__name__)``."""
    return lambda name: moved_name(module, name)


class _Mover(MetaPathFinder, Loader):
    """Imports a module of an old name as the one that it has become."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_old = fullname.removeprefix(PACKAGE) in MODULES and fullname.startswith(PACKAGE)
        return ModuleSpec(fullname, self) if is_old else None

    def exec_module(self, module: ModuleType) -> None:
        new = PACKAGE + MODULES[module.__name__.removeprefix(PACKAGE)]
        _warn(module.__name__, new, stacklevel=2)
        sys.modules[module.__name__] = import_module(new)


def _warn(old: str, new: str, stacklevel: int) -> None:
    warnings.warn(f"{old} is now {new}; the old name goes with the next version", DeprecationWarning, stacklevel)


sys.meta_path.append(_Mover())
