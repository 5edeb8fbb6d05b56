"""Reports: one well-formed page that needs nothing beside it, with everything in it that was given."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from html_page import Page, assert_self_contained

from torch_gptff.report import Column, Report
from torch_gptff.report.plots import lines, new_figure


def curve():
    return lines([0, 1, 2], {"a": [1.0, 2.0, 3.0], "b": [1.0, 4.0, 9.0]}, "time", "energy", x_unit="ps", y_unit="eV")


def full_report() -> Report:
    return (
        Report("A <title> & more", "Said in a <b>sentence</b>.")
        .heading("First <i>")
        .text("One paragraph.\n\nAnother, with a < b.")
        .note("Beware of </p>.")
        .numbers({"forces": (0.07123, "eV/Å")})
        .heading("Second")
        .figure(curve(), 'Growth, "fast" & <steep>', "two curves")
        .figure(curve(), "The same again.")
        .heading("Third")
        .table([Column("source", ""), Column("MAE", "eV/Å")], [["a<b", 0.25], ["c", None]], "By source.")
        .facts({"cutoff": 5.0, "config": {"channels": 64, "name": "<x>"}, "empty": {}})
        .code("a: <1>\nb: 2", "Configuration")
    )


@pytest.fixture(scope="module")
def html() -> str:
    """The page of it."""
    return full_report().to_html()


def test_a_page_is_well_formed_and_complete(html: str) -> None:
    page = Page(html)
    assert page.text["h1"] == ["A <title> & more"]
    assert page.text["title"] == ["A <title> & more"]
    assert [text.strip() for text in page.text["p"] if text.strip()] == [
        "Said in a <b>sentence</b>.",
        "One paragraph.",
        "Another, with a < b.",
        "Beware of </p>.",
    ]
    assert page.text["pre"] == ["a: <1>\nb: 2"]
    assert 'Growth, "fast" & <steep>' in page.text["figcaption"]
    assert page.rows[:3] == [["source", "MAE eV/Å"], ["a<b", "0.2500"], ["c", "–"]]
    assert page.classes[1:3] == [["", "number"], ["", "number"]]
    assert page.rows[3:] == [["cutoff", "5.000"], ["config", ""], ["channels", "64"], ["name", "<x>"], ["empty", "–"]]


def test_ids_are_unique_and_every_reference_is_met(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    local = [link for link in page.links if not link.startswith("data:")]
    assert local, "the contents link to the headings"
    assert all(link.startswith("#") and link[1:] in page.ids for link in local)
    for name in re.findall(r"url\(#([^)]*)\)", html):
        assert name in page.ids


def test_a_caption_stands_below_what_scrolls(html: str) -> None:
    assert '<table aria-describedby="caption-1">' in html
    table, caption = html.index("</table>\n</div>"), html.index('id="caption-1">By source.')
    assert table < caption


def test_a_long_path_is_broken_and_a_number_is_not() -> None:
    html = Report("Facts").facts({"path": "/a/very/long/path/of/a/file.extxyz", "force": 1.06e-14}).to_html()
    assert '<td class="long">/a/very' in html
    assert "<td>1.06\u00a0×\u00a010⁻¹⁴</td>" in html


def test_nothing_is_fetched_and_no_script_runs(html: str) -> None:
    assert_self_contained(html)


def test_figures_take_the_colors_of_the_page(html: str) -> None:
    drawing = html[html.index("<svg") : html.index("</svg>")]
    assert "#000000" not in drawing
    assert "#ffffff" not in drawing
    assert "currentColor" in drawing
    assert 'role="img" aria-label="two curves"' in drawing


def test_a_crowded_figure_is_drawn_in_dots() -> None:
    figure, axes = new_figure()
    axes.scatter(range(30_000), range(30_000))
    html = Report("crowded").figure(figure, "many <points>").to_html()
    assert "<svg" not in html
    assert 'alt="many &lt;points&gt;"' in html
    assert len(html) < 500_000
    assert all(link.startswith("data:image/png;base64,") for link in Page(html).links)


def test_saving_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "report.html"
    report = full_report()
    report.save(path)
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    monkeypatch.setattr(report, "to_html", lambda: "\udc80")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
        report.save(path)
    assert path.read_text(encoding="utf-8") == before
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 2 values under 1 columns"):
        Report("title").table(["one"], [[1, 2]])


def test_contents_are_left_out_of_short_pages(html: str) -> None:
    assert "<nav" in html
    assert "<nav" not in Report("short").heading("one").heading("two").to_html()


def test_reports_and_plots_load_matplotlib_when_they_draw() -> None:
    code = """
import sys
from torch_gptff.report import Report, plots
Report("title").text("text").to_html()
print("matplotlib" in sys.modules)
Report("title").figure(plots.bars({"Cu": 1.0}, "energy", "eV"), "caption").to_html()
print("matplotlib.pyplot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
