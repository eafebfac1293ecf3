"""Serves the built web app: its files with caching, and its one page for every address that the app itself knows."""

from __future__ import annotations

import gzip
import hashlib
import html
import logging
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger("hubbub.messenger")

#: Where ``npm run build`` puts the app, and the wheel carries it.
STATIC: Final = Path(__file__).parent / "static"

#: Scripts, styles and images of our own and nothing inline; no HTML from strings, whoever wrote them; no frames.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_PAGES: Final = ("/c/", "/u/")
_FOREVER: Final = "public, max-age=31536000, immutable"  # a changed file gets another name
_ASK_AGAIN: Final = "no-cache"
_NOT_BUILT: Final = "The web app is not built. Run `make run`, or `npm ci && npm run build` in the folder web.\n"


def mount_web(app: FastAPI, folder: Path = STATIC, demo_users: Sequence[str] = ()) -> None:
    """Serves the app in ``folder`` wherever no route matches, so that routes keep their own 404 and 405.

    demo_users: names that the login page offers; the password of each is the name.
    """
    app.router.default = Web(folder, app.router.default, demo_users)


class File(NamedTuple):
    """One file, ready to be sent."""

    body: bytes
    zipped: bytes | None
    headers: dict[str, str]


class Web:
    """The built app, held in memory: some 300 KB, and no path from outside ever reaches the file system."""

    def __init__(self, folder: Path, otherwise: ASGIApp, demo_users: Sequence[str] = ()) -> None:
        """otherwise: what answers what is not for the web app."""
        self._otherwise = otherwise
        self._page: File | None = None
        self._files: dict[str, File] = {}
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            if name == "index.html":
                self._page = _load(name, _with_demo_users(path.read_bytes(), demo_users))
            elif path.is_file():
                self._files[f"/{name}"] = _load(name, path.read_bytes())
        if self._page is None:
            logger.warning("the web app is not built: there is no %s", folder / "index.html")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope."""
        answer = self._answer(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._otherwise)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        path = request.url.path
        if request.method not in ("GET", "HEAD") or path.startswith("/api/"):
            return None
        if path in self._files:
            return _respond(request, self._files[path])
        is_known = path == "/" or path.startswith(_PAGES)
        if not is_known and "text/html" not in request.headers.get("accept", ""):
            return None
        if self._page is None:
            return PlainTextResponse(_NOT_BUILT, 503)
        return _respond(request, self._page, 200 if is_known else 404)


def _load(name: str, body: bytes) -> File:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    zipped = gzip.compress(body, mtime=0)
    headers = {
        "Content-Type": media_type,
        "Cache-Control": _FOREVER if name.startswith("assets/") else _ASK_AGAIN,
        "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return File(body, zipped if len(zipped) < len(body) else None, headers)


def _respond(request: Request, file: File, status: int = 200) -> Response:
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if status == 200 and file.headers["ETag"] in known:
        return Response(None, 304, file.headers)
    if file.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, status, {**file.headers, "Content-Encoding": "gzip"})
    return Response(file.body, status, file.headers)


def _with_demo_users(page: bytes, names: Sequence[str]) -> bytes:
    empty = b'<meta name="demo-users" content="'
    return page.replace(empty, empty + html.escape(" ".join(names)).encode())
