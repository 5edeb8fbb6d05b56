"""The application: what the page asks for, and the answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import mimetypes
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from torch_gptff import __version__
from torch_gptff.errors import GPTFFError, JobError
from torch_gptff.serve.guard import Guard, TooLargeError
from torch_gptff.serve.job import TYPES, Job
from torch_gptff.serve.queue import Queue

PAGE = Path(__file__).parent / "page"
REPORT = PAGE.parents[1] / "report"

STATIC = {
    **{name: PAGE / name for name in ("app.css", "app.js", "curve.js", "stream.js")},
    "style.css": REPORT / "style.css",
    **{name: REPORT / "scripts" / name for name in ("page.js", "plots.js", "viewer.js")},
    **{name: REPORT / "assets" / name for name in ("3Dmol-min.js", "plotly-cartesian.min.js")},
}
"""Scripts and styles of the page, with those of reports, and where they are."""

SANDBOX = "sandbox allow-scripts allow-downloads"
"""A report in the browser is a page of nobody: it can ask this server for nothing."""

PAUSE_S = 0.1
"""Smallest time between two events, s."""

ALIVE_S = 15.0
"""Largest time between two events, s, by which either side finds that the other has gone."""


def make_app(queue: Queue, token: str, host: str = "127.0.0.1") -> Starlette:
    """The application.

    Args:
        queue: of jobs
        token: that whoever asks has to know
        host: that the server listens on
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(queue.work())
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            await queue.close()

    answers = Answers(queue, token)
    routes = [
        Route("/", answers.page),
        Route("/static/{name}", answers.static),
        Route("/files/{job}/{name}", answers.file),
        Route("/api/start", answers.start),
        Route("/api/events", answers.events),
        Route("/api/structures", answers.take_file, methods=["POST"]),
        Route("/api/structures/{structure}", answers.structure),
        Route("/api/jobs", answers.submit, methods=["POST"]),
        Route("/api/jobs/{job}/stop", answers.stop, methods=["POST"]),
        Route("/api/jobs/{job}", answers.remove, methods=["DELETE"]),
    ]
    guard = Middleware(Guard, token=token, host=host, most=queue.limits.upload)
    handlers: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        GPTFFError: _refused,
        HTTPException: _not_there,
        TooLargeError: _too_large,
    }
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers, lifespan=lifespan)


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _too_large(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 413)


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


class Answers:
    """Answers to requests.

    Args:
        queue: of jobs
        token: from which the keys of files are made
    """

    def __init__(self, queue: Queue, token: str) -> None:
        self._queue = queue
        self._token = token.encode()

    async def page(self, request: Request) -> Response:
        """The page, which is the same for everybody."""
        return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")

    async def static(self, request: Request) -> Response:
        """A script or a style."""
        path = STATIC.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "there is no such file")
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0], headers={"cache-control": "no-cache"})

    async def start(self, request: Request) -> Response:
        """The data that the page needs at its start."""
        queue = self._queue
        return JSONResponse(
            {
                "version": __version__,
                "kinds": [kind.described() for kind in queue.kinds.values()],
                "model": queue.model,
                "limits": {"bytes": queue.limits.upload, "atoms": queue.limits.atoms, "minutes": queue.limits.minutes},
            }
        )

    async def take_file(self, request: Request) -> Response:
        """Take a file: its bytes are the request, its name is in a header."""
        content = bytearray()
        with suppress(ClientDisconnect):
            async for piece in request.stream():
                content += piece
        name = unquote(request.headers.get("x-file-name", ""))
        structure = await self._queue.take_file(name, bytes(content))
        return JSONResponse(structure.described())

    async def structure(self, request: Request) -> Response:
        """Another structure of a file."""
        index = _whole_number(request.query_params.get("index", "0"))
        structure = await self._queue.structure(request.path_params["structure"], index)
        return JSONResponse(structure.described())

    async def submit(self, request: Request) -> Response:
        """Add a job."""
        try:
            asked = await request.json()
            identity, index, kind, values = (asked[name] for name in ("structure", "index", "kind", "values"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise JobError("a job is a structure, its index, a kind and values of settings, as JSON") from error
        if not (isinstance(identity, str) and isinstance(kind, str) and isinstance(values, dict)):
            raise JobError("a job has a structure and a kind by their names, and settings by theirs")
        job = await self._queue.submit(identity, _whole_number(index), kind, values)
        return JSONResponse(self._described(job), 201)

    async def stop(self, request: Request) -> Response:
        """Stop a job."""
        return JSONResponse(self._described(self._queue.stop(request.path_params["job"])))

    async def remove(self, request: Request) -> Response:
        """Forget a job."""
        self._queue.remove(request.path_params["job"])
        return JSONResponse({})

    async def file(self, request: Request) -> Response:
        """A result, for whoever has the key in its address. A report is shown, all else is saved."""
        identity, name = request.path_params["job"], request.path_params["name"]
        key = request.query_params.get("key", "")
        if not secrets.compare_digest(key.encode(), self._key(identity, name).encode()):
            raise HTTPException(401, "the key in the address is missing or wrong: take the link on the page")
        path = self._queue.job(identity).files.get(name)
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no such file any more")
        is_shown = path.suffix == ".html" and "save" not in request.query_params
        return FileResponse(
            path,
            filename=name,
            media_type=TYPES[path.suffix],
            content_disposition_type="inline" if is_shown else "attachment",
            headers={"content-security-policy": SANDBOX},
        )

    async def events(self, request: Request) -> Response:
        """All changes of jobs, and the course of one, as server-sent events for as long as somebody listens."""
        return StreamingResponse(self.changes(request.query_params.get("job")), media_type="text/event-stream")

    async def changes(self, followed: str | None) -> AsyncIterator[str]:
        """Events: first all there is, then what changes.

        Args:
            followed: name of the job whose course is told, too
        """
        seen: dict[str, int] = {}
        course = (-1, 0, 0)
        first = True
        while True:
            change, jobs = self._queue.changed.next(), self._queue.jobs
            changed = [job for job in jobs.values() if seen.get(job.id) != job.version]
            gone = [each for each in seen if each not in jobs]
            if changed or gone or first:
                seen = {job.id: job.version for job in jobs.values()}
                yield _event("jobs", {"jobs": [self._described(job) for job in changed], "gone": gone, "all": first})
            if followed in jobs:
                course, news = jobs[followed].course.since(course)
                if news is not None:
                    yield _event("course", {"job": followed, **news})
            first = False
            try:
                await asyncio.wait_for(change.wait(), ALIVE_S)
            except asyncio.TimeoutError:
                yield ": alive\n\n"
            await asyncio.sleep(PAUSE_S)

    def _described(self, job: Job) -> dict[str, Any]:
        described = job.described(self._queue.model)
        links = {name: f"/files/{job.id}/{quote(name)}?key={self._key(job.id, name)}" for name in described["files"]}
        return {**described, "links": links}

    def _key(self, identity: str, name: str) -> str:
        """By which a file can be asked for: it opens this file alone, and does not tell the token."""
        return hmac.new(self._token, f"{identity}/{name}".encode(), hashlib.sha256).hexdigest()[:40]


def _event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n"


def _whole_number(value: Any) -> int:
    try:
        return int(str(value)[:12])
    except ValueError:
        raise JobError(f"{str(value)[:40]!r} is no whole number") from None
