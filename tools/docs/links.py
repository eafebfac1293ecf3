"""Whether everything on the built site leads somewhere: pages, images, style sheets, and anchors within pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

LINKS: Final = {"a": "href", "img": "src", "link": "href", "script": "src"}


class Page(HTMLParser):
    """One page of the site: what it links to, and what can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag links to, and its own id."""
        values = dict(attrs)
        if identifier := values.get("id") or (values.get("name") if tag == "a" else None):
            self.anchors.add(identifier)
        if link := values.get(LINKS.get(tag, "")):
            self.links.append(link)


def read_site(site: Path) -> dict[Path, Page]:
    """Reads every page below ``site``, except the one for addresses that lead nowhere."""
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def broken_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Tells which links within the site lead nowhere."""
    return [
        f"{path.relative_to(site)}: {link} leads nowhere"
        for path, page in pages.items()
        for link in dict.fromkeys(page.links)
        if not _leads_somewhere(link, path, pages)
    ]


def _leads_somewhere(link: str, page: Path, pages: dict[Path, Page]) -> bool:
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


def outside_of_nav(pages: list[str], config: str) -> list[str]:
    """Tells which staged pages the navigation in mkdocs.yml leaves out, and which of its pages there are none of."""
    listed = set(re.findall(r"^\s+- (?:.+: )?([\w./-]+\.md)$", config, re.MULTILINE))
    return [
        *(f"{page}: not in the navigation of mkdocs.yml" for page in pages if page not in listed),
        *(f"mkdocs.yml: there is no page {page}" for page in sorted(listed.difference(pages))),
    ]
