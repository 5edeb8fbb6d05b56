"""The lines for workflow engines do what their page says, and find what this package finds by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from pages import REPOSITORY

PAGE = REPOSITORY / "docs/pages/workflow-engines.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is part of the repository only")

ALONE = """
from torch_gptff.workflows import relax
alone = relax(salt, "gptff-universal", fmax=0.01, smax=1e-4)
"""
CHECKS = {
    "pymatgen": ALONE
    + "assert abs(computed.results['energy'] - alone.energy) < 2e-3\n"
    + "assert abs(relaxed.lattice.a - alone.final.cell.lengths()[0]) < 0.02\n",
    "jobflow": "import numpy as np\n"
    + "alone = relax(salt, 'gptff-universal', fmax=0.01)\n"
    + "assert abs(relaxation.energy - alone.energy) < 1e-6\n"
    + "assert np.abs(relaxation.final.get_forces() - alone.final.get_forces()).max() < 1e-5\n"
    + "assert relaxation.energies.shape == alone.energies.shape\n",
    "atomate2": ALONE + "assert abs(document.output.energy - alone.energy) < 2e-3\n",
    "matcalc": ALONE
    + "from torch_gptff.workflows import elastic_tensor\n"
    + "assert abs(properties['energy'] - alone.energy) < 2e-3\n"
    + "found = elasticity['bulk_modulus_vrh'], elastic_tensor(alone.final, calculator).bulk_modulus\n"
    + "assert abs(found[0] / found[1] - 1) < 0.1, found\n",
    "quacc": ALONE + "assert abs(summary['results']['energy'] - alone.energy) < 2e-3\n",
    "i-PI": "given = GPTFFCalculator().get_potential_energy(AseAtomsAdaptor.get_atoms(salt))\n"
    + "assert abs(potential[0] - given) < 1e-3\n",
}
"""What must hold after the lines of a section."""
MODULES = {"i-PI": "ipi"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def sections() -> dict[str, str]:
    """Of the page, by heading."""
    _, *found = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(text.split("\n", 1) for text in found)


def same(line: str, told: str) -> bool:
    """Whether a line is the one on the page, up to 5 % of its numbers, as another version of a model has them."""
    number = r"-?\d+(?:\.\d+)?"
    if re.sub(number, "#", line) != re.sub(number, "#", told):
        return False
    pairs = zip(re.findall(number, line), re.findall(number, told), strict=True)
    return all(float(one) == pytest.approx(float(other), rel=0.05) for one, other in pairs)


def printed_here(script: str) -> str:
    """Output of a script in this process, which has the modules that it needs."""
    with redirect_stdout(StringIO()) as output, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(script, PAGE, "exec"), {"__name__": "__main__"})
    return output.getvalue()


def printed_apart(script: str, folder: Path) -> str:
    """Output of a script in a process and a folder of its own, whose settings it changes and where it writes."""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_section_is_run() -> None:
    assert list(sections()) == list(CHECKS)


def test_lines_are_compared() -> None:
    assert same("a: -26.91 eV", "a: -26.84 eV")
    assert not same("a: -30 eV", "a: -26.84 eV")
    assert not same("b: -26.84 eV", "a: -26.84 eV")
    assert not same("drift: False", "drift: True")


@pytest.mark.parametrize("engine", CHECKS)
def test_an_engine_prints_what_its_section_says(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(MODULES.get(engine, engine), reason=f"pip install {engine.lower()}")
    crystal, *_ = blocks(PAGE.read_text(encoding="utf-8"), "python")
    section = sections()[engine]
    for settings in blocks(section, "xml"):
        (tmp_path / "input.xml").write_text(settings)
    script = "\n".join([crystal, *blocks(section, "python"), CHECKS[engine]])
    (told,) = blocks(section, "text")
    output = printed_here(script) if engine == "pymatgen" else printed_apart(script, tmp_path)
    printed = [line for line in output.splitlines() if not line.lstrip().startswith("@")]  # log of i-PI
    expected = told.splitlines()
    assert len(printed) >= len(expected), printed
    for line, of_page in zip(printed[-len(expected) :], expected, strict=True):
        assert same(line, of_page), (printed, expected)
