"""ASGI middleware that protects the parsers of request bodies and cookies."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub_messenger.problem_details import ProblemResponse


class BodyLimitMiddleware:
    """Answer 413 to a body that is too long.

    A declared length over the limit is refused at once, a body without one as soon as it passes the limit. FastAPI's
    own `max_body_size` answers a declared length in plain text, not as a problem.

    Args:
        app: the application behind this middleware.
        max_bytes: how many bytes a body may have.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._detail = f"The body is too long: at most {max_bytes} bytes are accepted."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        # Nineteen digits are too many in any case, and int() raises ValueError for thousands of them.
        if len(declared) > 18 or (declared.isdecimal() and int(declared) > self._max_bytes):
            await ProblemResponse(413, self._detail)(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413, self._detail)
            return message

        await self.app(scope, receive_limited, send)


class CookieFilterMiddleware:
    """Drop cookies that contain a backslash. Those of the messenger never do.

    FastAPI parses every cookie of every request with `http.cookies`. Before Python 3.11.10 that takes quadratic time
    for backslashes (CVE-2024-7592): one header of 8 KiB blocks the event loop for 0.2 s.

    Args:
        app: the application behind this middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            scope["headers"] = [
                (name, _without_backslashes(value)) if name == b"cookie" and b"\\" in value else (name, value)
                for name, value in scope["headers"]
            ]
        await self.app(scope, receive, send)


def _without_backslashes(header: bytes) -> bytes:
    return b";".join(cookie for cookie in header.split(b";") if b"\\" not in cookie)
