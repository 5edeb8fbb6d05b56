"""The benchmark of datasets runs, on a few frames, without a timing being judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lmdb")
FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are part of the repository only")
def test_every_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    benchmark = import_module("datasets")

    def here(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        return function(*arguments)

    monkeypatch.setattr(benchmark, "apart", here)
    written, drawn = tmp_path / "rows.json", tmp_path / "figure.png"
    options = ["--frames", "70", "--graph-frames", "20", "--workers", "0", "--folder", str(tmp_path)]
    benchmark.main([*options, "--json", str(written), "--plot", str(drawn)])
    rows = {(row["what"], row["frames"]): row for row in json.loads(written.read_text())}
    assert len(rows) == 8
    assert rows["read in order", 70]["atoms"] == rows["read at random", 70]["atoms"] > 70
    assert rows["graph built, 0 workers", 20]["atoms"] == rows["graph stored, 0 workers", 20]["atoms"]
    assert rows["store with graphs", 20]["bytes"] > rows["store", 20]["bytes"] > 20 * 100
    assert drawn.stat().st_size > 0
