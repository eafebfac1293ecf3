"""Collect the pages of the site: those in docs/, and some that are elsewhere in the repository.

People also read the pages in the repository itself, so a link out of docs/ is a path like `../SECURITY.md`. On the
site, such a link goes to the staged copy of that page, or to the page made from an example's source. If there is
neither, it becomes the path in code. A link whose text is a file name gets the title of that page as its text. A link
to a file that does not exist is a problem.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"

PAGES: Final = {
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "measuring/programs.md",
    "benchmarks/report/report.md": "measuring/report.md",
}
"""Pages of the site that are outside docs/ in the repository, with their name on the site."""

REPORT: Final = "benchmarks/report/"
"""What `make bench` writes. If it is missing, the site has no images of it, and NO_REPORT in place of its page."""

NO_REPORT: Final = "# No report\n\nThere is no report of a full run here. `make bench` makes one.\n"

IMAGES: Final = {".svg", ".png"}
EXAMPLES: Final = "docs/examples/"

FENCE: Final = re.compile(r"^(\s*)(```+|~~~+)")
LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
CODE: Final = re.compile(r"(`+)(?:.+?)\1")


class BrokenLink(Exception):
    """A page links to a file that does not exist."""


def stage(target: Path) -> list[str]:
    """Write all pages and images below `target`, and return what is wrong with them."""
    shutil.rmtree(target, ignore_errors=True)
    problems: list[str] = []
    sources = [path.relative_to(ROOT).as_posix() for path in sorted(DOCS.rglob("*")) if path.is_file()]
    for source in [*sources, *(page for page in PAGES if (ROOT / page).exists())]:
        name = staged_name(source)
        if name is None:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".py"):
            place.write_text(example_page(ROOT / source))
        elif source.endswith(".md"):
            text, broken = rewrite((ROOT / source).read_text(), source, lambda image: _copy_image(image, target))
            problems += broken
            place.write_text(text)
        else:
            shutil.copyfile(ROOT / source, place)
    for source, name in PAGES.items():
        if source.startswith(REPORT) and not (target / name).exists():
            (target / name).write_text(NO_REPORT)
    return problems


def staged_name(source: str) -> str | None:
    """Return the name on the site of a file of the repository, or None if the site does not have it."""
    if source in PAGES:
        return PAGES[source]
    if not source.startswith("docs/"):
        return None
    name = source.removeprefix("docs/")
    suffix = posixpath.splitext(name)[1]
    if source.startswith(EXAMPLES) and suffix == ".py":
        return name.removesuffix(".py") + ".md"
    if posixpath.basename(name) == "README.md":
        return posixpath.join(posixpath.dirname(name), "index.md")
    return name if suffix in {".md", ".css", ".json", *IMAGES} else None


def example_page(path: Path) -> str:
    """Return the page of an example: its docstring, and the whole file."""
    source = path.read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return f'# `{path.name}`\n\n{docstring}\n\n```python title="{path.name}"\n{source}```\n'


def rewrite(text: str, source: str, copy_image: Callable[[str], str]) -> tuple[str, list[str]]:
    """Return a page with its links changed for the site, and its broken links."""
    problems: list[str] = []

    def replace(match: re.Match[str]) -> str:
        try:
            return _link(match, source, copy_image)
        except BrokenLink as error:
            problems.append(f"{source}: {error}")
            return match.group()

    pieces: list[str] = []
    prose: list[str] = []
    fence = ""
    for line in [*text.splitlines(keepends=True), None]:
        mark = FENCE.match(line) if line else None
        if line is not None and not fence and not mark and not line.startswith("    "):
            prose.append(line)
            continue
        pieces.append(_outside_code("".join(prose), replace))
        prose.clear()
        pieces.append(line or "")
        if mark and (not fence or mark[2].startswith(fence)):
            fence = "" if fence else mark[2]
    return "".join(pieces), problems


def _outside_code(prose: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Replace the links of some lines, except those inside code."""
    codes = [match.span() for match in CODE.finditer(prose)]

    def unless_code(match: re.Match[str]) -> str:
        inside = any(start < match.start() and match.end() < end for start, end in codes)
        return match.group() if inside else replace(match)

    return LINK.sub(unless_code, prose)


def _link(match: re.Match[str], source: str, copy_image: Callable[[str], str]) -> str:
    target = match["target"]
    path, hash, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return match.group()
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if file.startswith(REPORT) and match["image"] and not (ROOT / file).exists():
        return ""
    if file.startswith("..") or not ((ROOT / file).exists() or file in PAGES):
        raise BrokenLink(f"{target} does not exist")
    if (ROOT / file).is_dir() and (ROOT / file / "README.md").exists():
        file = posixpath.join(file, "README.md")
    name = staged_name(file)
    if name is None and posixpath.splitext(file)[1] in IMAGES:
        name = copy_image(file)
    if name is None:
        text = match["text"]
        return f"`{file}`" if text.strip("`") in {file, path, posixpath.basename(file)} else f"{text} (`{file}`)"
    text = match["text"]
    if text.strip("`") in {file, path} and file.endswith(".md") and (ROOT / file).exists():
        text = _title((ROOT / file).read_text()) or text
    start = posixpath.dirname(staged_name(source) or "")
    return f"{match['image']}[{text}]({os.path.relpath(name, start or '.')}{hash}{anchor})"


def _title(page: str) -> str | None:
    """Return a page's title. Readers of the site know the page by its title, not by its file name."""
    heading = re.search(r"^# (.+)$", page, re.MULTILINE)
    return heading[1] if heading else None


def _copy_image(source: str, target: Path) -> str:
    """Copy an image from outside docs/ into the site, and return its name there."""
    name = f"images/{source}"
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / source, target / name)
    return name
