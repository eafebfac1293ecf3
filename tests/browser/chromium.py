"""Where Chromium is; installed where it is missing and may be."""

from __future__ import annotations

import os
import shutil
import subprocess

_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: Root has no sandbox, and nothing here needs a GPU or the maker's services.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find_chromium() -> str:
    """Gives the path of Chromium; raises RuntimeError with the remedy where there is none and none can be had."""
    return _find() or _install() or _give_up()


def _find() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def _install() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    return _find()


def _give_up() -> str:
    raise RuntimeError("the browser tests need Chromium: run `apt-get install chromium` as root, or put it on the PATH")
