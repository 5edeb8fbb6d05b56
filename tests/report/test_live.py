"""What makes pages lively: data of structures and figures within them, and no way out of a script for a text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from html_page import assert_self_contained
from matplotlib.patches import Circle

import torch_gptff.report as report_package
from torch_gptff.report import Named, Report
from torch_gptff.report.interactive import name_points, plotly_figure
from torch_gptff.report.labels import label_points
from torch_gptff.report.live import json_script
from torch_gptff.report.plots import bars, heat_map, histogram, lines, parity, periodic_table
from torch_gptff.report.structures import MOST_ATOMS, MOST_FRAMES, orientation, picture, scene, thin
from torch_gptff.report.style import new_figure, new_panels

ASSETS = Path(report_package.__file__).parent / "assets"
HOSTILE = "</script><script>alert(1)</script><b>&\"'"


def data_of(html: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def test_a_structure_is_on_the_page_with_a_still_picture() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    html = Report("Salt").structure(salt, "Rock salt.").to_html()
    assert_self_contained(html)
    (data,) = data_of(html)
    assert data["symbols"] == salt.get_chemical_symbols()
    np.testing.assert_allclose(data["frames"][0]["cell"], salt.cell.array)
    np.testing.assert_allclose(data["frames"][0]["positions"], salt.positions, atol=1e-3)
    assert html.count('id="library-3dmol"') == 1
    assert 'id="library-plotly"' not in html
    still = html[html.index('<div class="still">') : html.index("<figcaption>")]
    assert "<svg" in still
    assert re.findall(r"</span>(\w+)</li>", html) == ["Na", "Cl"]


def test_a_library_is_on_a_page_once_and_only_where_it_is_needed() -> None:
    page = Report("many")
    for _ in range(3):
        page.structure(bulk("Cu"), "Copper.").figure(lines([0, 1], {"a": [0.0, 1.0]}, "x", "y"), "A line.")
    html = page.to_html()
    assert html.count('id="library-3dmol"') == html.count('id="library-plotly"') == 1
    assert "<script" not in Report("none").text("text").to_html()


def test_atoms_on_faces_are_drawn_on_the_faces_opposite() -> None:
    images = scene(thin([bulk("NaCl", "rocksalt", a=5.6, cubic=True)], [0], ""))["images"]
    shown = 8 + len(images)
    assert shown == 27  # corners, edges, faces and the centre of the cube
    assert scene(thin([molecule("H2O")], [0], ""))["images"] == []


def test_a_trajectory_is_thinned_and_says_so() -> None:
    frames = [bulk("Cu") for _ in range(3 * MOST_FRAMES)]
    trajectory = thin(frames, list(range(len(frames))), "time (ps)")
    assert len(trajectory.frames) == MOST_FRAMES
    assert (trajectory.along[0], trajectory.along[-1]) == (0, len(frames) - 1)
    html = Report("Run").trajectory(trajectory, "A run.").to_html()
    assert f"{MOST_FRAMES} of {len(frames)} frames are shown, evenly spaced." in html
    assert len(unpacked(data_of(html)[0]["packed"])) == MOST_FRAMES
    assert thin(frames[:5], [0, 1, 2, 3, 4], "step").thinned == ""


def test_an_atom_that_leaves_the_cell_comes_back_at_the_other_end() -> None:
    frames = [Atoms("He", [[x, 1, 1]], cell=[4, 4, 4], pbc=True) for x in np.linspace(2, 8, 25)]
    places = [frame["positions"][0][0] for frame in unpacked(scene(thin(frames, list(range(25)), "step"))["packed"])]
    assert min(places) >= -0.21 * 4
    assert max(places) <= 1.21 * 4
    jumps = np.abs(np.diff(places))
    assert ((jumps < 0.3) | (np.abs(jumps - 3.75) < 0.01)).all()


def test_what_is_too_large_is_told_and_not_shown() -> None:
    html = Report("Large").structure(Atoms(f"He{MOST_ATOMS + 1}"), "Many.").to_html()
    assert f"has {MOST_ATOMS + 1:,} atoms, and is not shown" in html
    assert "<script" not in html


def test_a_figure_that_follows_a_trajectory_names_it() -> None:
    frames = thin([bulk("Cu"), bulk("Cu")], [0, 1], "step")
    html = Report("Run").trajectory(frames, "Run.", lines([0, 1], {"E": [1, 0]}, "step", "E"), "Energy.").to_html()
    (followed,) = re.findall(r'data-follows="([^"]*)"', html)
    assert f'class="viewer" id="{followed}"' in html


def test_a_still_picture_has_atoms_on_all_faces() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    for atoms, n_drawn in ((bulk("Cu"), 8), (salt, 27), (salt * (6, 6, 6), 8 * 216), (molecule("CH4"), 5)):
        circles = [each for each in picture(atoms).axes[0].patches if isinstance(each, Circle)]
        assert len(circles) == n_drawn


def test_c_points_up_in_a_picture() -> None:
    view = orientation(bulk("Ti", "hcp", a=2.95, c=4.68))
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1)
    x, y, _ = view @ [0, 0, 4.68]
    assert abs(x) < 1e-9
    assert y > 4


@pytest.mark.parametrize("text", [HOSTILE, "<!--", "]]>", "\u2028"])
def test_no_text_ends_a_script(text: str) -> None:
    markup = json_script({"name": text})
    assert markup.count("<") == 2
    assert data_of(markup) == [{"name": text}]


def test_hostile_names_are_text_everywhere() -> None:
    figure, axes = new_figure()
    (line,) = axes.plot([0, 1], [0, 1], label=HOSTILE)
    name_points(line, [HOSTILE, HOSTILE])
    axes.set_xlabel(HOSTILE)
    axes.legend()
    page = Report(HOSTILE, HOSTILE).heading(Named(HOSTILE, HOSTILE)).figure(figure, HOSTILE)
    html = page.structure(bulk("Cu"), HOSTILE).table([HOSTILE], [[Named(HOSTILE, HOSTILE)]]).to_html()
    assert_self_contained(html)
    assert "<script>alert" not in html
    plot = data_of(html)[0]
    assert plot["layout"]["xaxis"]["title"]["text"].startswith("&lt;/script&gt;")
    assert plot["data"][0]["name"].startswith("&lt;/script&gt;")
    assert plot["data"][0]["text"][0].startswith("&lt;/script&gt;")


def test_libraries_are_those_that_are_named_with_their_licences() -> None:
    for asset in json.loads((ASSETS / "assets.json").read_text()):
        assert re.fullmatch(r"\d+\.\d+\.\d+", asset["version"])
        assert asset["integrity"].startswith("sha512-")
        for name, digest in asset["sha256"].items():
            assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name
        assert set(asset["sha256"]) == set(asset["files"])
        assert any("LICENSE" in name for name in asset["files"])


def test_lines_bands_and_marks_become_what_they_are() -> None:
    figure = lines([1, 2, 4], {"a": [1.0, 2.0, 3.0], "b": [2.0, np.nan, 1.0]}, "T", "D", errors={"a": [0.1] * 3})
    figure.axes[0].axvline(2, color="black")
    plot = plotly_figure(figure)
    assert plot is not None
    named = {trace.get("name"): trace for trace in plot["data"]}
    assert (named["a"]["x"], named["a"]["y"]) == ([1, 2, 4], [1, 2, 3])
    assert named["b"]["x"] == [1, 4]
    assert named[None]["fill"] == "toself"
    (mark,) = plot["layout"]["shapes"]
    assert (mark["x0"], mark["x1"], mark["yref"]) == (2, 2, "y domain")


def test_axes_side_by_side_share_their_scale_and_logarithms_stay() -> None:
    figure, (left, right) = new_panels(6, 3, (3, 1))
    left.plot([0, 1], [1, 2])
    right.plot([1, 10], [1, 2])
    right.set_xscale("log")
    plot = plotly_figure(figure)
    assert plot is not None
    layout = plot["layout"]
    assert layout["yaxis2"]["matches"] == "y"
    assert layout["xaxis"]["domain"][1] < layout["xaxis2"]["domain"][0]
    assert layout["xaxis2"]["type"] == "log"
    assert plot["data"][1]["xaxis"] == "x2"


def test_bars_maps_and_points_keep_their_values() -> None:
    plot = plotly_figure(bars({"Cu": 1.0, "Au": 2.0}, "MAE", "eV"))
    assert plot is not None
    assert plot["data"][0]["y"] == [1, 2]
    assert plot["layout"]["xaxis"]["ticktext"] == ["Cu", "Au"]
    plot = plotly_figure(heat_map(np.arange(6).reshape(2, 3), [0, 1, 2], [10, 20], "x", "y", "z"))
    assert plot is not None
    assert plot["data"][0]["z"] == [[0, 1, 2], [3, 4, 5]]
    assert plot["data"][0]["y"] == [10, 20]
    plot = plotly_figure(histogram(np.linspace(0, 1, 50), "error", bins=5))
    assert plot is not None
    assert sum(plot["data"][0]["y"]) == 50
    plot = plotly_figure(parity([1.0, 2.0], [1.5, 2.5], "E", "eV"))
    assert plot is not None
    assert any(trace["x"] == [1, 2] and trace["y"] == [1.5, 2.5] for trace in plot["data"])


def test_what_is_unknown_stays_a_picture() -> None:
    assert plotly_figure(periodic_table({3: 0.5}, "MAE")) is None
    html = Report("Table").figure(periodic_table({3: 0.5}, "MAE"), "By element.").to_html()
    assert "<svg" in html
    assert "<script" not in html


def test_words_beside_points_do_not_overlap() -> None:
    figure, axes = new_figure()
    points = [(0.5 + 0.01 * k, 0.5) for k in range(6)]
    axes.plot(*np.transpose(points), "o")
    assert label_points(axes, points, [f"Ni{k}TiAl" for k in range(6)]) < 3
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 3
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])


def test_words_beside_points_lie_on_no_line() -> None:
    figure, axes = new_figure()
    points = [(0.0, 0.0), (0.5, -1.0), (1.0, 0.0)]
    lines = [(points[0], points[1]), (points[1], points[2])]
    axes.plot(*np.transpose(points), "o-")
    axes.margins(0.2)
    assert label_points(axes, points, ["Al", "AlNi", "Ni"], lines=lines) == 0
    figure.draw_without_rendering()
    for text in axes.texts:
        box = text.get_window_extent()
        for ends in axes.transData.transform(np.reshape(lines, (-1, 2))).reshape(-1, 2, 2):
            assert not any(box.contains(*place) for place in np.linspace(*ends, 100))


def test_a_mark_keeps_its_name() -> None:
    figure = lines([1, 10], {"C": [1.0, 30.0]}, "T", "C", log_y=True)
    figure.axes[0].axhline(10.0, label="3R")
    figure.axes[0].axvline(5.0, label="best")
    figure.axes[0].axvline(6.0)
    plot = plotly_figure(figure)
    assert plot is not None
    level, upright = plot["layout"]["annotations"]
    assert (level["text"], level["y"]) == ("3R", 1.0)  # words lie at the logarithm
    assert (upright["text"], upright["x"]) == ("best", 5.0)


def test_in_a_browser(tmp_path: Path) -> None:
    """Pages play, measure and zoom, and without JavaScript the pictures are there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are tried in a browser with playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium to try pages in")
    frames = thin([bulk("NaCl", "rocksalt", a=5.6 + 0.01 * k, cubic=True) for k in range(5)], list(range(5)), "step")
    curve = lines(range(5), {"E": [4.0, 3.0, 2.0, 1.0, 0.5]}, "step", "energy")
    Report("Run").trajectory(frames, "Run.", curve, "Energy.").save(tmp_path / "page.html")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked, problems = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector("figure.viewer.live input[type=range]", timeout=60_000)
        page.wait_for_selector("figure.plot.live .main-svg", timeout=60_000)
        page.evaluate("document.querySelector('figure.viewer').viewer.show(3)")
        assert page.inner_text(".where") == "step 3"
        mark = "document.querySelector('figure.plot .interactive').layout.shapes.at(-1).x0"
        page.wait_for_function(f"{mark} === 3")
        viewer = "document.querySelector('figure.viewer').viewer"
        page.evaluate(f"{viewer}.show(0); {viewer}.pick({{index: 0}}); {viewer}.pick({{index: 1}})")
        assert page.inner_text("output") == "Na 1 – Cl 2: 2.80 Å"
        spilled = """[...document.querySelectorAll("figure.plot.live")].filter((figure) =>
            figure.querySelector(".main-svg").getBoundingClientRect().width > figure.clientWidth + 1).length"""
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for _ in range(100):  # the policy of the page forbids to wait for an expression
                page.wait_for_timeout(100)
                if page.evaluate(spilled) == 0:
                    break
            assert page.evaluate(spilled) == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        with page.expect_download() as download:
            page.click("text=CSV")
        table = Path(download.value.path()).read_text(encoding="utf-8")
        assert table.splitlines()[:2] == ["series,step,energy", "E,0,4"]
        assert not problems
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
        still = browser.new_context(java_script_enabled=False).new_page()
        still.goto((tmp_path / "page.html").as_uri())
        assert still.locator(".still svg:visible").count() == 2
        browser.close()
