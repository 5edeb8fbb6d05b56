"""The report of a run: everything that the run wrote down and its evaluation found, on one page."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from html_page import assert_self_contained

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.errors import ConfigError, TrainingError
from torch_gptff.evaluation import Compared, Evaluation
from torch_gptff.evaluation.model_card import add_model_card
from torch_gptff.evaluation.report import add_evaluation, add_headline
from torch_gptff.report import Report, written
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.files import COLUMNS
from torch_gptff.training.report import write_training_report
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

REQUIRED = COLUMNS[:-1]
"""Without the times, which runs of other programs may lack."""


def made_up(n_frames: int = 20, numbers: tuple[int, ...] = (8, 13, 26), sources: int = 2) -> Evaluation:
    """An evaluation of made-up values, three atoms a frame."""
    rng = np.random.default_rng(0)
    frame, n_atoms = np.arange(n_frames), np.full(n_frames, 3)

    def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        known = rng.normal(size=shape)
        return known, known + rng.normal(0.02, 0.1, size=shape)

    return Evaluation(
        frame_id=tuple(f"<frame-{n}>" for n in range(n_frames)),
        source=tuple(f"source {n % sources} & more" for n in range(n_frames)),
        material=("AlFeO",) * n_frames,
        n_atoms=n_atoms,
        numbers=rng.choice(numbers, 3 * n_frames),
        energy_per_atom=Compared(*pair(n_frames), frame),
        forces=Compared(*pair(3 * n_frames, 3), frame.repeat(n_atoms)),
        stress=Compared(*pair(n_frames, 3, 3), frame),
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder as a run of five epochs leaves it, whose validation knew no stress."""
    folder = tmp_path / "run <1>"
    folder.mkdir()
    (folder / "config.yaml").write_text(TrainingConfig(monitor="forces").to_yaml(), encoding="utf-8")
    rows = [
        [n, 10 * n + 10, 1e-3, 1 / (n + 1), 2 / (n + 1), 0.01, [0.5, 0.3, 0.125, 0.2, 0.4][n], "nan", 7200]
        for n in range(5)
    ]
    write(folder, rows)
    return folder


def write(folder: Path, rows: list[list[object]], columns: tuple[str, ...] = COLUMNS) -> None:
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])


def test_a_run_is_reported(run: Path) -> None:
    evaluation = made_up()
    path = write_training_report(run, evaluation, "validation")
    assert path == run / "report.html"
    html = path.read_text(encoding="utf-8")
    page = assert_self_contained(html)
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert facts["epochs"] == "5"
    assert facts["steps"] == "50"
    assert facts["best epoch"] == "2"
    assert facts["validation MAE of forces then, meV/Å"] == "125.0"
    assert facts["validation MAE of stress then, GPa"] == "–"
    assert facts["hours"] == "10.00"
    assert "torch_gptff" in facts
    assert page.text["h1"] == ["Training run run <1>"]
    assert "epoch 2" in page.text["p"][0]
    assert TrainingConfig.from_dict({"monitor": "forces"}).to_yaml() in page.text["pre"]
    captions = page.text["figcaption"]
    assert "Loss." in captions
    assert "Mean absolute error of forces, validation." in captions
    assert "Mean absolute error of stress, validation." not in captions
    assert any("by which its best epoch was" in text for text in page.text["p"])


def test_a_run_without_held_out_frames_is_reported(run: Path) -> None:
    rows = [[n, n, 1e-3, 1 / (n + 1), "nan", "nan", "nan", "", 1.5] for n in range(3)]
    write(run, rows)
    page = assert_self_contained(write_training_report(run).read_text(encoding="utf-8"))
    assert page.text["figcaption"] == ["Loss.", "Learning rate."]
    assert "best epoch" not in [row[0] for row in page.rows]


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        (REQUIRED, [], "holds no epoch"),
        (REQUIRED[1:], [[1] * 7], "has no column epoch"),
        (REQUIRED, [[1] * 7 + ["x"]], "could not convert"),
        (REQUIRED, [[1] * 3], "was it altered, or cut short"),
    ],
)
def test_damaged_metrics_are_refused(run: Path, columns: tuple[str, ...], rows: list[list[object]], said: str) -> None:
    write(run, rows, columns)
    with pytest.raises(TrainingError, match=said):
        write_training_report(run)
    assert not (run / "report.html").exists()


