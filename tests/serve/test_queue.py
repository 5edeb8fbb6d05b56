"""Files that are dropped, and jobs that wait for each other, are stopped, and fail alone."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

pytest.importorskip("starlette", reason="the page is an application of starlette")

from torch_gptff.errors import JobError
from torch_gptff.serve import process
from torch_gptff.serve.queue import stored_name


class Payload:
    """Runs code where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def error(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]


# ---- files


def test_a_file_is_looked_at(page, salt_cif: bytes) -> None:
    found = page.upload("My%20salt.cif", salt_cif).json()
    assert (found["name"], found["formula"], found["n_atoms"], found["count"]) == ("My salt.cif", "NaCl", 8, 1)
    assert "Fm-3m (225)" in found["facts"]
    assert len(found["scene"]["frames"][0]["positions"]) == 8


def test_one_of_several_structures(page, tmp_path: Path) -> None:
    write(tmp_path / "many.extxyz", [bulk("Cu"), bulk("Al", cubic=True)])
    found = page.upload("many.extxyz", (tmp_path / "many.extxyz").read_bytes()).json()
    assert (found["formula"], found["index"], found["count"]) == ("Cu", 0, 2)
    other = page.client.get(f"/api/structures/{found['id']}?index=1").json()
    assert (other["formula"], other["n_atoms"], other["index"]) == ("Al", 4, 1)
    assert "has 2 structures" in error(page.client.get(f"/api/structures/{found['id']}?index=2"))
    assert "no whole number" in error(page.client.get(f"/api/structures/{found['id']}?index=one"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad.cif", b"data_nothing\n", "cannot read a structure from bad.cif"),
        ("empty.xyz", b"", "empty.xyz"),
        ("lies.xyz", b"1000000000\n\nH 0 0 0\n", "lies.xyz"),
        ("md.traj", b"- of Ulm", "has an ending that the page does not know"),
        ("salt.cif.gz", b"\x1f\x8b", "has an ending that the page does not know"),
        ("frames.pckl", b"x", "has an ending that the page does not know"),
        ("", b"x", "has an ending that the page does not know"),
        ("zeros.cif", b"data_a\0", "zeros.cif is no text"),
        ("POSCAR", b"NaCl\n1\n", "POSCAR"),
        ("near.xyz", b"2\n\nH 0 0 0\nH 0 0 0.01\n", "0.01 Å apart"),
        (
            "large.xyz",
            b"65\n\n" + b"".join(b"He %d 0 0\n" % (3 * n) for n in range(65)),
            "65 atoms, and the page takes 64",
        ),
    ],
)
def test_a_bad_file_is_told_in_plain_words(page, name: str, content: bytes, words: str) -> None:
    told = error(page.upload(name, content))
    assert words in told
    assert "structure." not in told
    assert str(page.queue.folder) not in told


@pytest.mark.parametrize("name", ["payload.cif", "payload.xyz", "payload.json", "POSCAR"])
@pytest.mark.parametrize("protocol", [0, 4])
def test_nothing_that_is_dropped_runs_code(page, tmp_path: Path, name: str, protocol: int) -> None:
    error(page.upload(name, pickle.dumps(Payload(tmp_path / "ran"), protocol)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["../../../evil.cif", "/etc/evil.cif", "..%2f..%2fevil.cif", "a%00b.cif", "C:\\evil.cif", "x" * 5000 + ".cif"],
)
def test_a_name_is_no_path(page, salt_cif: bytes, name: str) -> None:
    before = set(page.queue.folder.parent.rglob("*"))
    answer = page.upload(name, salt_cif)
    assert answer.status_code == 200
    assert len(answer.json()["name"]) <= 100
    new = [path for path in set(page.queue.folder.parent.rglob("*")) - before if path.is_file()]
    assert [path.name for path in new] == ["structure.cif"]
    assert page.queue.folder / "structures" in new[0].parents


def test_names_keep_their_format() -> None:
    assert stored_name("A.CIF") == "structure.cif"
    assert {stored_name(name) for name in ("POSCAR", "contcar_2", "Si.POSCAR", "x.vasp")} == {"POSCAR"}
    with pytest.raises(JobError, match="other programs convert"):
        stored_name("movie.mp4")


# ---- jobs


def test_jobs_wait_for_each_other(page, salt: str) -> None:
    first, second = page.job("wait", salt), page.job("count", salt)
    page.wait(first, lambda job: job.words == "under way")
    assert (first.state, second.state) == ("running", "waiting")
    assert page.client.post(f"/api/jobs/{first.id}/stop").status_code == 200
    assert page.wait(first).state == "stopped"
    assert page.wait(second).state == "done"
    assert second.said[0]["words"] == "count salt.cif --model a model --json result.json"


def test_a_job_that_waits_is_stopped_and_never_begins(page, salt: str) -> None:
    first, second = page.job("wait", salt), page.job("count", salt)
    page.client.post(f"/api/jobs/{second.id}/stop")
    assert (second.state, second.began) == ("stopped", None)
    page.client.post(f"/api/jobs/{first.id}/stop")
    page.wait(first)
    assert page.wait(page.job("count", salt)).state == "done"
    assert second.began is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("crash", "the process that computes was ended by SIGSEGV"),
        ("leave", "the process that computes has ended by itself, with exit code 7"),
        ("bug", "TypeError: a bug"),
        ("refuse", "salt.cif cannot be relaxed"),
        ("tell", "salt.cif is wrong"),
    ],
)
def test_a_job_that_fails_says_why_and_the_others_go_on(page, salt: str, kind: str, words: str) -> None:
    failed, other = page.job(kind, salt), page.job("count", salt)
    page.wait(failed)
    assert (failed.state, failed.error) == ("failed", words)
    assert page.wait(other).state == "done"
    if kind == "crash":
        assert "out of luck" in failed.origin
    if kind == "bug":
        assert "raise TypeError" in failed.origin
    if kind == "tell":
        assert {"kind": "warning", "words": "salt.cif is odd"} in failed.said


