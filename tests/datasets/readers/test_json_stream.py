"""JSON read one item at a time."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torch_gptff.datasets.readers import json_stream
from torch_gptff.datasets.readers.json_stream import stream_items
from torch_gptff.errors import UnreadableDataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ITEMS = VALUES.filter(lambda value: isinstance(value, list | dict | str | None))


@pytest.fixture(scope="module")
def stream_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ITEMS, max_size=5) | st.dictionaries(st.text(), ITEMS, max_size=5),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_it_reads_what_json_reads_whatever_is_read_at_once(
    stream_folder: Path, content: Any, chunk: int, indent: int | None
) -> None:
    path = stream_folder / "content.json"
    path.write_text(json.dumps(content, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        items = list(stream_items(path))
    assert items == list(content.items() if isinstance(content, dict) else enumerate(content))


def test_compressed_files_and_nan(tmp_path: Path) -> None:
    path = tmp_path / "content.json.gz"
    with gzip.open(path, "wt") as file:
        file.write('[{"energy": NaN}, {"energy": -Infinity}]')
    (_, first), (_, second) = stream_items(path)
    assert math.isnan(first["energy"])
    assert second["energy"] == -math.inf


@pytest.mark.parametrize(
    ("text", "n_items"),
    [
        ("", 0),
        ("   ", 0),
        ('"text"', 0),
        ("[", 0),
        ('[{"a": 1}, {"b": 2', 1),
        ('[{"a": 1} {"b": 2}]', 1),
        ('{"a": [1], "b": [2}', 1),
        ('{"a" [1]}', 0),
        ("[[], 12]", 1),
    ],
)
def test_truncated_or_broken_files_say_how_far_they_were_read(tmp_path: Path, text: str, n_items: int) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    read = []
    with pytest.raises(UnreadableDataError, match=rf"broken.json: not JSON, or truncated, after {n_items} items"):
        read.extend(stream_items(path))


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = tmp_path / "content.json.gz"
    content = gzip.compress(json.dumps([{"x": list(range(1000))}] * 50).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableDataError, match=r"truncated"):
        list(stream_items(path))