def test_a_folder_of_something_else_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a training run writes one line into it"):
        write_training_report(tmp_path)
    (run / "config.yaml").write_text("epoch: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        write_training_report(run)


def evaluation_page(evaluation: Evaluation):
    report = Report("Evaluation")
    add_headline(report, evaluation)
    add_evaluation(report, evaluation)
    return assert_self_contained(report.to_html())


def test_the_numbers_are_those_of_the_evaluation() -> None:
    evaluation = made_up().with_element_shifts()
    page = evaluation_page(evaluation)
    rows = {row[0]: row for row in page.rows if len(row) == 8 and row[0]}
    for name, each, label, factor in (
        ("energy", evaluation, "energy_per_atom", 1e3),
        ("aligned energy", evaluation.aligned, "energy_per_atom", 1e3),
        ("forces", evaluation, "forces", 1e3),
        ("stress", evaluation, "stress", GPA_PER_EV_PER_ANGSTROM3),
    ):
        row = rows[name]
        assert row[1] == written(each.counts[label])
        assert row[2] == written(getattr(each.mae, label) * factor)
        assert float(row[4].replace(",", "")) == pytest.approx(getattr(each.rmse, label) * factor, rel=1e-3)
        assert row[7] == f"{getattr(each.r2, label):.4f}"
    assert rows["energy"][6] == "meV/atom"
    worst = evaluation.worst("force", 1)[0]
    assert worst.frame_id in [row[0] for row in page.rows], "and escaped on the page"
    shown = {row[0]: row for row in page.rows if len(row) == 9}
    assert float(shown["Fe"][5]) == pytest.approx(evaluation.by_element()[26].mae.forces * 1e3, rel=1e-3)
    assert shown["source 1 & more"][1] == "10"
    assert "Mean absolute error of forces by source." in page.text["figcaption"]


def test_many_elements_make_a_periodic_table_and_many_sources_no_plot() -> None:
    page = evaluation_page(made_up(60, tuple(range(1, 90)), sources=60))
    assert "Mean absolute error of forces by element." in page.text["figcaption"]
    assert "By source" not in page.text["h2"]
    symbols = [text.strip() for text in page.text["text"]]
    assert {"H", "Og", "Lr"} <= set(symbols)


def test_a_model_card_says_what_the_checkpoint_says() -> None:
    potential = Potential(GPTFF(GPTFFConfig(channels=8, num_layers=1, num_radial=4)))
    potential.provenance = {
        "trained_on": [{"source": "a <b>", "licence": "MIT"}, {"source": "c", "frames": 3}],
        "frames": {"train": 90, "test": 10},
        "training": {"weights": list(range(200))},
        "limits": ["No magnetism.", "Many words. " * 99],
    }
    report = Report("Model card")
    add_model_card(report, potential)
    page = assert_self_contained(report.to_html())
    assert ["source", "licence", "frames"] in page.rows
    assert ["a <b>", "MIT", "–"] in page.rows
    assert ["train", "90"] in page.rows
    assert ["extensive", "yes"] in page.rows
    assert "No magnetism." in page.text["p"]
    assert not any("not extensive" in text for text in page.text["p"])
    assert page.text["summary"] == ["Training", "Configuration of the model"]


def test_a_model_card_names_the_limits_that_the_model_declares() -> None:
    report = Report("Model card")
    add_model_card(report, Potential(GPTFF(GPTFFConfig.v1())))
    page = assert_self_contained(report.to_html())
    said = " ".join(page.text["p"])
    for limit in ("not extensive", "jump where a neighbour crosses a cutoff (5 Å for bonds)", "not a sum over atoms"):
        assert limit in said
    assert "The checkpoint does not say where its weights come from." in said
