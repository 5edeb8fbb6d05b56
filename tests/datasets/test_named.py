"""Published datasets by name, from a server on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from torch_gptff.datasets import CrystalDataset, named, named_sources
from torch_gptff.errors import DatasetError, DownloadError
from torch_gptff.io.published_file import PublishedFile


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", named.NAMED)
def test_what_is_named_can_be_read(name: str) -> None:
    from torch_gptff.datasets import FORMATS

    data = named.NAMED[name]
    assert set(next(iter(data.sources.values()))) <= set(FORMATS[data.format].options())
    for file in data.files.values():
        assert len(file.sha256) == 64
        assert file.url.startswith("https://")


def test_the_pinned_files_are_those_at_hand(shared_data: Path) -> None:
    """The sha256 of every file that is fetched, but for names, is that of the file in the shared data."""
    folder = shared_data / "data"
    there = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (*folder.glob("mlearn/*/*.json"), *folder.glob("saidi_elements/*.tar.*"))
    }
    pinned = {file.sha256 for data in named.NAMED.values() for file in data.files.values()}
    assert pinned == there


def test_it_is_fetched_once_and_verified(
    served: tuple[Path, str], shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    monkeypatch.setenv("TORCH_GPTFF_CACHE", str(tmp_path / "cache"))
    files = {}
    for name in ("training.json", "test.json"):
        content = (shared_data / "data/mlearn/Mo" / name).read_bytes()
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files[f"Mo/{name}"] = PublishedFile(f"{address}/{name}", sha256, "BSD-3-Clause")
    monkeypatch.setitem(named.NAMED, "small", named.NamedData("molybdenum", "here", "mlearn", files))
    dataset = CrystalDataset(tmp_path / "root", named_sources("small"))
    assert len(dataset) == 217
    for name in ("training.json", "test.json"):
        (folder / name).unlink()
    assert named_sources("small")[0].path == tmp_path / "cache/datasets/small"

    (folder / "training.json").write_bytes(b"[]")
    (tmp_path / "cache/datasets/small/Mo/training.json").unlink()
    with pytest.raises(DownloadError, match=r"its sha256 differs, so it was not kept"):
        named_sources("small")
    assert not (tmp_path / "cache/datasets/small/Mo/training.json").exists()
    (folder / "training.json").unlink()
    with pytest.raises(DownloadError, match=r"training.json could not be downloaded .*fetch it on another machine"):
        named_sources("small")


def test_a_given_folder(shared_data: Path, tmp_path: Path) -> None:
    (source,) = named_sources("lgps", shared_data / "data/lgps/iter.000002")
    assert next(source.read()).material == "Li10Ge(PS6)2"
    assert len(named_sources("acwf", shared_data / "data/acwf_eos")) == 2
    with pytest.raises(DatasetError, match=r"has no MPtrj_2022.9_full.json, as mptrj should; its home is https://doi"):
        named_sources("mptrj", tmp_path)
    with pytest.raises(DatasetError, match=r"matpes-pbe cannot be downloaded automatically: get it from https"):
        named_sources("matpes-pbe")
    with pytest.raises(DatasetError, match=r"there is no dataset 'qm9' by name; there are mlearn"):
        named_sources("qm9")
