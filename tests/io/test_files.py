"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from torch_gptff.errors import ExistingResultsError
from torch_gptff.io import files
from torch_gptff.io.files import claimed, system_errors, written_atomically


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with written_atomically(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent  # so that taking its place is one step of the file system
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def write_half() -> None:
        with written_atomically(path) as temporary:
            temporary.write_text("ha")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_file_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    with written_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_missing_folders_are_made_and_the_ending_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "frames.extxyz"
    with written_atomically(path) as temporary:
        assert temporary.suffix == ".extxyz"
        temporary.write_text("")
    assert path.is_file()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_may_be_read_by_whom_the_user_allows(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    before = os.umask(0o022)
    try:
        with written_atomically(path) as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_two_writers_do_not_share_a_temporary_name(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with written_atomically(path) as first, written_atomically(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last


def test_a_place_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "new" / "run"
    with claimed(place):
        with pytest.raises(ExistingResultsError, match=r"another process is writing to .*run: wait for its end"):
            claimed(place).__enter__()
        with claimed(tmp_path / "new" / "other"):
            pass
    assert not list(tmp_path.iterdir())  # nothing came of it
    with claimed(place):
        place.mkdir()
    assert [path.name for path in place.parent.iterdir()] == ["run"]


@pytest.mark.slow
def test_the_claim_of_a_killed_process_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from torch_gptff.io.files import claimed\nwith claimed(sys.argv[1]): print(); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    place = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-uc", code, place], stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(ExistingResultsError):
        claimed(place).__enter__()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with claimed(place):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "free", "code"),
    [
        ("I/O error: No space left on device (os error 28)", 1 << 40, errno.ENOSPC),
        ("PytorchStreamWriter failed writing file data/1: file write failed", 0, errno.ENOSPC),
        ("PytorchStreamWriter failed writing file data/1: file write failed", 1 << 40, errno.EIO),
    ],
)
def test_a_library_that_cannot_write(
    said: str, free: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    with pytest.raises(OSError, match=r"file write failed|os error 28") as raised, system_errors(tmp_path / "file"):
        raise RuntimeError(said)
    assert raised.value.errno == code
    assert raised.value.filename == str(tmp_path / "file")


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*result\.txt'"),
        written_atomically(tmp_path / "result.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())
