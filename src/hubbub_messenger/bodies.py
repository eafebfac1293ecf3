"""What may come as a body: JSON, and not too much of it."""

from __future__ import annotations

from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub_messenger.problems import ProblemResponse


class BodyLimit:
    """Refuses a body over ``max_bytes`` with 413: by its declared length at once, otherwise where it passes the limit.

    FastAPI's own ``max_body_size`` answers a declared length in plain text.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._detail = f"A body has at most {max_bytes} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if len(declared) > 18 or (declared.isdecimal() and int(declared) > self._max_bytes):
            await ProblemResponse(413, self._detail)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413, self._detail)
            return message

        await self.app(scope, limited, send)


async def json_only(request: Request) -> None:
    """Refuses a body of another media type with 415, which also keeps out the forms of foreign pages."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise HTTPException(415, "Send the body as application/json.", {"Accept": "application/json"})
