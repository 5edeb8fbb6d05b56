"""Kernels of a wheel are loaded as they were compiled, from the sources that are there, or not at all."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from torch_gptff import GPTFFConfig
from torch_gptff.ops.native import build, shipped

REPOSITORY = Path(__file__).parents[2]

SOURCE = """
extern "C" int answer() { return ANSWER; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small library in the place of the kernels: its sources, and it compiled."""
    if shutil.which("c++") is None:
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("library")
    (folder / "sources").mkdir()
    (folder / "sources" / "answer.cpp").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "KERNELS", [(folder / "sources", ("-DANSWER=42",))])
        shipped.compile_all("c++", folder / "compiled")
    return folder


@pytest.fixture
def sources(library: Path, tmp_path: Path) -> Path:
    return shutil.copytree(library / "sources", tmp_path / "sources")


@pytest.fixture
def compiled(library: Path, tmp_path: Path) -> Path:
    return shutil.copytree(library / "compiled", tmp_path / "compiled")


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


@pytest.fixture
def no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache of kernels, and none loaded before or after the test."""
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_GPTFF_NATIVE", raising=False)
    build.turning_library.cache_clear()
    yield
    build.turning_library.cache_clear()


def test_kernels_brought_along_need_no_compiler(
    tmp_path: Path, sources: Path, compiled: Path, no_library: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_generation", lambda: "x86-64-v3")
    file = shipped.find(sources, ["-DANSWER=42"], compiled)
    monkeypatch.setattr(shipped, "find", lambda *_: file)
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    found = build.turning_library(torch.float32, 2)
    assert found is not None
    assert found.answer() == 42
    monkeypatch.setenv("TORCH_GPTFF_NATIVE", "0")
    build.turning_library.cache_clear()
    assert build.turning_library(torch.float32, 2) is None


AVX2 = "abm avx avx2 bmi1 bmi2 f16c fma movbe"
AVX512 = "avx512bw avx512cd avx512dq avx512f avx512vl"


@pytest.mark.parametrize(
    ("has", "generation"),
    [
        (f"fpu sse2 {AVX2} {AVX512} amx_tile", "x86-64-v4"),
        (f"fpu sse2 {AVX2}", "x86-64-v3"),
        (f"fpu sse2 {AVX2} {AVX512.replace('avx512vl', '')}", "x86-64-v3"),  # as of Xeon Phi
        (f"fpu sse2 {AVX2.replace('fma', '')} {AVX512}", None),
        ("fpu sse2 avx", None),
        ("", None),
    ],
)
def test_processor_without_avx512_gets_no_kernels_that_need_it(
    has: str, generation: str | None, sources: Path, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_of_processor(has, tmp_path, monkeypatch)
    file = shipped.find(sources, ["-DANSWER=42"], compiled)
    assert (None if file is None else file.stem.removeprefix("sources-answer-42-")) == generation


def test_machine_that_is_no_such_processor_gets_none(
    sources: Path, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_of_processor(f"{AVX2} {AVX512}", tmp_path, monkeypatch)
    monkeypatch.setattr(shipped.platform, "machine", lambda: "aarch64")
    assert shipped.find(sources, ["-DANSWER=42"], compiled) is None


def tell_of_processor(has: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nvendor_id\t: any\nflags\t\t: {has}\n\nprocessor\t: 1\nflags\t\t: {has}\n")
    monkeypatch.setattr(shipped, "PROCESSOR", file)
    monkeypatch.setattr(shipped.platform, "system", lambda: "Linux")
    monkeypatch.setattr(shipped.platform, "machine", lambda: "x86_64")


def test_library_that_this_machine_cannot_load_is_compiled_here(
    tmp_path: Path, sources: Path, compiled: Path, no_library: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that needs a newer C library than the machine has fits its list, and cannot be loaded."""
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(shipped, "find", lambda *_: broken)
    monkeypatch.setattr(build, "SOURCES", sources.parent)
    sources.rename(sources.parent / "geometric")
    monkeypatch.setattr(build, "FLAGS", f"{build.FLAGS} -DANSWER=44")
    monkeypatch.delenv("CXX", raising=False)
    found = build.turning_library(torch.float32, 2)
    assert found is not None
    assert found.answer() == 44


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("config", [GPTFFConfig(), GPTFFConfig.large(), GPTFFConfig.paper(), GPTFFConfig.v1()])
def test_kernels_of_recommended_and_published_models_are_among_those_of_a_wheel(
    config: GPTFFConfig, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, tuple[str, ...]]] = []
    monkeypatch.setattr(build, "_library", lambda sources, defines: asked.append((sources, tuple(defines))))
    if config.transformer == "geometric":
        build.turning_library.__wrapped__(dtype, config.degree)
    else:
        build.library.__wrapped__(dtype, config.channels)
    assert asked
    assert set(asked) <= set(shipped.KERNELS)


def test_kernels_need_no_particular_pytorch() -> None:
    """They include nothing but the standard library and their own headers."""
    files = [*shipped.SOURCES.rglob("*.?pp")]
    own = {file.name for file in files}
    for file in files:
        for name in re.findall(r'#include [<"](.+)[>"]', file.read_text()):
            assert Path(name).name in own or re.fullmatch(r"[a-z_]+|(omp|immintrin|arm_neon)\.h", name), (file, name)


WORK = """
import sys
from collections.abc import Iterator
from pathlib import Path
import torch
from ase.build import bulk
from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.ops.native import shipped
import torch_gptff
assert "installed" in torch_gptff.__file__, torch_gptff.__file__
if len(sys.argv) > 1:
    shipped.PROCESSOR = Path(sys.argv[1])
for config in (GPTFFConfig(), GPTFFConfig.paper()):
    torch.manual_seed(0)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=0)
    atoms.calc = GPTFFCalculator(Potential(GPTFF(config)))
    print(atoms.get_potential_energy(), *atoms.get_forces().ravel())
taken = sorted({line.split("/")[-1].strip() for line in open("/proc/self/maps") if "compiled/" in line})
print(*taken)
"""


@pytest.mark.slow
def test_wheel_with_kernels_needs_no_compiler_and_one_without_is_for_every_machine(tmp_path: Path) -> None:
    if shutil.which("c++") is None or shipped._generation() is None:
        pytest.skip("no compiler, or no processor that kernels are compiled ahead for")
    copy = tmp_path / "copy"
    shutil.copytree(
        REPOSITORY,
        copy,
        ignore=lambda _, names: [n for n in names if n[0] == "." or n in ("runs", "build", "compiled")],
    )
    kernels = copy / "torch_gptff/ops/native/shipped.py"
    text, both = kernels.read_text(), 'for real in ("float", "double")'
    assert both in text
    kernels.write_text(text.replace(both, 'for real in ("float",)'))  # of half of the kernels, for half of the time

    def run(*command: str, **variables: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CXX", "TORCH_GPTFF_NATIVE")}
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment | variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert "Warning" not in done.stderr
        return done.stdout

    build_wheel = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", str(copy))
    run(*build_wheel, "--wheel-dir", "plain", CXX="/bin/false")
    assert [file.name[-12:] for file in (tmp_path / "plain").iterdir()] == ["none-any.whl"]
    run(*build_wheel, "--wheel-dir", "filled", TORCH_GPTFF_KERNELS="1")
    (wheel,) = (tmp_path / "filled").iterdir()
    assert re.search(r"-py3-none-linux_\w+\.whl$", wheel.name)
    run("-m", "pip", "install", "-q", "--no-deps", "--target", "installed", str(wheel))

    variables = {"CXX": "/bin/false", "TORCH_GPTFF_CACHE": str(tmp_path / "cache"), "PYTHONPATH": "installed"}
    *numbers, taken = run("-c", WORK, **variables).splitlines()
    assert {name.partition("-")[0] for name in taken.split()} == {"geometric", "native"}
    assert not (tmp_path / "cache").exists()
    old = tmp_path / "cpuinfo"
    old.write_text(f"flags : {AVX2}\n")
    *others, taken = run("-c", WORK, str(old), **variables).splitlines()
    assert taken.count("-x86-64-v3.so") == 2
    for line, other in zip(numbers, others, strict=True):
        assert [float(x) for x in other.split()] == pytest.approx([float(x) for x in line.split()], rel=2e-5, abs=2e-5)
