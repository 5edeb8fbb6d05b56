"""Journals: what was written is there after a kill, and no run takes up the results of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import bulk

from torch_gptff.errors import JournalError
from torch_gptff.io.journal import Journal, key_of

SETTINGS = {"model": "one", "range": (0.9, 1.1)}


def test_results_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.part"
    first = Journal(path, SETTINGS)
    first.add("a", {"energy": 1 / 3, "name": "α"})
    first.add("b", {"energy": 2.0})
    again = Journal(path, SETTINGS)
    assert len(again) == 2
    assert again["a"] == {"energy": 1 / 3, "name": "α"}
    assert "c" not in again
    again.remove()
    assert not path.exists()


def test_a_line_cut_off_anywhere_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "run.part"
    journal = Journal(path, SETTINGS)
    before = path.stat().st_size
    journal.add("a", {"energy": 1.0})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        again = Journal(path, SETTINGS)
        assert len(again) == 0
        again.add("b", {"energy": 2.0})
        assert Journal(path, SETTINGS)["b"] == {"energy": 2.0}
    assert before < len(whole)


def test_other_settings_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.part"
    Journal(path, SETTINGS)
    with pytest.raises(JournalError, match="other settings"):
        Journal(path, {**SETTINGS, "model": "two"})
    for text in ("no journal\n", "no journal, and no end of a line"):
        path.write_text(text)
        with pytest.raises(JournalError, match="not the file of an unfinished run"):
            Journal(path, SETTINGS)
        assert path.read_text() == text


def test_without_a_file_results_are_kept_in_memory() -> None:
    journal = Journal(None, SETTINGS)
    journal.add("a", {"energy": 1.0})
    assert journal["a"] == {"energy": 1.0}
    journal.remove()


def test_a_key_belongs_to_one_structure() -> None:
    copper = bulk("Cu")
    moved = copper.copy()
    moved.cell[0, 1] += 1e-9
    assert key_of("x", copper) == key_of("x", copper.copy())
    assert len({key_of("x", copper), key_of("y", copper), key_of("x", moved)}) == 3
