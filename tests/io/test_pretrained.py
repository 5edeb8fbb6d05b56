"""Checkpoints by name, fetched from a server on this machine: verified, kept, and refused when they are not right."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from torch_gptff.errors import CheckpointError, DownloadError, UnsafeCheckpointError
from torch_gptff.io import PRETRAINED, load_pretrained, load_published, save
from torch_gptff.io.published_file import PublishedFile


class Server:
    """Serves one file as ``gptff_v1.pth``.

    Attributes:
        content: of the file
        sent: how many of its bytes are sent before the connection breaks off
        status: of the answer
        requests: how often it was asked for
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent = len(content)
        self.status = 200
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                self.wfile.write(server.content[: server.sent])

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/gptff_v1.pth"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(published_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves a checkpoint as ``gptff-v1``; nothing reaches beyond this machine."""
    content = published_file.read_bytes()
    server = Server(content)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(PRETRAINED, "gptff-v1", PublishedFile(server.url, hashlib.sha256(content).hexdigest(), "MIT"))
    yield server
    server.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(folder))
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_name_is_fetched_and_kept(server: Server, cache: Path, published_file: Path) -> None:
    potential = load_pretrained("gptff-v1")
    expected = load_published(published_file)
    for name, weight in expected.state_dict().items():
        assert torch.equal(potential.state_dict()[name], weight)
    assert files_in(cache) == ["gptff_v1.pth"]
    assert (cache / "gptff_v1.pth").read_bytes() == server.content


def test_the_second_time_no_network_is_needed(server: Server, cache: Path) -> None:
    first = load_pretrained("gptff-v1")
    server.stop()
    second = load_pretrained("gptff-v1")
    assert server.requests == 1
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_cache_can_be_moved(server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_pretrained("gptff-v1")
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "elsewhere"))
    load_pretrained("gptff-v1")
    assert server.requests == 2
    assert files_in(tmp_path / "elsewhere") == files_in(cache) == ["gptff_v1.pth"]


def test_without_a_choice_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_gptff.cache import cache_folder

    monkeypatch.delenv("TORCH_GPTFF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)
    assert cache_folder().name == "torch_gptff"


def test_what_is_not_the_published_file_is_not_kept(server: Server, cache: Path) -> None:
    server.content = server.content[:-1] + b"!"
    with pytest.raises(DownloadError, match=r"not the published gptff-v1: its sha256 differs.*give the path"):
        load_pretrained("gptff-v1")
    assert files_in(cache) == []


def test_a_file_that_changed_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    load_pretrained("gptff-v1")
    (cache / "gptff_v1.pth").write_bytes(b"something else")
    load_pretrained("gptff-v1")
    assert server.requests == 2
    assert (cache / "gptff_v1.pth").read_bytes() == server.content


def test_a_file_that_changed_in_the_cache_is_not_read(server: Server, cache: Path) -> None:
    load_pretrained("gptff-v1")
    (cache / "gptff_v1.pth").write_bytes(b"something else")
    server.stop()
    with pytest.raises(DownloadError, match="could not be fetched"):
        load_pretrained("gptff-v1")


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_transfer_that_breaks_off(share: float, server: Server, cache: Path) -> None:
    server.sent = int(share * len(server.content))
    with pytest.raises(DownloadError, match="gptff-v1"):
        load_pretrained("gptff-v1")
    assert files_in(cache) == []
    server.sent = len(server.content)
    load_pretrained("gptff-v1")  # nothing of the first attempt is in the way


@pytest.mark.parametrize("status", [404, 500])
def test_a_server_that_has_no_such_file(status: int, server: Server, cache: Path) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=rf"could not be fetched \({status}"):
        load_pretrained("gptff-v1")
    assert files_in(cache) == []


def test_no_server_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/gptff_v1.pth"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setitem(PRETRAINED, "gptff-v1", PublishedFile(url, "0" * 64, "MIT"))
        with pytest.raises(DownloadError) as caught:
            load_pretrained("gptff-v1")
    assert f"fetch {url} on another machine and give the path of the file" in str(caught.value)
    assert files_in(cache) == []


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DownloadError, match="gptff-v1 could not be fetched"):
        load_pretrained("gptff-v1")


def test_a_path_needs_no_network(published_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    potential = load_pretrained(published_file)
    assert potential.provenance["converted_from"] == "gptff_v1.pth"
    save(potential, tmp_path / "model.safetensors")
    assert load_pretrained(str(tmp_path / "model.safetensors")).model.config == potential.model.config
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_pretrained("~/model.safetensors").model.config == potential.model.config


def test_a_name_that_is_not_known_is_told_the_names(cache: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model 'gptff-v9'.*gptff-v1, gptff-v2"):
        load_pretrained("gptff-v9")
    with pytest.raises(CheckpointError, match=r"absent\.pth.*give a path"):
        load_pretrained("absent.pth")
    assert not cache.exists()


def test_a_fetched_pickle_runs_no_code_either(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the sum of a file in our table the sum of a trap, it would still be read as tensors alone."""
    torch.save({"state_dict": {}, "cfg": Path("/")}, tmp_path / "trap.pth")
    server.content = (tmp_path / "trap.pth").read_bytes()
    server.sent = len(server.content)
    digest = hashlib.sha256(server.content).hexdigest()
    monkeypatch.setitem(PRETRAINED, "gptff-v1", PublishedFile(server.url, digest, "MIT"))
    with pytest.raises(UnsafeCheckpointError):
        load_pretrained("gptff-v1")


def test_published_addresses_are_pinned_to_a_commit() -> None:
    for name, file in PRETRAINED.items():
        assert file.url.startswith("https://"), name
        assert any(len(part) == 40 and int(part, 16) for part in file.url.split("/")), f"{name} is of no one commit"
        assert len(file.sha256) == 64
        assert file.licence == "GPL-3.0"


def test_the_table_has_the_sums_of_the_published_files(shared_data: Path) -> None:
    for name, file in PRETRAINED.items():
        content = (shared_data / "pretrained" / file.url.rsplit("/", 1)[-1]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256, name
