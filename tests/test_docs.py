"""Pictures of the documentation are what their scripts draw, and say of the model what is so."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from torch_gptff.models import GPTFF, GPTFFConfig

DOCS = Path(__file__).parents[1] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is part of the repository only")


@pytest.fixture
def architecture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_file_location("architecture", DOCS / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "architecture", module)  # where its dataclasses look for names
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_architecture_is_up_to_date(architecture: ModuleType) -> None:
    assert architecture.FILE.read_text(encoding="utf-8") == architecture.drawing()


def test_the_picture_shows_the_recommended_model(architecture: ModuleType) -> None:
    config, drawing = GPTFFConfig(), architecture.drawing()
    table = GPTFF(config).layers[0].attention.radial
    assert f"{table.bins + 3} knots" in drawing
    assert f"up to {config.cutoff:g} Å" in drawing
    assert [f"layer {n}" in drawing for n in range(1, config.num_layers + 2)] == [True] * config.num_layers + [False]


def test_the_table_of_configurations_is_so() -> None:
    """Of the page of the model: what differs between the configurations, by field."""
    text = (DOCS / "pages" / "model.md").read_text(encoding="utf-8")
    lines = text[text.index("## The configurations") :].splitlines()
    rows = {
        cells[0].replace("`", ""): cells[1:]
        for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `"))
    }
    configs = [GPTFFConfig.v1(), GPTFFConfig.v2(), GPTFFConfig.paper(), GPTFFConfig(), GPTFFConfig.large()]
    assert len(rows) > 8
    for name, cells in rows.items():
        fields = name.removesuffix(", Å").split(", ")
        for cell, config in zip(cells, configs, strict=True):
            if cell:  # an empty one is of no account
                values = [str(getattr(config, field)) for field in fields]
                assert [part.strip('`"') for part in cell.split(", ")] == values, name
