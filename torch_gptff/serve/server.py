"""The server: a folder, a token, an address, and the application behind it."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch_gptff.errors import JobError
from torch_gptff.serve.guard import is_loopback
from torch_gptff.serve.kinds import Kind
from torch_gptff.serve.limits import Limits

LAST_WORDS_S = 2
"""Time that connections have to end when the server does, s."""


def serve(
    kinds: Sequence[Kind],
    limits: Limits,
    command: Sequence[str],
    model: Sequence[str],
    *,
    host: str,
    port: int,
    folder: Path | None,
    tell: Callable[[str], None],
) -> None:
    """Serve the page until the process is stopped.

    Args:
        kinds: of jobs
        limits: of what is taken
        command: that starts the process that computes
        model: words of the command line that name the model
        host: to listen on
        port: to listen on; 0 for any that is free
        folder: where files and results are kept; ``None`` for one that is deleted at the end
        tell: is given the address

    Raises:
        JobError: nothing can listen there.
    """
    import uvicorn

    from torch_gptff.serve.app import make_app
    from torch_gptff.serve.queue import Queue

    token = secrets.token_urlsafe(32)
    with _listening(host, port) as listener, _folder(folder) as place:
        app = make_app(Queue(place, kinds, limits, command, model), token, host)
        tell(address(host, listener.getsockname()[1], token))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # addresses of files have keys
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            limit_concurrency=100,
            timeout_graceful_shutdown=LAST_WORDS_S,
        )
        uvicorn.Server(config).run(sockets=[listener])


def address(host: str, port: int, token: str) -> str:
    """The address of the page: browsers keep what stands behind ``#`` to themselves, and the page takes it from there.

    Args:
        host: that the server listens on
        port: that the server listens on
        token: that the page has to know
    """
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/#token={token}"


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        other = "; take another --port" if is_loopback(host) else ""
        raise JobError(f"cannot listen on {host}, port {port}: {error.strerror}{other}") from error
    with listener:
        yield listener


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="torch-gptff-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()
