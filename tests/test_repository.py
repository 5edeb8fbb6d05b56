"""Files for people and programs around the package agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import torch_gptff

REPOSITORY = Path(__file__).parents[1]
PROJECT = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(not (REPOSITORY / ".github").is_dir(), reason="not a checkout")


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == torch_gptff.__version__
    assert f'version = "{torch_gptff.__version__}"' in PROJECT


def test_pre_commit_has_the_ruff_of_the_extra() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (ruff,) = (repository["rev"] for repository in hooks["repos"] if "ruff" in repository["repo"])
    assert {ruff.removeprefix("v")} == set(re.findall(r"ruff==([\d.]+)", PROJECT))


def test_forms_of_issues_are_valid() -> None:
    for path in (REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            identifiers = [field["id"] for field in form["body"]]
            assert len(identifiers) == len(set(identifiers))