def test_a_process_that_does_not_stop_is_ended(page, salt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    job = page.job("stubborn", salt)
    page.wait(job, lambda job: job.words == "under way")
    page.client.post(f"/api/jobs/{job.id}/stop")
    assert page.wait(job).state == "stopped"
    assert page.wait(page.job("count", salt)).state == "done"


def test_a_job_may_not_take_for_ever(page, salt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page.queue, "limits", type(page.queue.limits)(atoms=64, minutes=0.01))
    job = page.wait(page.job("wait", salt))
    assert (job.state, job.error[:42]) == ("failed", "it was stopped after 0.01 minutes (--minut")


def test_too_many_jobs_are_refused(page, salt: str) -> None:
    first, *others = [page.job("wait", salt) for _ in range(1)]
    page.wait(first, lambda job: job.state == "running")
    others = [page.job("count", salt) for _ in range(3)]
    assert "3 jobs are waiting" in error(page.submit("count", salt))
    page.client.post(f"/api/jobs/{others[0].id}/stop")
    others.append(page.job("count", salt))
    page.client.post(f"/api/jobs/{first.id}/stop")
    for job in others:
        page.wait(job)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("evil", {}, "no kind of job 'evil'"),
        ("count", {"--model": "x"}, "count has no setting '--model'"),
        ("count", {"steps": 1000}, "--steps 1000: it is a number from 1 up to 100"),
        ("count", {"steps": "5 --model x"}, "--steps is a whole number, not"),
        ("count", {"steps": True}, "--steps is a whole number, not True"),
        ("count", {"steps": 1.5}, "--steps is a whole number, not 1.5"),
        ("count", {"repeat": 9}, "that makes 72 atoms, and the page takes 64 at most"),
    ],
)
def test_settings_that_cannot_be_so(page, salt: str, kind: str, values: dict[str, Any], words: str) -> None:
    assert words in error(page.submit(kind, salt, **values))


def test_what_is_no_job(page) -> None:
    for content in (
        b"",
        b"{",
        b"[]",
        b'{"structure": 1}',
        b"[" * 10_000,
        b'{"structure":1,"index":0,"kind":2,"values":3}',
    ):
        assert "a job" in error(page.client.post("/api/jobs", content=content))
    assert "drop it again" in error(page.submit("count", "absent"))
    assert "no such job" in error(page.client.post("/api/jobs/absent/stop"))
    assert page.client.delete("/api/jobs/..%2f..%2fstructures").status_code == 404
    assert (page.queue.folder / "structures").is_dir()


# ---- results


def test_results_have_keys_of_their_own(page, salt: str) -> None:
    job = page.wait(page.job("count", salt))
    assert set(job.files) == {"NaCl-count.json", "NaCl-count.html"}
    links = page.client.post(f"/api/jobs/{job.id}/stop").json()["links"]
    away = {"Authorization": ""}
    report = page.client.get(links["NaCl-count.html"], headers=away)
    assert report.text == "<h1>a report</h1>"
    assert report.headers["content-security-policy"] == "sandbox allow-scripts allow-downloads"
    assert report.headers["content-disposition"].startswith("inline")
    saved = page.client.get(links["NaCl-count.json"], headers=away)
    assert (saved.json(), saved.headers["content-disposition"]) == ({}, 'attachment; filename="NaCl-count.json"')
    key = links["NaCl-count.json"].partition("?")[2]
    assert page.client.get(f"/files/{job.id}/NaCl-count.html?{key}").status_code == 401
    assert page.client.get(f"/files/{job.id}/NaCl-count.json").status_code == 401
    assert page.client.get(f"/files/{job.id}/..%2f..%2fstructure.cif?{key}").status_code in (401, 404)


def test_a_job_that_is_removed_is_gone(page, salt: str) -> None:
    job = page.job("wait", salt)
    page.wait(job, lambda job: job.words == "under way")
    assert "stop it first" in error(page.client.delete(f"/api/jobs/{job.id}"))
    page.client.post(f"/api/jobs/{job.id}/stop")
    page.wait(job)
    assert page.client.delete(f"/api/jobs/{job.id}").status_code == 200
    assert job.id not in page.queue.jobs
    assert not job.folder.exists()


def test_changes_are_told(page, salt: str) -> None:
    """All jobs first, then those that change, and the course of the one that is followed."""
    from torch_gptff.serve.app import Answers

    job = page.wait(page.job("count", salt))

    async def first(count: int) -> list[str]:
        told = []
        async for event in Answers(page.queue, "t").changes(job.id):
            told.append(event)
            if len(told) == count:
                return told
        return told

    jobs, course = asyncio.run(first(2))
    assert jobs.startswith("event: jobs\ndata: {")
    assert f'"id":"{job.id}"' in jobs
    assert course.startswith(f'event: course\ndata: {{"job":"{job.id}","scene"')
    assert jobs.endswith("\n\n")
    assert "\n" not in jobs.removesuffix("\n\n").partition("\n")[2]
