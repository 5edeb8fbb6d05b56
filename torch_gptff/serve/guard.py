"""Checks of every request before it is answered: its origin, its token and its size."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from torch_gptff.serve.limits import MEGABYTE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_TEXT = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""Hash of an empty style element, which plotly.js fills from its script."""

POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' '{NO_TEXT}'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Scripts and styles are those of this server, and nothing else is asked for anything."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests under another name (DNS rebinding), from pages of others (CSRF), without the token, and with
    more than is taken. Every answer has :data:`HEADERS`.

    Args:
        app: that answers the others
        token: that requests have in ``Authorization: Bearer``
        host: that the server listens on
        most: bytes of a request
    """

    def __init__(self, app: App, token: str, host: str, most: int) -> None:
        self._app, self._token, self._host, self._most = app, token.encode(), host, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, words = refusal
            await JSONResponse({"error": words}, status)(scope, receive, send_guarded)
            return
        await self._app(scope, self._bounded(receive), send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers, path = Headers(scope=scope), scope["path"]
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_own_name(host, self._host):
            return 421, f"this server is not {host[:100]}: open the address that the terminal shows"
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "another page asks: only the page of this server may"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path.startswith("/api/"):
            return 403, "another page asks: only the page of this server may"
        if path.startswith("/api/"):
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind != "Bearer" or not secrets.compare_digest(token.encode(), self._token):
                return 401, "the token is missing or wrong: open the address that the terminal shows"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > self._most:
            return 413, too_large(self._most)
        return None

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def receive_bounded() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most:
                raise TooLargeError(too_large(self._most))
            return message

        return receive_bounded


class TooLargeError(ValueError):
    """A request that is larger than it may be, and did not say so before."""


def too_large(most: int) -> str:
    """The message about a request that is too large."""
    return f"the file is too large: the page takes {most / MEGABYTE:.3g} MB at most (--megabytes)"


def is_own_name(host: str, listens_on: str) -> bool:
    """Whether a request may have come by this name: by names of others, pages of others would reach the server.

    Any port will do, since a tunnel has another. An address of digits is nobody's name.

    Args:
        host: of the request, with or without a port
        listens_on: the host that the server listens on
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or (name and name == listens_on.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not is_loopback(listens_on) and name in (socket.gethostname().lower(), socket.getfqdn().lower())
    return address.is_loopback or not is_loopback(listens_on)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
