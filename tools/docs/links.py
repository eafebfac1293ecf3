"""Check that every link of the built site works: to pages, images, style sheets, and anchors within pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

LINKS: Final = {"a": "href", "img": "src", "link": "href", "script": "src"}


class Page(HTMLParser):
    """One page of the site: its links, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the link and the id of a tag."""
        values = dict(attrs)
        if identifier := values.get("id") or (values.get("name") if tag == "a" else None):
            self.anchors.add(identifier)
        if link := values.get(LINKS.get(tag, "")):
            self.links.append(link)


def read_site(site: Path) -> dict[Path, Page]:
    """Read every page of a site, except the one for addresses that do not exist."""
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def broken_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return which links within the site are broken."""
    return [
        f"{path.relative_to(site)}: broken link {link}"
        for path, page in pages.items()
        for link in dict.fromkeys(page.links)
        if not _works(link, path, pages)
    ]


def _works(link: str, page: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if not parts.fragment:
        return target.exists()
    found = pages.get(target)
    return found is not None and (unquote(parts.fragment) in found.anchors or parts.fragment.startswith("__"))


def navigation_problems(pages: list[str], config: str) -> list[str]:
    """Return which staged pages are missing from the navigation in mkdocs.yml, and which of its pages do not exist."""
    listed = set(re.findall(r"^\s+- (?:.+: )?([\w./-]+\.md)$", config, re.MULTILINE))
    return [
        *(f"{page}: not in the navigation of mkdocs.yml" for page in pages if page not in listed),
        *(f"mkdocs.yml: there is no page {page}" for page in sorted(listed.difference(pages))),
    ]
