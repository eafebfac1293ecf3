"""Puts the pages of the site together: docs/ as it is, and what its pages link to elsewhere in the repository.

On a forge the pages are read where they lie, so a link out of docs/ is a path like ``../SECURITY.md``. The site has
docs/ only: such a link leads to the copy of a page that is named here, to a page made from an example's source, or
else becomes the path itself, in code. A link whose text is the name of a file gets the title of its page instead. A
link to what does not exist is an error.
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

#: Pages of the site that lie elsewhere in the repository, or under another name.
PAGES: Final = {
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "measuring/programs.md",
    "benchmarks/report/report.md": "measuring/report.md",
}

#: What `make bench` writes. A fresh checkout may lack it: its images are left out then, and its page says so.
MEASURED: Final = "benchmarks/report/"
NOT_MEASURED: Final = "# No report\n\nNo full run is kept here. `make bench` makes one.\n"

IMAGES: Final = {".svg", ".png"}
EXAMPLES: Final = "docs/examples/"

FENCE: Final = re.compile(r"^(\s*)(```+|~~~+)")
LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
CODE: Final = re.compile(r"(`+)(?:.+?)\1")


class BrokenLink(Exception):
    """A page links to what is not there."""


def stage(target: Path) -> list[str]:
    """Writes all pages and images below ``target``; gives what is wrong with them."""
    shutil.rmtree(target, ignore_errors=True)
    complaints: list[str] = []
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
            complaints += broken
            place.write_text(text)
        else:
            shutil.copyfile(ROOT / source, place)
    for source, name in PAGES.items():
        if source.startswith(MEASURED) and not (target / name).exists():
            (target / name).write_text(NOT_MEASURED)
    return complaints


def staged_name(source: str) -> str | None:
    """Gives the name within the site of a file of the repository; None where the site does not have it."""
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
    """Makes a page of an example: its docstring, and all of the file."""
    source = path.read_text()
    about = ast.get_docstring(ast.parse(source)) or ""
    return f'# `{path.name}`\n\n{about}\n\n```python title="{path.name}"\n{source}```\n'


def rewrite(text: str, source: str, copy_image: Callable[[str], str]) -> tuple[str, list[str]]:
    """Makes the links of a page those of the site; gives the page, and its broken links."""
    complaints: list[str] = []

    def replace(match: re.Match[str]) -> str:
        try:
            return _link(match, source, copy_image)
        except BrokenLink as error:
            complaints.append(f"{source}: {error}")
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
    return "".join(pieces), complaints


def _outside_code(prose: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Replaces the links of some lines, except those written inside of code."""
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
    if file.startswith(MEASURED) and match["image"] and not (ROOT / file).exists():
        return ""
    if file.startswith("..") or not ((ROOT / file).exists() or file in PAGES):
        raise BrokenLink(f"{target} is not there")
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
    """Gives a page's title: a reader of the site knows it by that, not by the name of a file."""
    heading = re.search(r"^# (.+)$", page, re.MULTILINE)
    return heading[1] if heading else None


def _copy_image(source: str, target: Path) -> str:
    """Brings an image from elsewhere in the repository into the site; gives its name there."""
    name = f"images/{source}"
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / source, target / name)
    return name
