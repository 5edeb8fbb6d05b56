"""The shape of the package: imports go down only, ``import torch_gptff`` is light, nothing names one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import torch_gptff

PACKAGE = Path(torch_gptff.__file__).parent
REPOSITORY = PACKAGE.parent
LAYERS = (
    ("errors", "units", "cache", "defaults", "lazy", "moved", "notebook", "postponed"),
    ("settings",),
    ("graph",),
    ("ops",),
    ("nn",),
    ("models", "prediction"),
    ("potential",),
    ("io",),
    ("datasets", "report"),
    ("record",),
    ("evaluation",),
    ("calculators",),
    ("training",),
    ("comparison",),
    ("workflows", "testing"),
    ("serve",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The rooms of the package that a module imports from, anywhere in it but for the eyes of a type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    rooms = {name.split(".")[1] for name in found if name.startswith("torch_gptff.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return  # names what is above it, and imports it when it is asked for
    assert room in HEIGHT, f"say in LAYERS which layer {room} is of"
    for imported in imports(path) - {room}:
        assert HEIGHT[imported] < HEIGHT[room], f"{room} must not import {imported}"


def test_the_package_is_light() -> None:
    """Importing it loads nothing heavy, and using models loads neither ase nor pymatgen."""
    code = """
import sys
import torch_gptff
print([name for name in ("torch", "numpy", "ase", "pymatgen", "lightning", "lmdb", "typer") if name in sys.modules])
torch_gptff.Potential(torch_gptff.GPTFF())
print([name for name in ("ase", "pymatgen", "lightning", "lmdb", "typer") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n") == ["[]", "[]", ""]


def test_every_public_name_can_be_imported() -> None:
    for name in torch_gptff.__all__:
        assert getattr(torch_gptff, name) is not None
        assert name in dir(torch_gptff)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = torch_gptff.absent


def test_no_path_of_one_machine() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    machine = re.compile(rb"(?<![\w.$}])/(work|root|tmp|home/\w+)/")
    for name in filter(None, listed.split("\0")):
        path = REPOSITORY / name
        if path.is_file() and path != Path(__file__):
            found = machine.search(path.read_bytes())
            assert found is None, f"{name} names {found[0].decode()}, a place on one machine"
