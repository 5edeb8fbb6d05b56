"""The page in a real browser, with the process that really computes: drop, run, see, download."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import bulk
from ase.io import write

from torch_gptff import GPTFF, GPTFFConfig, Potential, save

pytest.importorskip("uvicorn", reason="the page is served by uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="the page is tried in a browser with playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to try the page in")
PATIENCE_MS = 240_000
"""For everything that is waited for: the machine may have other things to do."""

DROP = """([name, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([content], name));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a process of its own, which is stopped as Ctrl-C does."""
    folder = tmp_path_factory.mktemp("serve")
    torch.manual_seed(1)
    save(Potential(GPTFF(GPTFFConfig(channels=16, num_layers=2)), {11: -1.0, 17: -2.0}), folder / "m.safetensors")
    words = ["--model", str(folder / "m.safetensors"), "--folder", str(folder / "kept"), "--atoms", "100"]
    command = [sys.executable, "-m", "torch_gptff", "serve", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as server:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/#token=\S+", server.stdout.readline())
        assert found is not None
        yield found[0]
        server.terminate()
        server.wait(60)
    assert sorted(path.name for path in folder.iterdir()) == ["kept", "m.safetensors"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """A tab with the page, which asks for nothing elsewhere and has no problem."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        asked: list[str] = []
        problems: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.goto(address)
        tab.wait_for_selector("#kinds label", state="attached")
        yield tab
        own = address.partition("#")[0]
        assert all(url.startswith((own, "data:", "blob:")) for url in asked)
        assert not [each for each in problems if "422" not in each]  # of files that are refused, as they should be


def wait_until(tab: Any, true: str) -> None:
    """Wait until an expression is true. ``wait_for_function`` would evaluate it as the page, which forbids ``eval``."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not tab.evaluate(true):
        assert time.monotonic() < end, true
        tab.wait_for_timeout(50)


def drop(tab: Any, name: str, content: str) -> None:
    tab.evaluate(DROP, [name, content])


def cif(tmp_path: Path, a: float = 5.5) -> str:
    atoms = bulk("NaCl", "rocksalt", a=a, cubic=True)
    atoms.rattle(0.05, seed=3)
    write(tmp_path / "salt.cif", atoms)
    return (tmp_path / "salt.cif").read_text()


def run(tab: Any, kind: str, **values: Any) -> None:
    tab.wait_for_selector("#form:not([hidden])")
    tab.check(f"input[value={kind}]", force=True)
    for name, value in values.items():
        tab.fill(f"[name={name}]", str(value))
    tab.click("#run")


def test_drop_run_see_download(tab: Any, address: str, tmp_path: Path) -> None:
    assert "token" not in tab.url
    drop(tab, "salt.cif", cif(tmp_path))
    tab.wait_for_selector("#viewer.live canvas")
    assert "8 atoms" in tab.inner_text("#structure-facts")
    run(tab, "relax", max_steps=4)
    tab.wait_for_selector("#state.done")
    tab.wait_for_selector("#curve.live .main-svg")
    assert tab.evaluate("curve.points.map((point) => point[0])") == [0, 1, 2, 3, 4]
    assert tab.evaluate("viewer.frames.length") == 5
    assert tab.inner_text(".where") == "step 4"
    wait_until(tab, "curve.place.layout.shapes[0]?.x0 === 4")
    moved = (
        "viewer.frames[4].positions.some((place, k) => place.some((x, i) => x !== viewer.frames[0].positions[k][i]))"
    )
    assert tab.evaluate(moved)
    with tab.expect_download() as download:
        tab.click("text=NaCl-relax.json")
    (result,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["results"]
    assert result["n_steps"] == 4
    cell = tab.locator("#table tbody td").nth(2)
    assert cell.inner_text() == f"{result['energy'] / 8:.4f}"
    assert tab.evaluate("curve.points[4][1]") == pytest.approx(result["energy"] / 8, abs=1e-6)
    with tab.expect_download() as download:
        tab.click("text=NaCl-relax.cif")
    assert "_cell_length_a" in Path(download.value.path()).read_text(encoding="utf-8")
    with tab.expect_popup() as popup:
        tab.click("text=Open the report")
    report = popup.value
    report.wait_for_selector("figure.viewer.live", timeout=PATIENCE_MS)
    assert "Relaxation" in report.inner_text("h1")
    assert report.evaluate("self.origin") == "null"  # of nobody: it can ask the server for nothing


def test_an_equation_of_state_is_drawn_by_volume(tab: Any, tmp_path: Path) -> None:
    drop(tab, "salt.cif", cif(tmp_path))
    tab.wait_for_selector("#form:not([hidden])")
    tab.check("input[value=eos]", force=True)
    tab.uncheck("[name=relax_first]")
    tab.click("#run")
    tab.wait_for_selector("#state.done, #state.failed")
    tab.wait_for_selector("#curve.live .main-svg")
    with tab.expect_download() as download:
        tab.click("text=NaCl-eos.json")
    (result,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["results"]
    points = zip(result["volumes"], result["energies"], strict=True)
    drawn = tab.evaluate("curve.points")
    assert drawn == [pytest.approx([volume / 8, energy / 8], rel=1e-6) for volume, energy in points]
    assert tab.evaluate("viewer.frames.length") == 13
    assert tab.inner_text("#curve-caption") == "Energy by volume."


def test_a_bad_file_is_told_and_the_page_goes_on(tab: Any, tmp_path: Path) -> None:
    drop(tab, "bad.cif", "data_nothing\n<b>no structure</b>")
    tab.wait_for_selector("#problem:not([hidden])")
    assert "cannot read a structure from bad.cif" in tab.inner_text("#problem")
    drop(tab, "movie.mp4", "x")
    wait_until(tab, "document.getElementById('problem').textContent.includes('movie.mp4')")
    name = "<img src=x onerror=alert(1)>.cif"
    drop(tab, name, cif(tmp_path))
    tab.wait_for_selector("#form:not([hidden])")
    assert tab.is_hidden("#problem")
    assert name in tab.inner_text("#structure-name")
    assert tab.locator("#structure img").count() == 0


def test_two_at_once_and_one_is_stopped(tab: Any, tmp_path: Path) -> None:
    drop(tab, "salt.cif", cif(tmp_path))
    run(tab, "md", steps=1_000_000)
    tab.wait_for_selector("#state.running")
    running = tab.inner_text("#result-title")
    tab.click("#run")
    tab.wait_for_selector("#state.waiting")
    assert tab.inner_text("#words") == "waits for 1 other"
    tab.click(f"#jobs button:has-text('{running}')")
    tab.wait_for_selector("#state.running")
    wait_until(tab, "viewer && viewer.frames.length > 2")
    tab.click("#stop")
    tab.wait_for_selector("#state.stopped")
    tab.wait_for_selector("#jobs .state.running")  # the other has begun
    tab.click("#jobs button:has(.state.running)")
    tab.wait_for_selector("#state.running")
    tab.click("#stop")
    tab.wait_for_selector("#state.stopped")
    tab.click("#remove")
    wait_until(tab, "!document.querySelector('#jobs').textContent.includes('running')")


def test_a_page_that_is_closed_loses_nothing(tab: Any, browser: Any, address: str, tmp_path: Path) -> None:
    """The job goes on, and whoever comes again sees what has come of it; who has no token sees nothing."""
    drop(tab, "salt.cif", cif(tmp_path))
    run(tab, "predict")
    tab.wait_for_selector("#state")
    title = tab.inner_text("#result-title")
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("#state.done")
    assert tab.inner_text("#result-title") == title
    tab.reload()  # without the token in the address
    tab.wait_for_selector("#state.done")
    with browser.new_context() as other:
        stranger = other.new_page()
        stranger.goto(address.partition("#")[0])
        stranger.wait_for_selector("#problem:not([hidden])", timeout=PATIENCE_MS)
        assert "token" in stranger.inner_text("#problem")
        assert stranger.locator("#jobs li").count() == 0


def test_by_keyboard_on_a_small_screen(tab: Any, tmp_path: Path) -> None:
    """Everything is reached with Tab and the arrows, has a name, and fits 390 pixels, light and dark."""
    tab.set_viewport_size({"width": 390, "height": 844})
    drop(tab, "salt.cif", cif(tmp_path))
    tab.wait_for_selector("#form:not([hidden])")
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.focus("input[value=predict]")
    tab.keyboard.press("ArrowRight")
    assert tab.is_checked("input[value=relax]")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.name") == "fmax"
    unnamed = """[...document.querySelectorAll('input, select, button')].filter((each) => each.offsetParent !== null
        && !(each.labels?.length || each.textContent.trim() || each.getAttribute('aria-label'))).length"""
    assert tab.evaluate(unnamed) == 0
