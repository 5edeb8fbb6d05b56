"""Numbers as text: digits that mean something, the same ones down a column."""

from __future__ import annotations

import math

import pytest

from torch_gptff.report.tables import Column, Table, cells, common_decimals, number_of, typeset, written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (0.0, "0"),
        (-0.0, "0"),
        (5.0, "5.000"),
        (1234.5678, "1,235"),
        (0.0123456, "0.01235"),
        (-2.5e-7, "-2.50e-07"),
        (3e9, "3.00e+09"),
        (math.inf, "∞"),
        ("text", "text"),
        (["Li", 3, 0.5], "Li, 3, 0.5000"),
        ((), "–"),
    ],
)
def test_written(value: object, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1.83e-06", "1.83\u00a0×\u00a010⁻⁶"),
        ("< 2.2e-07", "< 2.2\u00a0×\u00a010⁻⁷"),
        ("1e+20", "1\u00a0×\u00a010²⁰"),
        ("0.29 ± 0.01", "0.29\u00a0±\u00a00.01"),
        ("2 × 2 × 2", "2\u00a0×\u00a02\u00a0×\u00a02"),
        ("3e5b", "3e5b"),
        ("sha 12e4", "sha 12e4"),
        ("-5.4", "-5.4"),
    ],
)
def test_powers_and_spreads_on_a_page(text: str, shown: str) -> None:
    assert typeset(text) == shown


def test_a_number_is_read_back_to_four_digits() -> None:
    for exponent in range(-12, 12):
        value = 3.14159 * 10**exponent
        assert float(written(value).replace(",", "")) == pytest.approx(value, rel=2e-3)


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert written(-0.0004, 2) == "0.00"


def test_a_column_has_one_number_of_decimals() -> None:
    assert common_decimals([0.308, 0.096, 0.104, None, math.nan, "x"]) == 4
    assert common_decimals([120.5, 98.2, 0.0003]) == 2
    assert common_decimals([1, 2, None]) is None
    body = cells([Column("name"), Column("MAE"), Column("n", decimals=1)], [["a", 0.308, 1.25], [None, None, 10.0]])
    assert [[cell.text for cell in row] for row in body] == [["a", "0.3080", "1.2"], ["–", "–", "10.0"]]
    assert [[cell.is_number for cell in row] for row in body] == [[False, True, True], [False, True, True]]


def test_one_thing_has_no_plural() -> None:
    assert number_of(1, "frames") == "1 frame"
    assert number_of(0, "atoms") == "0 atoms"
    assert number_of(2000, "validation frames") == "2,000 validation frames"


def test_a_column_of_nothing_is_aligned_as_its_unit_says() -> None:
    (row,) = cells([Column("relaxed", "J/m²"), Column("remark")], [[None, None]])
    assert [cell.is_number for cell in row] == [True, False]


def test_what_is_shown_otherwise_stays_as_it_is_in_files() -> None:
    table = Table([Column("group", shown=lambda text: text.replace("_2", "₂"))], [["P4_2/mnm"]])
    assert [[cell.text for cell in row] for row in table.cells()] == [["P4₂/mnm"]]
    assert table.to_csv() == "group\nP4_2/mnm\n"
