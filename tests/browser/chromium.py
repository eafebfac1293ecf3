"""Find Chromium. Install it if it is missing and that is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess

_NAMES = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
"""Root has no sandbox. Nothing here needs a GPU or Google's services."""


def find_chromium() -> str:
    """Return the path of Chromium. If there is none and it cannot be installed, raise RuntimeError."""
    path = _find() or _install()
    if path is None:
        raise RuntimeError(
            "the browser tests need Chromium: run `apt-get install chromium` as root, or put it on the PATH"
        )
    return path


def _find() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def _install() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    return _find()
