"""The built web app: its files, and its single page at every address that the app routes itself."""

from __future__ import annotations

import hashlib
import html
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

logger = logging.getLogger("hubbub.messenger")

STATIC: Final = Path(__file__).parent / "static"
"""The folder of the built app: `npm run build` writes it, and the wheel includes it."""

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
"""Only scripts, styles and images of this host, none of them inline; no HTML built from strings; no frames."""

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_APP_ROUTES: Final = ("/c/", "/u/")  # in web/app/src/App.tsx
_CACHE_FOREVER: Final = "public, max-age=31536000, immutable"  # Vite names a changed asset differently
_REVALIDATE: Final = "no-cache"
_COMPRESS_IN_THREAD: Final = 16 * 1024  # bytes; smaller bodies take the event loop less than a millisecond
_NOT_BUILT: Final = "The web app is not built. Run `make run`, or `npm ci && npm run build` in the folder web.\n"


def serve_web_app(app: FastAPI, directory: Path = STATIC, demo_users: Sequence[str] = ()) -> None:
    """Serve the web app at every address that no route of `app` matches, so that routes keep their own 404 and 405.

    Args:
        app: the application that serves REST and the socket.
        directory: where the built web app is.
        demo_users: usernames that the login page offers. The password of each is its username.
    """
    if not (directory / "index.html").exists():
        logger.warning("the web app is not built: %s is missing", directory / "index.html")
    files = WebAppFiles(directory, demo_users)
    app.router.default = GZipMiddleware(files, thread_minimum_size=_COMPRESS_IN_THREAD)


class WebAppFiles(StaticFiles):
    """Starlette's static files, with the page of a single-page app in front of them.

    Args:
        directory: where the built web app is. It may be missing: then the page says how to build it.
        demo_users: usernames that the login page offers.
    """

    def __init__(self, directory: Path, demo_users: Sequence[str] = ()) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._index = directory / "index.html"
        self._demo_users = html.escape(" ".join(demo_users))

    async def check_config(self) -> None:
        """Accept a missing directory."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the page, a file, or for a browser at an unknown address the page with status 404.

        Raises:
            HTTPException: 404 for everything else, in the form in which REST answers errors.
        """
        address = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or address.startswith("/api/"):
            raise HTTPException(404)
        if address == "/" or address.startswith(_APP_ROUTES):
            response = self._page(scope)
        else:
            response = await self._file(path, scope)
        etag = response.headers.get("etag")
        if etag is not None:
            response.headers["ETag"] = f"W/{etag}"  # compressed and plain bytes share it (RFC 9110 section 8.8.1)
        if response.status_code == 304:
            response.headers["Vary"] = "Accept-Encoding"  # to a 200 the GZipMiddleware adds it
        is_asset = path.startswith("assets/") and response.status_code in (200, 304)
        response.headers["Cache-Control"] = _CACHE_FOREVER if is_asset else _REVALIDATE
        response.headers.update(_SECURITY_HEADERS)
        return response

    async def _file(self, path: str, scope: Scope) -> Response:
        try:
            if path == "index.html":  # the page has one address
                raise HTTPException(404)
            return await super().get_response(path, scope)
        except HTTPException as error:
            if "text/html" not in Headers(scope=scope).get("accept", ""):
                # StaticFiles answers 401 for a file that it may not read: a client would ask for a password.
                raise HTTPException(404 if error.status_code == 401 else error.status_code) from None
            return self._page(scope, 404)

    def _page(self, scope: Scope, status: int = 200) -> Response:
        try:
            page = self._index.read_text("utf-8")  # 1 KB: faster than handing it to a thread
        except FileNotFoundError:
            return PlainTextResponse(_NOT_BUILT, 503)
        empty = '<meta name="demo-users" content="'
        page = page.replace(empty, empty + self._demo_users)
        # Starlette's ETag is time and size. Builds with fixed times differ in neither: asset names are equally long.
        etag = f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'
        response = HTMLResponse(page, status, {"ETag": etag})
        if status == 200 and self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response
