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


def test_pre_commit_runs_the_pinned_tools_of_the_extra() -> None:
    """Hooks are commands of the environment, so that a commit is checked by the versions that the extra pins."""
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    (lint,) = re.findall(r"^lint = (.*)$", PROJECT, re.MULTILINE)
    assert {hook["entry"].split()[0] for hook in hooks} == set(re.findall(r'"(\w+)==', lint))
    assert len(set(re.findall(r"ruff==([\d.]+)", PROJECT))) == 1


def test_forms_of_issues_are_valid() -> None:
    for path in (REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            identifiers = [field["id"] for field in form["body"]]
            assert len(identifiers) == len(set(identifiers))
