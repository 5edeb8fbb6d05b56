"""The native kernels are compiled once, kept, and done without where they cannot be made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from torch_gptff.errors import SlowKernelsWarning
from torch_gptff.ops import Inputs, angle_sum
from torch_gptff.ops.native import build, told


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder, and nothing loaded yet."""
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_GPTFF_NATIVE", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    build.library.cache_clear()
    told._tell.cache_clear()
    yield tmp_path / "cache"
    build.library.cache_clear()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command that is run, as it is run."""
    seen: list[list[str]] = []
    run = subprocess.run

    def spy(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        seen.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", spy)
    return seen


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of the compiler; its last argument is the file to make."""

    def install(script: str) -> None:
        path = tmp_path / "compiler"
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 1.0 && exit 0\nfor out; do :; done\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return install


def library() -> Any:
    return build.library(torch.float32, 32)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def assert_computes_without() -> None:
    """One angle whose gate is one half and whose bonds are at right angles: swish(1) / 2."""
    zeros, ones = torch.zeros(2, 32), torch.ones(2, 32)
    direction = torch.eye(3)[:2]
    bias = torch.cat([torch.ones(32), torch.zeros(32)])
    x = Inputs(zeros, zeros, ones, direction, torch.zeros(64, 32), bias, torch.ones(32), torch.ones(32))
    out = angle_sum(x, torch.tensor([[0], [1]]))
    expected = torch.zeros(2, 32)
    expected[0] = torch.nn.functional.silu(torch.tensor(1.0)) / 2
    torch.testing.assert_close(out, expected)


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert library() is None
    assert not files(cache)
    assert_computes_without()


