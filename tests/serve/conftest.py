"""A page whose jobs do nothing, and a client that has its token."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from torch_gptff.serve.job import Job
from torch_gptff.serve.kinds import Kind, Setting
from torch_gptff.serve.limits import Limits

TOKEN = "t" * 43
STUB = Path(__file__).parents[1] / "helpers" / "stub_worker.py"
STEPS = Setting("steps", "Number of steps", "--steps", "integer", 10, low=1, high=100)
REPEAT = Setting("repeat", "Repetitions", "--repeat", "integer", 1, low=1)
KINDS = [
    Kind(name, f"{name}.", (STEPS, REPEAT), ("--json", "result.json"), lambda values: values.get("repeat", 1))
    for name in ("count", "wait", "stubborn", "crash", "leave", "bug", "refuse", "tell")
]


class Page:
    """A page, and what somebody does with it."""

    def __init__(self, client: Any, queue: Any) -> None:
        self.client, self.queue = client, queue

    def upload(self, name: str, content: bytes) -> Any:
        """Drop a file."""
        return self.client.post("/api/structures", content=content, headers={"X-File-Name": name})

    def submit(self, kind: str, structure: str, **values: Any) -> Any:
        """Run a job."""
        asked = {"structure": structure, "index": 0, "kind": kind, "values": values}
        return self.client.post("/api/jobs", json=asked)

    def job(self, kind: str, structure: str) -> Job:
        """Run a job that is taken."""
        answer = self.submit(kind, structure)
        assert answer.status_code == 201, answer.text
        return self.queue.jobs[answer.json()["id"]]

    def wait(self, job: Job, is_so: Callable[[Job], bool] = lambda job: job.is_over) -> Job:
        """Wait for a job to be so."""
        end = time.monotonic() + 120
        while not is_so(job):
            assert time.monotonic() < end, f"{job.state} {job.words} {job.error}"
            time.sleep(0.02)
        return job


@pytest.fixture(scope="session")
def salt_cif(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("salt") / "salt.cif"
    write(path, bulk("NaCl", "rocksalt", a=5.6, cubic=True))
    return path.read_bytes()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("starlette", reason="the page is an application of starlette")
    testing = pytest.importorskip("starlette.testclient", reason="starlette's client needs httpx")
    from torch_gptff.serve.app import make_app
    from torch_gptff.serve.queue import Queue

    limits = Limits(megabytes=0.02, atoms=64, minutes=5, waiting=3)
    queue = Queue(tmp_path_factory.mktemp("page"), KINDS, limits, [sys.executable, str(STUB)], ["--model", "a model"])
    app = make_app(queue, TOKEN)
    with testing.TestClient(
        app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield Page(client, queue)


@pytest.fixture(scope="module")
def salt(page: Page, salt_cif: bytes) -> str:
    """Name of an uploaded structure."""
    answer = page.upload("salt.cif", salt_cif)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]
