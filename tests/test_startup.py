"""Commands that need no model begin without what only models, workflows and reports need."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import torch_gptff
from torch_gptff.lazy import _LazyPackage
from torch_gptff.models import build_model, registry

PACKAGE = Path(torch_gptff.__file__).parent
LAZY = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "import_lazily(" in path.read_text(encoding="utf-8")]

NOT_FOR_HELP = ("torch", "numpy", "scipy", "ase", "pymatgen", "torch_geometric", "matplotlib", "pandas", "lightning")
NOT_FOR_DATA = (
    "torch._dynamo.eval_frame",
    "sympy",
    "pandas",
    "requests",
    "pymatgen.symmetry",
    "matplotlib",
    "lightning",
)
NOT_FOR_DATA_OF_OURS = ("models.gptff", "models.visnet", "potential", "calculators.ase", "workflows", "io.checkpoint")

RUN = """
import json, sys
from torch_gptff.__main__ import main
codes, modules = [], []
for commands in json.loads(sys.argv[1]):
    for command in commands:
        sys.argv = ["torch-gptff", *command]
        try:
            main()
        except SystemExit as end:
            codes.append(end.code)
    modules.append(sorted(sys.modules))
print(json.dumps({"codes": codes, "modules": modules}), file=sys.stderr)
"""


def modules_after(*groups: Sequence[Sequence[str]]) -> list[set[str]]:
    """The modules that a process has imported when it has run commands, after each group of them."""
    command = [sys.executable, "-c", RUN, json.dumps(groups)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(result.stderr.splitlines()[-1])
    assert not any(answer["codes"]), result.stderr[-2000:]
    return [set(modules) for modules in answer["modules"]]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    made: list[Atoms] = []
    for strain in (0.98, 1.0, 1.02):
        atoms = bulk("Cu", a=3.6 * strain)
        atoms.calc = SinglePointCalculator(atoms, energy=-3.7 + strain, forces=[[0.0, 0.0, 0.1]])
        made.append(atoms)
    path = tmp_path / "frames.extxyz"
    write(path, made)
    return path


def test_commands_import_no_more_than_they_need(frames: Path, tmp_path: Path) -> None:
    """Help nothing of science, data neither models nor the compiler, and a checkpoint is described without it."""
    split, stored, copy = (str(tmp_path / name) for name in ("split.json", "stored", "copy.extxyz"))
    after_help, after_data, after_info = modules_after(
        [["--help"], ["--version"], ["relax", "--help"], ["train", "--help"], ["dataset", "--help"]],
        [
            ["dataset", "inspect", str(frames)],
            ["dataset", "split", str(frames), "--by", "random", "--fractions", "0.5,0.5", "--out", split],
            ["dataset", "convert", str(frames), "--out", stored],
            ["dataset", "convert", str(frames), "--out", copy],
        ],
        [["info", "gptff-universal"]],
    )
    assert not after_help & set(NOT_FOR_HELP)
    assert not after_data & {*NOT_FOR_DATA, *(f"torch_gptff.{name}" for name in NOT_FOR_DATA_OF_OURS)}
    assert not after_info & {*NOT_FOR_DATA, "torch_gptff.workflows"}


def test_models_are_found_by_the_names_that_they_have() -> None:
    for name, homes in registry._OURS.items():
        model, config = (resolve_name(f"torch_gptff.models.{home}") for home in homes)
        assert model.name == name
        assert type(build_model(name, config().to_dict())) is model


def test_what_is_postponed_is_there_when_it_is_used() -> None:
    """Postponed modules, and modules within them, behave as any other from the first use on."""
    code = """
import sys
from torch_gptff.postponed import is_postponed, postpone_imports
postpone_imports()
import torch, torch_geometric.data
import inspect
inspect.getmodule(torch.Tensor.add)  # looks at every module there is
print(is_postponed("torch._dynamo"), is_postponed("torch_geometric.datasets"))
import torch._dynamo.config
from torch_geometric.datasets import QM9
print(is_postponed("torch._dynamo"), is_postponed("torch_geometric.datasets"), QM9.__name__)
print(type(sys.modules["torch._dynamo"]).__name__, len(torch._dynamo.__path__))
print(float(torch.compile(lambda x: 2 * x, backend="eager")(torch.tensor(1.5))))
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n") == ["True True", "False False QM9", "module 1", "3.0", ""]


def imported_under_type_checking(path: Path) -> dict[str, str]:
    """Names that type checkers see, with the module that each is imported from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("path", LAZY, ids=lambda path: str(path.parent.relative_to(PACKAGE.parent)))
def test_a_lazy_package_has_what_type_checkers_see(path: Path) -> None:
    package: Any = import_module(".".join(path.parent.relative_to(PACKAGE.parent).parts))
    assert isinstance(package, _LazyPackage)
    seen = imported_under_type_checking(path)
    assert sorted(seen) == sorted(package._homes) == sorted(set(package.__all__) - {"__version__"})
    for name, module in seen.items():
        assert getattr(package, name) is getattr(import_module(module), name)
        assert not isinstance(getattr(package, name), ModuleType)
        assert name in dir(package)


@pytest.mark.parametrize(("package", "name"), [("workflows", "relax"), ("evaluation", "evaluate")])
def test_a_function_outranks_the_module_of_its_name(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the module is imported first, which Python then sets as an attribute of its package."""
    monkeypatch.delitem(sys.modules, f"torch_gptff.{package}.{name}", raising=False)
    module = import_module(f"torch_gptff.{package}.{name}")
    assert isinstance(module, ModuleType)
    assert getattr(import_module(f"torch_gptff.{package}"), name) is getattr(module, name)


def test_a_module_without_such_a_function_is_itself() -> None:
    assert import_module("torch_gptff.workflows").md.__name__ == "torch_gptff.workflows.md"


def test_a_name_that_a_package_does_not_have() -> None:
    with pytest.raises(AttributeError, match=r"'torch_gptff.graph' has no attribute 'absent'"):
        _ = import_module("torch_gptff.graph").absent
    with pytest.raises(ImportError, match="absent"):
        exec("from torch_gptff.nn import absent")