def test_chosen_compiler_that_does_not_exist(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    assert library() is None
    assert not files(cache)
    assert_computes_without()


def test_failing_compiler_leaves_nothing_behind(cache: Path, compiler: Callable[[str], None]) -> None:
    compiler('echo half > "$out"; echo "error: no" >&2; exit 1')
    assert library() is None
    assert not files(cache)
    assert_computes_without()


def test_library_that_cannot_be_loaded_is_not_kept(cache: Path, compiler: Callable[[str], None]) -> None:
    compiler('echo "not a library" > "$out"')
    assert library() is None
    assert not files(cache)
    assert_computes_without()


def test_compiler_that_does_not_end(
    cache: Path, compiler: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler('echo half > "$out"; exec sleep 60')
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **options: run(command, **options | {"timeout": 0.3}))
    assert library() is None
    assert not files(cache)


def test_cache_folder_that_cannot_be_made(cache: Path) -> None:
    cache.write_text("a file stands in its place")
    assert library() is None
    assert_computes_without()


def test_switched_off(cache: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_GPTFF_NATIVE", "0")
    assert library() is None
    assert not commands
    assert not cache.exists()
    assert_computes_without()


def told_of(warned: pytest.WarningsRecorder) -> list[str]:
    return [str(each.message) for each in warned if each.category is SlowKernelsWarning]


def test_a_compile_that_fails_is_told_once(compiler: Callable[[str], None], recwarn: pytest.WarningsRecorder) -> None:
    compiler('echo "kernels.cpp:3: error: no vectors here" >&2; exit 1')
    for dtype in (torch.float32, torch.float64, torch.float32):
        assert build.library(dtype, 32) is None
        assert_computes_without()
    (line,) = told_of(recwarn)
    assert "ended with exit code 1: kernels.cpp:3: error: no vectors here" in line
    assert "3 to 4 times as long" in line
    assert "TORCH_GPTFF_NATIVE=0" in line


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setenv("PATH", "")
    assert library() is None
    (line,) = told_of(recwarn)
    assert "there is no C++ compiler" in line


def test_a_cache_that_cannot_be_written_is_told(cache: Path, recwarn: pytest.WarningsRecorder) -> None:
    cache.write_text("a file stands in its place")
    assert library() is None
    (line,) = told_of(recwarn)
    assert str(cache) in line


def test_doing_without_is_not_told(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setenv("TORCH_GPTFF_NATIVE", "0")
    assert library() is None
    assert build.library(torch.float32, 10) is None  # there are no kernels of this width
    assert not told_of(recwarn)


@pytest.mark.slow
def test_compiled_once(cache: Path, commands: list[list[str]]) -> None:
    if library() is None:
        pytest.skip("there is no C++ compiler that makes the native kernels")
    assert [command[-2] for command in commands if "--version" not in command] == ["-o"]
    (kept,) = files(cache)
    assert kept.suffix == ".so"
    assert library() is library()
    commands.clear()

    build.library.cache_clear()  # as in a new process
    assert library() is not None
    assert all("--version" in command for command in commands)
    assert files(cache) == [kept]


EVIL = """
#include <fstream>
__attribute__((constructor)) static void run() { std::ofstream("FILE"); }
"""


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A library that makes a file called ``ran`` when it is loaded."""
    source, made = tmp_path / "evil.cpp", tmp_path / "evil.so"
    source.write_text(EVIL.replace("FILE", str(tmp_path / "ran")))
    done = subprocess.run(["c++", "-shared", "-fPIC", source, "-o", made], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("there is no C++ compiler")
    return made


@pytest.fixture
def kept(cache: Path, compiler: Callable[[str], None], commands: list[list[str]]) -> Path:
    """The one library in the cache, made of a line of C by what stands in the place of the compiler."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    compiler("echo 'int answer = 42;' | cc -shared -x c - -o \"$out\"")
    assert library() is not None
    (file,) = files(cache)
    build.library.cache_clear()  # as in a new process
    commands.clear()
    return file


@pytest.mark.parametrize("how", ["in its place", "cut short", "of version 0.1.0", "a link", "of the group"])
def test_a_library_that_was_not_compiled_here_is_not_loaded(
    how: str, kept: Path, evil: Path, tmp_path: Path, commands: list[list[str]]
) -> None:
    content = kept.read_bytes()
    match how:
        case "in its place":
            kept.unlink()  # this process has it mapped
            kept.write_bytes(evil.read_bytes())
        case "cut short":
            kept.unlink()  # this process has it mapped
            kept.write_bytes(content[: len(content) // 2])
        case "of version 0.1.0":
            kept.unlink()
            kept.with_name(f"{kept.name.rsplit('-', 1)[0]}.so").write_bytes(evil.read_bytes())
        case "a link":
            kept.rename(tmp_path / "elsewhere.so")
            kept.symlink_to(tmp_path / "elsewhere.so")
        case "of the group":
            kept.chmod(0o770)
    assert library() is not None
    assert any("-o" in command for command in commands)
    assert kept.read_bytes() == content
    assert not kept.is_symlink()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_cache_that_others_can_write_to_is_not_used(
    mode: int, cache: Path, kept: Path, commands: list[list[str]]
) -> None:
    cache.chmod(mode)
    for _ in range(2):
        commands.clear()
        build.library.cache_clear()
        with pytest.warns(UserWarning, match=r"compiled anew by every process: .* can be written by others"):
            assert library() is not None
        assert any("-o" in command for command in commands)
    cache.chmod(0o700)
    kept.parent.chmod(mode)  # which is ours, and made private again
    build.library.cache_clear()
    assert library() is not None
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert files(cache) == [kept]


@pytest.mark.slow
def test_processes_that_compile_at_once_keep_one_library(cache: Path, kept: Path) -> None:
    """Whatever the order of their ends; the umask of many systems lets the group write."""
    shutil.rmtree(cache)
    code = (
        "import os, sys, torch; os.umask(0o002)\n"
        "from torch_gptff.ops.native.build import library\n"
        "sys.exit(library(torch.float32, 32) is None)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert files(cache) == [kept]


@pytest.mark.parametrize("what", ["source", "compiler", "its options", "processor", "defines"])
def test_name_tells_what_the_library_depends_on(
    what: str, compiler: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler("exit 0")
    command, defines = [str(tmp_path / "compiler")], ["-DREAL=float"]
    before = build._key(command, defines)
    assert build._key(command, defines) == before
    if what == "source":
        (tmp_path / "kernels.hpp").write_text("// another")
        monkeypatch.setattr(build, "SOURCES", tmp_path)
    elif what == "compiler":
        text = Path(command[0]).read_text()
        Path(command[0]).write_text(text.replace("1.0", "1.1"))
    elif what == "its options":
        command.append("-DNDEBUG")
    elif what == "processor":
        monkeypatch.setattr(build, "_processor", lambda: "flags: another")
    else:
        defines = ["-DREAL=double"]
    assert build._key(command, defines) != before
