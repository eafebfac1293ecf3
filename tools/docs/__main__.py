"""Builds the site into build/site, strictly: ``python -m tools.docs``, and ``--serve`` to look at it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tools.docs.api import complaints, public_names
from tools.docs.command_line import PAGE, command_line_page, out_of_step
from tools.docs.links import broken_links, outside_of_nav, read_site
from tools.docs.stage import ROOT, stage

STAGED: Final = ROOT / "build" / "docs"
SITE: Final = ROOT / "build" / "site"

#: Zensical colours every character by itself, whoever reads it.
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def build() -> list[str]:
    """Builds the site; gives what is wrong with it."""
    wrong = [*out_of_step(), *stage(STAGED)]
    staged = [page.relative_to(STAGED).as_posix() for page in sorted(STAGED.rglob("*.md"))]
    wrong += outside_of_nav(staged, (ROOT / "mkdocs.yml").read_text())
    if wrong:
        return wrong
    shutil.rmtree(SITE, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    warnings, _, traceback = COLOUR.sub("", built.stderr).partition("Traceback")
    print(warnings, end="", file=sys.stderr)
    if built.returncode:
        return ["the build failed: see above" if "--strict" in traceback else traceback]  # --strict ends with one
    pages = read_site(SITE)
    reference = {
        anchor for path, page in pages.items() if "reference" in path.relative_to(SITE).parts for anchor in page.anchors
    }
    return [*broken_links(SITE, pages), *complaints(public_names(), reference)]


def serve(port: int) -> None:
    """Serves the built site on this machine until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{port}")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def main() -> int:
    """Builds, says what is wrong, and serves on request; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the page of the command line anew, and no more")
    parser.add_argument("--serve", action="store_true", help="serve the site once it is built")
    parser.add_argument("--port", type=int, default=8001)
    arguments = parser.parse_args()
    if arguments.write:
        PAGE.write_text(command_line_page())
        return 0
    begun = time.monotonic()
    wrong = build()
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    print(f"{SITE.relative_to(ROOT)}: {len(wrong)} complaints, {time.monotonic() - begun:.1f} s")
    if arguments.serve:
        serve(arguments.port)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
