"""The process that computes, as the server sees it: it is started, given tasks, stopped, and started again."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

GRACE_S = 5.0
"""Time that a process has to stop by itself, s."""

STOPPED = 128 + signal.SIGTERM
"""Exit code of a command that was asked to stop."""

LONGEST_LINE = 256 * 2**20
"""Bytes of a message."""

LAST_LINES = 20
"""Number of last lines of standard error that are kept, to say why a process has ended."""


@dataclass(frozen=True)
class Ended:
    """The end of a task.

    Attributes:
        message: the last of the process; empty where the process has ended itself
        reason: why the process has ended, in words; empty where it has not
        origin: last lines of its standard error, or the traceback of an error
    """

    message: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    origin: str = ""

    @property
    def code(self) -> int | None:
        """The exit code of a command; ``None`` where the process has ended."""
        return self.message.get("code")


class Worker:
    """A process that does one task after the other.

    Args:
        command: that starts it
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: asyncio.subprocess.Process | None = None
        self._errors: deque[str] = deque(maxlen=LAST_LINES)
        self._reader: asyncio.Task[None] | None = None
        self._kill: asyncio.TimerHandle | None = None

    async def start(self) -> asyncio.subprocess.Process:
        """The process, ready; it is started where there is none, or none any more."""
        if self._process is not None and self._process.returncode is not None:
            await self._ended(self._process)
        if self._process is None:
            self._errors.clear()
            self._forget_kill()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,  # Ctrl-C is for the server
            )
            self._reader = asyncio.create_task(self._read_errors(self._process))
            assert self._process.stdout is not None
            await self._process.stdout.readline()  # that it is ready; or nothing, which the first task finds
        return self._process

    async def run(self, task: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> Ended:
        """Have a task done.

        Args:
            task: see :mod:`torch_gptff.serve.worker`
            take: takes messages, one after the other
        """
        process = await self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(ConnectionError):  # a process that has just ended, which the next lines find
            process.stdin.write((json.dumps(task) + "\n").encode())
            await process.stdin.drain()
        try:
            while line := await process.stdout.readline():
                message = json.loads(line)
                if message["event"] == "ended":
                    if self._kill is not None and message["code"] != STOPPED:
                        await self.close()  # the signal came too late for the task, and ends the process
                    return Ended(message, origin=message.get("origin", ""))
                take(message)
        finally:
            self._forget_kill()
        return await self._ended(process)

    def interrupt(self) -> None:
        """Ask the process to stop what it does, and end it where it does not."""
        if self._process is None or self._kill is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            self._kill = asyncio.get_running_loop().call_later(GRACE_S, self._end_at_once, self._process)

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end_at_once(self._process)
            await self._ended(self._process)

    async def _ended(self, process: asyncio.subprocess.Process) -> Ended:
        code = await process.wait()
        if self._reader is not None:
            await self._reader
        self._process = None
        return Ended(reason=_reason(code), origin="\n".join(self._errors))

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            self._errors.append(line.decode(errors="replace").rstrip())

    def _forget_kill(self) -> None:
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None

    @staticmethod
    def _end_at_once(process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.kill()


def _reason(code: int) -> str:
    """Why a process has ended, in words."""
    if code >= 0:
        return f"the process that computes has ended by itself, with exit code {code}"
    name = signal.Signals(-code).name if -code in {each.value for each in signal.Signals} else f"signal {-code}"
    memory = ": the system does so where memory is short; take a smaller structure" if name == "SIGKILL" else ""
    return f"the process that computes was ended by {name}{memory}"
