"""The check of the built site reports broken links, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs.links import broken_links, navigation_problems, read_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "guide").mkdir()
    (tmp_path / "logo.svg").touch()
    (tmp_path / "guide" / "index.html").write_text('<h2 id="first">First</h2><a href="../">Home</a>')
    return tmp_path


@pytest.mark.parametrize(
    "link", ["guide/", "guide/#first", "guide/index.html", "#top", ".", "logo.svg", "https://example.com/x", "mailto:x"]
)
def test_a_link_that_works_is_not_reported(site: Path, link: str) -> None:
    (site / "index.html").write_text(f'<h1 id="top">Home</h1><a href="{link}">x</a>')

    assert broken_links(site, read_site(site)) == []


@pytest.mark.parametrize("tag", ['<a href="{}">', '<img src="{}">', '<link href="{}">', '<script src="{}">'])
@pytest.mark.parametrize("link", ["missing/", "guide/#second", "#bottom", "guide/missing.svg", "logo.svg#part"])
def test_a_broken_link_is_reported(site: Path, tag: str, link: str) -> None:
    (site / "index.html").write_text(tag.format(link))

    assert broken_links(site, read_site(site)) == [f"index.html: broken link {link}"]


def test_the_navigation_has_every_page_and_no_other() -> None:
    config = "nav:\n  - Start: start.md\n  - More:\n      - more/index.md\n      - Gone: gone.md\n"

    assert navigation_problems(["start.md", "more/index.md", "lost.md"], config) == [
        "lost.md: not in the navigation of mkdocs.yml",
        "mkdocs.yml: there is no page gone.md",
    ]
