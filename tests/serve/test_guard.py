"""Who may ask the page for something: with the token, by its own name, from its own page, and for so much."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the page is an application of starlette")

from torch_gptff.serve.app import PAGE, STATIC
from torch_gptff.serve.guard import POLICY, is_loopback, is_own_name
from torch_gptff.serve.server import address


def test_nothing_is_told_without_the_token(page) -> None:
    for path in ("/api/start", "/api/events", "/api/structures/x", "/api/nothing"):
        for header in ("", "Bearer ", "Bearer wrong", f"Basic {'t' * 43}", "Bearer té"):
            answer = page.client.get(path, headers={"Authorization": header.encode()})
            assert answer.status_code == 401, (path, header)
            assert "open the address that the terminal shows" in answer.json()["error"]
    assert page.client.post("/api/jobs", json={}, headers={"Authorization": ""}).status_code == 401
    assert page.client.get("/api/start").status_code == 200


def test_the_page_itself_says_nothing_that_is_secret(page) -> None:
    answer = page.client.get("/", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert "t" * 43 not in answer.text


@pytest.mark.parametrize(
    ("host", "is_taken"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("[::1]:9", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1:8000", False),
        ("", False),
        ("[", False),
    ],
)
def test_other_names_are_refused(page, host: str, is_taken: bool) -> None:
    """A name of others that leads here is DNS rebinding."""
    status = page.client.get("/api/start", headers={"Host": host}).status_code
    assert status == (200 if is_taken else 421)


def test_names_of_a_server_that_others_reach() -> None:
    assert is_own_name("192.168.1.7:80", "0.0.0.0")
    assert is_own_name("lab.example:80", "lab.example")
    assert not is_own_name("evil.example", "0.0.0.0")
    assert not is_own_name("192.168.1.7", "127.0.0.1")
    assert is_loopback("127.0.0.5")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_pages_are_refused(page, headers: dict[str, str]) -> None:
    answer = page.client.post("/api/jobs/x/stop", headers=headers)
    assert answer.status_code == 403
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert page.client.post("/api/jobs/x/stop", headers=own).status_code == 422


def test_every_answer_has_the_policy(page) -> None:
    for path, headers in (("/", {}), ("/api/start", {}), ("/api/start", {"Host": "evil.example"}), ("/none", {})):
        answer = page.client.get(path, headers=headers)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


def test_nothing_is_asked_of_others() -> None:
    """No script or style of the page names an address, and no markup has a script or a style within it."""
    own = [path for path in STATIC.values() if path.parent == PAGE] + [PAGE / "index.html"]
    for path in own:
        assert not re.search(r"https?:|//[a-z]+\.[a-z]", path.read_text(encoding="utf-8")), path
    markup = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style| style=| on\w+=", markup)
    for name in re.findall(r'(?:src|href)="static/([^"]+)"', markup):
        assert name in STATIC


@pytest.mark.parametrize("name", ["app.py", "..%2fapp.py", "%2e%2e/app.py", "..%2f..%2f..%2fetc%2fpasswd", "../app.py"])
def test_only_named_files_are_served(page, name: str) -> None:
    answer = page.client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_scripts_are_served_whole(page) -> None:
    for name, path in STATIC.items():
        answer = page.client.get(f"/static/{name}")
        assert answer.content == Path(path).read_bytes()
        assert answer.headers["content-type"].startswith("text/css" if name.endswith(".css") else "text/javascript")


def test_more_than_is_taken_is_refused(page) -> None:
    words = "the file is too large: the page takes 0.02 MB at most (--megabytes)"
    answer = page.upload("large.cif", b"x" * 20_001)
    assert (answer.status_code, answer.json()["error"]) == (413, words)
    pieces = (b"x" * 5000 for _ in range(5))  # which does not say its length before
    answer = page.client.post("/api/structures", content=pieces, headers={"X-File-Name": "large.cif"})
    assert (answer.status_code, answer.json()["error"]) == (413, words)


def test_the_token_stands_where_browsers_keep_it_to_themselves() -> None:
    assert address("127.0.0.1", 8000, "abc") == "http://127.0.0.1:8000/#token=abc"
    assert address("::1", 8000, "abc") == "http://[::1]:8000/#token=abc"
