"""Pictures of the documentation are what their scripts draw, and show model and rooms as they are."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from test_architecture import MODULES, PACKAGE, imports

from torch_gptff.models import GPTFF, GPTFFConfig

DOCS = Path(__file__).parents[1] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is part of the repository only")


def load_script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # where its dataclasses look for names
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def architecture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script("architecture", monkeypatch)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script("pictures", monkeypatch)


def test_pictures_are_up_to_date(pictures: ModuleType) -> None:
    for name, draw in pictures.PICTURES.items():
        assert (pictures.PAGES / name).read_text(encoding="utf-8") == draw(), f"run docs/pictures.py: {name} is old"


def test_the_picture_of_rooms_is_true(pictures: ModuleType) -> None:
    """Every room is drawn and described; rooms import from lower floors, or from those at their right."""
    places = {room: (floor, x) for floor, (_, rooms) in enumerate(pictures.FLOORS) for x, room in enumerate(rooms)}
    page = (DOCS / "pages" / "rooms.md").read_text(encoding="utf-8")
    for path in MODULES:
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):
            assert room in places, f"draw {room} in docs/pictures.py"
            assert f"`{room}`" in page, f"say in docs/pages/rooms.md what {room} holds"
            for imported in imports(path) - {room}:
                assert places[imported] > places[room], f"{path}: {room} is drawn below {imported}"


def test_results_of_examples_are_put_into_their_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applications = load_script("applications", monkeypatch)
    page = (DOCS / "pages" / "applications.md").read_text(encoding="utf-8")
    (tmp_path / "applications.md").write_text(page, encoding="utf-8")
    run = tmp_path / "run"
    run.mkdir()
    (run / "titanium.md").write_text("| 1\\2 |\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"has no titanium\.svg"):
        applications.main([f"titanium={run}"], tmp_path)
    (run / "titanium.svg").write_text("<svg/>", encoding="utf-8")
    applications.main([f"titanium={run}"], tmp_path)
    found = (tmp_path / "applications.md").read_text(encoding="utf-8")
    caption = applications.CAPTIONS["titanium"]
    block = f"![{caption}](applications-titanium.svg)\n\n| 1\\2 |\n"
    assert f"<!-- begin titanium -->\n\n{block}\n<!-- end titanium -->" in found
    assert found.partition("## Titanium")[0] == page.partition("## Titanium")[0]
    assert (tmp_path / "applications-titanium.svg").read_text(encoding="utf-8") == "<svg/>"
    with pytest.raises(SystemExit, match="give NAME=FOLDER, of volumes, titanium"):
        applications.main(["titanum=run"], tmp_path)
    for name, (_, picture) in applications.FILES.items():
        applications.filled(page, name, "")
        assert (picture is None) != (name in applications.CAPTIONS)


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
