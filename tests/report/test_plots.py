"""Plots: what they draw is what they were given."""

from __future__ import annotations

import numpy as np
import pytest
from ase.data import chemical_symbols

from torch_gptff.report.periodic_table import place
from torch_gptff.report.plots import bars, heat_map, histogram, learning_curves, lines, parity, periodic_table


def texts(axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


@pytest.mark.parametrize("number", [50, 500, 5000])
def test_parity_says_the_errors_of_what_is_known(number: int) -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(number, 3))
    predicted = known + 0.25
    known[0] = np.nan
    figure = parity(known, predicted, "force", "eV/Å")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert texts(axes) == f"MAE 0.2500 eV/Å\nRMSE 0.2500 eV/Å\n{3 * number - 3:,} values"
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlabel() == "force, known (eV/Å)"
    points = axes.collections[0]
    drawn = points.get_array().sum() if number == 5000 else len(points.get_offsets())
    assert drawn == 3 * number - 3


def test_plots_of_nothing_and_of_one_value_draw() -> None:
    for figure in (
        parity([], [], "energy", "eV"),
        parity([1.0], [1.0], "energy", "eV"),
        histogram([], "error", "eV"),
        histogram([0.5], "error", "eV"),
        histogram([1.0, 1.0 + 2**-52], "error", "eV"),
        learning_curves([0], {"loss": [0.5]}, "loss"),
        learning_curves([0, 1], {"loss": [np.nan, np.nan]}, "loss"),
        periodic_table({}, "MAE"),
        periodic_table({3: 0.0}, "MAE"),
        periodic_table({3: 1.0, 4: 1.0}, "MAE"),
        heat_map([[1.0]], [0.0], [0.0], "x", "y", "z"),
    ):
        figure.draw_without_rendering()


def test_a_map_of_lengths_is_drawn_to_scale() -> None:
    figure = heat_map(np.eye(3), [0.0, 1.0, 2.0], [0.0, 8.0, 16.0], "x", "y", "z", isotropic=True)
    figure.draw_without_rendering()
    box = figure.axes[0].get_window_extent()
    assert box.height == pytest.approx(8 * box.width)


def test_learning_curves_are_logarithmic_and_mark_the_best_epoch() -> None:
    figure = learning_curves([0, 1, 2], {"train": [1, 0.1, 0.01], "val": [1, np.nan, 0.1]}, "MAE", "eV", best=2)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    train, validation, best = axes.get_lines()
    np.testing.assert_array_equal(train.get_ydata(), [1, 0.1, 0.01])
    np.testing.assert_array_equal(validation.get_xdata(), [0, 2])
    assert set(best.get_xdata()) == {2}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "val", "best, epoch 2"]


def test_lines_with_bands() -> None:
    figure = lines([1, 2], {"a": [1.0, 2.0]}, "T", "D", x_unit="K", errors={"a": [0.5, 0.25]}, log_x=True, log_y=True)
    (axes,) = figure.axes
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0.5
    assert band[:, 1].max() == 2.25
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("T (K)", "D")
    assert axes.get_legend() is None


def test_bars_stand_for_elements_and_lie_for_long_names() -> None:
    (axes,) = bars({"Cu": 0.25, "Au": None}, "MAE", "eV").axes
    assert axes.patches[0].get_height() == 0.25
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Cu", "Au"]
    (axes,) = bars({"mlearn": 0.25, "acwf": 0.5}, "MAE", "eV", errors={"acwf": 0.1}).axes
    assert [patch.get_width() for patch in axes.patches] == [0.25, 0.5]
    assert axes.yaxis.get_inverted(), "the first is on top"


def test_a_histogram_says_what_it_leaves_out() -> None:
    values = np.concatenate([np.linspace(-1, 1, 996), [50, 60, -70, 80]])
    (axes,) = histogram(values, "error", "eV").axes
    shown = sum(patch.get_height() for patch in axes.patches)
    beyond = 1000 - shown
    assert texts(axes) == f"{beyond / 10:.2g} % beyond"
    assert beyond >= 4
    (axes,) = histogram(values[:996], "error", "eV").axes
    assert sum(patch.get_height() for patch in axes.patches) == 996
    assert texts(axes) == ""


def test_heat_map_cells_lie_about_their_values() -> None:
    figure = heat_map(np.arange(6).reshape(2, 3), [0, 1, 2], [10, 20], "x", "y", "z")
    axes = figure.axes[0]
    assert axes.get_xlim() == (-0.5, 2.5)
    assert axes.get_ylim() == (5, 25)


def test_every_element_has_a_place_of_its_own() -> None:
    places = {number: place(number) for number in range(1, 119)}
    assert len(set(places.values())) == 118
    columns = {"He": 18, "B": 13, "Ne": 18, "Mg": 2, "Ar": 18, "Sc": 3, "Zn": 12, "Ga": 13, "Ba": 2, "Hf": 4, "Rn": 18}
    for symbol, column in columns.items():
        assert places[chemical_symbols.index(symbol)][1] == column
    assert places[57] == (8.3, 3)
    assert places[103] == (9.3, 17)
    assert places[104] == (7, 4)


def test_the_periodic_table_colors_what_is_known() -> None:
    figure = periodic_table({3: 0.01, 8: 1.0, 26: None}, "MAE", "eV/Å")
    axes = figure.axes[0]
    filled = [patch for patch in axes.patches if patch.get_facecolor()[3] > 0]
    assert len(axes.patches) == 118
    assert len(filled) == 2
    written = [text.get_text() for text in axes.texts]
    assert len(written) == 120
    assert {"0.01", "1"} <= set(written)
