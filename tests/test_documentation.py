"""Code on the pages of the documentation runs as it stands there, in the order in which it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from emt_frames import emt_frames
from pages import REPOSITORY, check_options, commands, run_page

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs/pages").glob("*.md"))]
pytestmark = pytest.mark.skipif(len(PAGES) == 2, reason="the documentation is part of the repository only")


SALT, SILICON = bulk("NaCl", "rocksalt", a=5.64), bulk("Si", a=5.43)
COPPER, GOLD = bulk("Cu", cubic=True), bulk("Au", cubic=True, a=4.1)


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.symbols[:2] = "Au"
    return atoms


def walk(kelvin: int) -> list[Atoms]:
    """Ions of lithium on a random walk through chloride at rest."""
    rng = np.random.default_rng(kelvin)
    frames = [bulk("LiCl", "rocksalt", a=5.1, cubic=True)]
    for _ in range(100):
        frames.append(frames[-1].copy())
        frames[-1].positions[frames[-1].numbers == 3] += rng.normal(scale=kelvin / 2000, size=(4, 3))
    return frames


def stretched() -> list[Atoms]:
    frames = []
    for step in range(0, 101):
        frames.append(COPPER * (2, 2, 2))
        frames[-1].set_cell(frames[-1].cell * [[1], [1], [1 + step / 1000]], scale_atoms=True)
    return frames


FILES: dict[str, Callable[[], Any]] = {
    **{f"{folder}NaCl.cif": lambda: SALT for folder in ("", "structures/", "examples/structures/")},
    **{f"{folder}Si.cif": lambda: SILICON for folder in ("structures/", "examples/structures/")},
    "Cu.cif": lambda: COPPER,
    "Au.cif": lambda: GOLD,
    "CuAu.cif": alloy,
    "frames.extxyz": lambda: emt_frames(12, seed=0),
    "md.traj": stretched,
    **{f"md-{kelvin}.extxyz": partial(walk, kelvin) for kelvin in (500, 600, 800)},
}
"""Files that pages name, small ones; a number stands in a name that the page puts together."""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a folder with the files that a text names, and goes there."""
    for name in ("TORCH_GPTFF_MODEL", "TORCH_GPTFF_DEBUG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def make(text: str) -> Path:
        for name, frames in FILES.items():
            folder = Path(name).parent
            if name in text or f"{folder}/*.cif" in text:
                folder.mkdir(parents=True, exist_ok=True)
                write(name, frames())
        return tmp_path

    return make


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_a_page_runs(page: Path, stage: Callable[[str], Path], undrawn: None) -> None:
    stage(page.read_text(encoding="utf-8"))
    run_page(page)


def test_most_blocks_are_run() -> None:
    """Skipping stays the exception, and every skipped block says why."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = text.count("```python\n") + text.count("```bash\n")
    assert text.count("<!-- skip: next") == text.count('<!-- skip: next "')
    assert text.count("<!-- skip: next") < blocks / 2


def test_a_page_that_is_wrong_is_found(stage: Callable[[str], Path]) -> None:
    page = stage("NaCl.cif") / "page.md"
    for block, problem in {
        "```python\n1 / 0\n```": "division by zero",
        "```bash\ntorch-gptff predict NaCl.cif --modle x\n```": "No such option",
        '<!-- skip: next "too long" -->\n```bash\ntorch-gptff md NaCl.cif --ensemble nvx\n```': "nvx",
        "```bash\ntorch-gptff foretell NaCl.cif\n```": "no command foretell",
        "```bash\ntorch-gptff predict absent.cif\n```": "absent.cif",
        "```bash\npython benchmarks/absent.py\n```": "there is no benchmarks/absent.py",
    }.items():
        page.write_text(block, encoding="utf-8")
        with pytest.raises((AssertionError, ZeroDivisionError), match=problem):
            run_page(page)


def test_commands_of_a_block() -> None:
    block = "A=1 torch-gptff predict a.cif \\\n    --json b.json  # both\n\npip install . && .venv/bin/pytest -n 2\n"
    found = list(commands(block))
    assert found == [
        ["torch-gptff", "predict", "a.cif", "--json", "b.json"],
        ["pip", "install", "."],
        ["pytest", "-n", "2"],
    ]
    check_options(found[0], "here")
