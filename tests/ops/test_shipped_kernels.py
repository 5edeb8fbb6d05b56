"""Kernels of a wheel are loaded as they were compiled, from the sources that are there, or not at all."""

from __future__ import annotations

import ctypes
import json
import shutil
from pathlib import Path

import pytest
import torch

from torch_gptff.ops.native import build, shipped

SOURCE = """
extern "C" int answer() { return ANSWER; }
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One small library in the place of the kernels."""
    if shutil.which("c++") is None:
        pytest.skip("no compiler")
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "answer.cpp").write_text(SOURCE)
    monkeypatch.setattr(shipped, "KERNELS", [(folder, ("-DANSWER=42",))])
    return folder


@pytest.fixture
def compiled(sources: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "compiled"
    shipped.compile_all("c++", folder)
    return folder


def test_what_was_compiled_is_found_and_runs(sources: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_generation", lambda: "x86-64-v3")
    file = shipped.find(sources, ["-DANSWER=42"], compiled)
    assert file is not None
    assert ctypes.CDLL(str(file)).answer() == 42
    assert shipped.find(sources, ["-DANSWER=43"], compiled) is None
    assert len(json.loads((compiled / shipped.LIST).read_text())) == len(shipped.NEEDS)


def test_what_was_altered_or_is_of_other_sources_is_not_loaded(
    sources: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_generation", lambda: "x86-64-v3")
    file = shipped.find(sources, ["-DANSWER=42"], compiled)
    assert file is not None
    content = file.read_bytes()
    for wrong in (content[:-1], content + b"\0"):
        file.write_bytes(wrong)
        assert shipped.find(sources, ["-DANSWER=42"], compiled) is None
    file.write_bytes(content)
    assert shipped.find(sources, ["-DANSWER=42"], compiled) == file
    (sources / "answer.cpp").write_text(SOURCE + "\n")
    assert shipped.find(sources, ["-DANSWER=42"], compiled) is None


def test_nothing_is_found_for_another_processor_or_without_a_list(
    sources: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_generation", lambda: None)
    assert shipped.find(sources, ["-DANSWER=42"], compiled) is None
    monkeypatch.setattr(shipped, "_generation", lambda: "x86-64-v4")
    assert shipped.find(sources, ["-DANSWER=42"], compiled) is not None
    (compiled / shipped.LIST).unlink()
    assert shipped.find(sources, ["-DANSWER=42"], compiled) is None


def test_kernels_brought_along_need_no_compiler(
    tmp_path: Path, sources: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_generation", lambda: "x86-64-v3")
    file = shipped.find(sources, ["-DANSWER=42"], compiled)
    monkeypatch.setattr(shipped, "find", lambda *_: file)
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_GPTFF_NATIVE", raising=False)
    build.turning_library.cache_clear()
    try:
        found = build.turning_library(torch.float32, 2)
        assert found is not None
        assert found.answer() == 42
        monkeypatch.setenv("TORCH_GPTFF_NATIVE", "0")
        build.turning_library.cache_clear()
        assert build.turning_library(torch.float32, 2) is None
    finally:
        build.turning_library.cache_clear()
