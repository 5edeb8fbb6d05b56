"""What the README counts and names is so; its code is run by test_documentation.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.io import read_header
from torch_gptff.io.pretrained import SHIPPED
from torch_gptff.models import GPTFF, GPTFFConfig

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


UNIVERSAL = [
    GPTFFConfig.from_dict(read_header(SHIPPED[name])["config"]) for name in (DEFAULT_MODEL, "gptff-universal-large")
]
CONFIGS = [*UNIVERSAL, GPTFFConfig.v1(), GPTFFConfig.v2(), GPTFFConfig(), GPTFFConfig.large()]


@pytest.mark.parametrize("column", range(6), ids=["universal", "universal-large", "v1", "v2", "recommended", "large"])
def test_the_table_of_models(column: int) -> None:
    lines = (line.split("|") for line in README.split("\n") if line.count("|") == 8)
    rows = {cells[1].strip(): cells[column + 2].strip() for cells in lines}
    config = CONFIGS[column]
    model = GPTFF(config)
    assert rows["parameters that enter an equation"] == f"{sum(p.numel() for p in model.parameters()):,}"
    angles = "no angles" if config.angle_update == "none" else f"{config.angle_cutoff} Å"
    assert rows["cutoff of bonds, of angles"] == f"{config.cutoff} Å, {angles}"
    assert ("with geometry" in rows["transformer"]) == (config.transformer == "geometric")
    for property, declared in (
        ("extensive: twice the crystal, twice the energy", model.is_extensive),
        ("smooth: continuous forces as a neighbour comes and goes", model.is_smooth),
        ("local: an atom feels a finite neighbourhood", model.is_local),
    ):
        assert rows[property] == ("yes" if declared else "no"), property


def test_files_that_it_names_are_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    named = re.findall(r"(?:examples|benchmarks)/[\w./-]+\.\w+", README)
    assert {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"} <= set(links)
    for name in [*links, *named]:
        assert (REPOSITORY / name).exists(), name


def test_the_two_commands_do_their_own_set_up() -> None:
    commands = [
        line for line in README.split("\n") if line.startswith("python3 -m venv .venv && .venv/bin/pip install")
    ]
    assert len(commands) == 2
    assert "torch-gptff relax examples/structures/" in commands[0]
    assert ".venv/bin/pytest" in commands[1]
