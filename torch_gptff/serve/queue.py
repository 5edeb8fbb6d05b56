"""Files and jobs of the page: jobs wait for each other, and one process does them."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch_gptff.errors import JobError
from torch_gptff.serve.course import Course
from torch_gptff.serve.job import Job, Structure
from torch_gptff.serve.kinds import Kind
from torch_gptff.serve.limits import MOST_CHARACTERS, MOST_JOBS, MOST_STRUCTURES, READING_S, Limits
from torch_gptff.serve.process import Ended, Worker

ENDINGS = (".cif", ".mcif", ".extxyz", ".xyz", ".json", ".res", ".xsf", ".gen", ".pdb")
"""Endings of files that the page takes, all text, beside those of POSCAR."""

_POSCAR = re.compile(r"(poscar|contcar)([._-].*)?|.*\.(poscar|vasp)", re.IGNORECASE)


class Bell:
    """Wakes all who wait for the next change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake them."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    def next(self) -> asyncio.Event:
        """An event that is set at the next change; take it before reading the state, so that no change is missed."""
        return self._event


class Queue:
    """Files and jobs.

    Args:
        folder: where all of them are
        kinds: of jobs
        limits: of what is taken
        command: that starts the process that computes
        model: words of the command line that name the model, added to those of a job

    Attributes:
        jobs: by their names, the oldest first
        changed: rings when a job has changed
    """

    def __init__(
        self, folder: Path, kinds: Sequence[Kind], limits: Limits, command: Sequence[str], model: Sequence[str]
    ) -> None:
        self.folder = folder
        self.kinds = {kind.name: kind for kind in kinds}
        self.limits = limits
        self.model = list(model)
        self.jobs: dict[str, Job] = {}
        self.changed = Bell()
        self._structures: dict[str, Structure] = {}
        self._computer, self._reader = Worker(command), Worker(command)
        self._reading = asyncio.Lock()
        self._number = 0
        self._limit: asyncio.TimerHandle | None = None

    async def work(self) -> None:
        """Do one job after the other, for ever."""
        await self._computer.start()
        while True:
            waiting = [job for job in self.jobs.values() if job.state == "waiting"]
            if waiting:
                await self._do(waiting[0])
            else:
                await self.changed.next().wait()

    async def close(self) -> None:
        """End the processes."""
        await self._computer.close()
        await self._reader.close()

    async def take_file(self, name: str, content: bytes) -> Structure:
        """Take a file that was uploaded, and look at its first structure.

        Args:
            name: that it has, which says its format and is no path
            content: of the file

        Raises:
            JobError: it is no text or of another format, or cannot be read; in the words of the command line.
        """
        shown = "".join(each for each in name if each.isprintable())[-MOST_CHARACTERS:] or "structure"
        stored = stored_name(shown)
        if b"\0" in content:
            raise JobError(f"{shown} is no text: the page takes {_takes()}")
        identity = secrets.token_hex(8)
        file = self.folder / "structures" / identity / stored
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        try:
            looked = await self._look(file, shown, 0)
        except BaseException:
            shutil.rmtree(file.parent)
            raise
        structure = self._structures[identity] = Structure(identity, file, shown, looked)
        for old in list(self._structures)[:-MOST_STRUCTURES]:
            shutil.rmtree(self._structures.pop(old).file.parent, ignore_errors=True)
        return structure

    async def structure(self, identity: str, index: int) -> Structure:
        """A structure of a file that was uploaded.

        Raises:
            JobError: the file is not there any more, or has none of this index.
        """
        structure = self._structures.get(identity)
        if structure is None:
            raise JobError("the file is not there any more: drop it again")
        if structure.looked["index"] == index:
            return structure
        looked = await self._look(structure.file, structure.name, index)
        return Structure(identity, structure.file, structure.name, looked)

    async def _look(self, file: Path, shown: str, index: int) -> dict[str, Any]:
        task = {"look": file.name, "index": index, "atoms": self.limits.atoms, "folder": str(file.parent)}
        limits: list[asyncio.TimerHandle] = []

        def take(message: dict[str, Any]) -> None:
            if message["event"] == "looking":
                limits.append(asyncio.get_running_loop().call_later(READING_S, self._reader.interrupt))

        async with self._reading:
            try:
                ended = await self._reader.run(task, take)
            except asyncio.CancelledError:
                await self._reader.close()  # whose answer nobody would read
                raise
            finally:
                for limit in limits:
                    limit.cancel()
        if ended.code == 0:
            return ended.message["found"]
        problem = ended.message.get("error") or f"cannot be read within {READING_S:g} s: {ended.reason}"
        problem = problem.replace(f"{file.parent}/", "")
        raise JobError(problem.replace(file.name, shown) if file.name in problem else f"{shown}: {problem}")

    async def submit(self, identity: str, index: int, kind: str, values: Mapping[str, Any]) -> Job:
        """Add a job to the queue.

        Args:
            identity: of the structure's file
            index: of the structure in it
            kind: of the job
            values: of its settings

        Raises:
            JobError: too many jobs wait, or a setting cannot be so, or the structure would be too large.
        """
        if kind not in self.kinds:
            raise JobError(f"no kind of job {kind[:40]!r}; there are {', '.join(self.kinds)}")
        arguments = self.kinds[kind].arguments(values)
        structure = await self.structure(identity, index)
        n_atoms = structure.looked["n_atoms"] * self.kinds[kind].copies(values)
        if n_atoms > self.limits.atoms:
            raise JobError(f"that makes {n_atoms:,} atoms, and the page takes {self.limits.atoms:,} at most (--atoms)")
        self._make_room()
        self._number += 1
        name = re.sub(r"[^A-Za-z0-9]", "", structure.looked["formula"])[:40]
        folder = self.folder / "jobs" / f"{self._number:03d}-{kind}-{name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        shutil.copyfile(structure.file, folder / structure.file.name)
        course = Course(structure.looked["scene"])
        job = Job(folder.name, self.kinds[kind], structure, arguments, folder, self._number, course)
        self.jobs[job.id] = job
        self.changed.ring()
        return job

    def _make_room(self) -> None:
        """Refuse more jobs than may wait, and forget the oldest of those that are over."""
        if sum(job.state == "waiting" for job in self.jobs.values()) >= self.limits.waiting:
            raise JobError(f"{self.limits.waiting} jobs are waiting: stop one, or wait for the next to end (--waiting)")
        over = [job.id for job in self.jobs.values() if job.is_over]
        for old in over[: max(len(self.jobs) - MOST_JOBS + 1, 0)]:
            self.remove(old)

    def job(self, identity: str) -> Job:
        """A job by its name.

        Raises:
            JobError: there is none.
        """
        if identity not in self.jobs:
            raise JobError("there is no such job any more")
        return self.jobs[identity]

    def stop(self, identity: str) -> Job:
        """Stop a job that waits or is computed. What it has written is kept.

        Raises:
            JobError: there is no such job.
        """
        job = self.job(identity)
        if job.state == "waiting":
            job.end("stopped")
        elif job.state == "running":
            job.stop = job.stop or "asked"
            self._computer.interrupt()
        self.changed.ring()
        return job

    def remove(self, identity: str) -> None:
        """Forget a job that is over, and delete its folder.

        Raises:
            JobError: there is no such job, or it is not over.
        """
        job = self.job(identity)
        if not job.is_over:
            raise JobError("the job is not over: stop it first")
        del self.jobs[identity]
        shutil.rmtree(job.folder, ignore_errors=True)
        self.changed.ring()

    async def _do(self, job: Job) -> None:
        job.begin()
        self.changed.ring()
        await self._computer.start()
        if job.stop:
            job.end("stopped")
            self.changed.ring()
            return
        late = asyncio.get_running_loop().call_later(60 * self.limits.minutes, self._too_late, job)

        def take(message: dict[str, Any]) -> None:
            if job.state == "running":
                job.take(message)
                self.changed.ring()

        try:
            task = {"run": job.command(self.model), "folder": str(job.folder)}
            ended = await self._computer.run(task, take)
        except asyncio.CancelledError:
            with suppress(Exception):
                job.end("stopped")
            raise
        finally:
            late.cancel()
        self._end(job, ended)
        self.changed.ring()

    def _too_late(self, job: Job) -> None:
        job.stop = job.stop or "late"
        self._computer.interrupt()

    def _end(self, job: Job, ended: Ended) -> None:
        """Say how a job has ended."""
        errors = [each["words"] for each in job.said if each["kind"] == "error"]
        if job.stop == "late":
            job.end("failed", f"it was stopped after {self.limits.minutes:g} minutes (--minutes): take less to do")
        elif job.stop:
            job.end("stopped")
        elif ended.reason:
            job.end("failed", ended.reason, ended.origin)
        elif ended.message.get("error"):
            job.end("failed", ended.message["error"], ended.origin)
        elif errors:
            job.end("failed", "; ".join(errors))
        elif ended.code == 0 or job.table is not None:
            job.end("done")
        else:
            job.end("failed", f"the command ended with exit code {ended.code}")


def stored_name(name: str) -> str:
    """Name under which a file is stored: of its own it keeps the format.

    Raises:
        JobError: the page takes no such files.
    """
    ending = Path(name).suffix.lower()
    if ending in ENDINGS:
        return f"structure{ending}"
    if _POSCAR.fullmatch(name):
        return "POSCAR"
    raise JobError(
        f"{name} has an ending that the page does not know: it takes {_takes()}; torch-gptff in a terminal reads more "
        "formats, and other programs convert to these"
    )


def _takes() -> str:
    return f"{', '.join(ENDINGS)}, .vasp, and files called POSCAR or CONTCAR"
