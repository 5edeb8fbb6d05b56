"""The reports of workflows: one function each, named as the workflow, within one frame."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

import torch_gptff.cli
from torch_gptff.record import Record
from torch_gptff.report import Column, Named
from torch_gptff.workflows import reports
from torch_gptff.workflows.drawing.words import group_symbol
from torch_gptff.workflows.reports.frame import MOST_SECTIONS, RecordsReport

COMMANDS = {path.stem for path in Path(torch_gptff.cli.__file__).parent.glob("*.py")}
WORKFLOWS = sorted(COMMANDS & {path.stem for path in Path(reports.__file__).parent.glob("*.py")} - {"__init__"})


@dataclass(frozen=True)
class Size(Record):
    columns: ClassVar[tuple[Column, ...]] = (Column("size", "Å", 1, lambda size: size.size),)

    size: float


def page(records: list[tuple[str, Size]]) -> str:
    report = RecordsReport("Sizes", records, "Measured.").overview("By hand.")
    report.remarks(lambda size: ["rather large"] if size.size > 9 else [])
    return report.sections(lambda page, label, size: page.text(f"{label} is {size.size} long")).to_html()


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_report_has_the_name_of_its_workflow(workflow: str) -> None:
    module = import_module(f"{reports.__name__}.{workflow}")
    functions = {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_") and name in vars(module)
    }
    assert list(functions) == [f"{workflow}_report"]
    about = inspect.signature(functions[f"{workflow}_report"]).parameters["about"]
    assert about.default == ""


def test_every_workflow_is_among_them() -> None:
    expected = {"relax", "elastic", "phonons", "eos", "eos_benchmark", "vacancy", "md", "diffusion"}
    expected |= {"qha", "kappa", "surface", "neb", "rank"}
    assert expected <= set(WORKFLOWS)


def test_an_empty_report_says_that_there_is_no_result() -> None:
    html = page([])
    assert "There is no result." in html
    assert "<table" not in html


def test_records_have_an_overview_remarks_and_sections() -> None:
    html = page([("mouse", Size(0.5)), ("whale", Size(30.0))])
    assert "There is no result." not in html
    assert "size" in html
    assert "Å" in html
    assert "By hand." in html
    assert "whale: rather large." in html
    assert "mouse: rather" not in html
    assert "mouse is 0.5 long" in html
    assert "whale is 30.0 long" in html


def test_records_without_a_section_are_counted() -> None:
    many = [(f"size {k}", Size(float(k))) for k in range(MOST_SECTIONS + 3)]
    html = page(many)
    assert f"The first {MOST_SECTIONS} of {MOST_SECTIONS + 3} have a section" in html
    assert f"size {MOST_SECTIONS - 1} is" in html
    assert f"size {MOST_SECTIONS} is" not in html


def test_a_path_is_shown_by_its_name() -> None:
    sizes = {"/far/away/mouse.traj": Size(0.5), "ant": Size(0.1)}
    labels = [label for label, _ in RecordsReport("Sizes", sizes).labelled]
    assert labels == ["mouse.traj", "ant"]
    assert isinstance(labels[0], Named)
    assert labels[0].full == "/far/away/mouse.traj"
    same = {"/one/run.traj": Size(1.0), "/two/run.traj": Size(2.0)}
    assert [label for label, _ in RecordsReport("Sizes", same).labelled] == list(same)


def test_space_groups_have_subscripts() -> None:
    assert group_symbol("P4_2/mnm (136)") == "P4₂/mnm (136)"
    assert group_symbol("Fd-3m (227)") == "Fd-3m (227)"


def test_a_dictionary_of_records_is_taken_too() -> None:
    assert RecordsReport("Sizes", {"mouse": Size(0.5)}).labelled == [("mouse", Size(0.5))]
