"""Build the documentation site into build/site and check it: `python -m tools.docs`, with `--serve` to look at it."""

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

from tools.docs.api import docstring_problems, problems, public_names
from tools.docs.command_line import PAGE, check_page, command_line_page
from tools.docs.links import broken_links, navigation_problems, read_site
from tools.docs.stage import ROOT, stage

STAGED: Final = ROOT / "build" / "docs"
SITE: Final = ROOT / "build" / "site"

COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
"""Zensical colours its output even if it is not a terminal that reads it."""


def build() -> list[str]:
    """Build the site, and return what is wrong with it."""
    found = [*check_page(), *stage(STAGED)]
    staged = [page.relative_to(STAGED).as_posix() for page in sorted(STAGED.rglob("*.md"))]
    found += navigation_problems(staged, (ROOT / "mkdocs.yml").read_text())
    if found:
        return found
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
    return [*broken_links(SITE, pages), *problems(public_names(), reference), *docstring_problems("hubbub")]


def serve(port: int) -> None:
    """Serve the built site on 127.0.0.1 until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{port}")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def main() -> int:
    """Build the site, print what is wrong, and serve it on request. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="only write the page of the command line again")
    parser.add_argument("--serve", action="store_true", help="serve the site when it is built")
    parser.add_argument("--port", type=int, default=8001)
    arguments = parser.parse_args()
    if arguments.write:
        PAGE.write_text(command_line_page())
        return 0
    started = time.monotonic()
    found = build()
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{SITE.relative_to(ROOT)}: {len(found)} problems, {time.monotonic() - started:.1f} s")
    if arguments.serve:
        serve(arguments.port)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
