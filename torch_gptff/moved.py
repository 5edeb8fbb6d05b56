"""Old names of modules and of what they hold. Each works for one version more, with a ``DeprecationWarning``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
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
    "training.Evaluation": "evaluation",
    "training.evaluate": "evaluation",
}
"""Modules that names have moved to, by their old places."""

PACKAGE = "torch_gptff."


def moved_name(module: str, name: str) -> Any:
    """What a name of a module stands for that has moved elsewhere.

    Raises:
        AttributeError: no such name has been in the module.
    """
    home = NAMES.get(f"{module}.{name}".removeprefix(PACKAGE))
    if home is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", f"{PACKAGE}{home}.{name}", stacklevel=4)
    return getattr(import_module(PACKAGE + home), name)


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
