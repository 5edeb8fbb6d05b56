"""Old names work for one version more, and say what they are now."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import resolve_name

import pytest

from torch_gptff.moved import MODULES, NAMES, PACKAGE


def test_every_new_name_exists() -> None:
    for new in MODULES.values():
        import_module(PACKAGE + new)


@pytest.mark.parametrize("old", ["workflows.eos_fit", "training.scores", "workflows.reports.elasticity"])
def test_an_old_module_is_the_new_one(old: str) -> None:
    sys.modules.pop(PACKAGE + old, None)
    with pytest.warns(DeprecationWarning, match=f"{PACKAGE}{old} is now {PACKAGE}{MODULES[old]}"):
        module = import_module(PACKAGE + old)
    assert module is import_module(PACKAGE + MODULES[old])
    assert module.__spec__ is not None
    assert module.__spec__.name == PACKAGE + MODULES[old]


@pytest.mark.parametrize("old", NAMES)
def test_an_old_name_of_a_module_is_the_new_one(old: str) -> None:
    module, _, name = old.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{PACKAGE}{old} is now {PACKAGE}{NAMES[old]}") as told:
        found = getattr(import_module(PACKAGE + module), name)
    assert found is resolve_name(PACKAGE + NAMES[old])
    assert told[0].filename == __file__


def test_a_name_that_never_was_is_not_found() -> None:
    import torch_gptff.training
    import torch_gptff.workflows.reports.relax

    for module in (torch_gptff.training, torch_gptff.workflows.reports.relax):
        with pytest.raises(AttributeError, match="no attribute 'absent'"):
            _ = module.absent


def test_old_modules_in_a_fresh_process() -> None:
    """The first import of the package may be of an old name; a name that never was is not found."""
    code = """
import warnings
warnings.simplefilter("error")
from torch_gptff.training.config import TrainingConfig
warnings.simplefilter("ignore")
from torch_gptff.workflows.record import Record
import torch_gptff.record
assert Record is torch_gptff.record.Record
try:
    import torch_gptff.workflows.absent
except ModuleNotFoundError:
    print("not found")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "not found\n"
