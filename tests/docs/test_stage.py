"""Links to files outside docs/ work on the site as in the repository."""

from __future__ import annotations

import pytest

from tools.docs.stage import ROOT, example_page, rewrite


def on_the_site(text: str, source: str = "docs/limits.md") -> str:
    page, problems = rewrite(text, source, lambda image: f"images/{image}")
    assert problems == []
    return page


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[guarded](../SECURITY.md)", "[guarded](security.md)"),
        ("[guarded](../SECURITY.md#what)", "[guarded](security.md#what)"),
        ("[presence](presence.md#in-your-app)", "[presence](presence.md#in-your-app)"),
        ("[why](decisions/)", "[why](decisions/index.md)"),
        ("[FastAPI](examples/fastapi_app.py)", "[FastAPI](examples/fastapi_app.md)"),
        ("[limits](../src/hubbub/limits.py)", "limits (`src/hubbub/limits.py`)"),
        ("[`limits.py`](../src/hubbub/limits.py)", "`src/hubbub/limits.py`"),
        ("![plot](../web/app/public/favicon.svg)", "![plot](images/web/app/public/favicon.svg)"),
        ("[presence.md](presence.md)", "[Presence: who is online](presence.md)"),
        ("[elsewhere](https://example.com) and [here](#top)", "[elsewhere](https://example.com) and [here](#top)"),
        ("`[in code](nowhere.md)`", "`[in code](nowhere.md)`"),
        ("what is\n[guarded\nand how](../SECURITY.md)", "what is\n[guarded\nand how](security.md)"),
        ("[`code`](presence.md) as text", "[`code`](presence.md) as text"),
    ],
)
def test_each_link_leads_where_it_should(link: str, expected: str) -> None:
    assert on_the_site(link) == expected


def test_links_of_pages_outside_docs_lead_into_it() -> None:
    assert on_the_site("[limits](docs/limits.md)", "SECURITY.md") == "[limits](limits.md)"
    assert on_the_site("[limits](../docs/limits.md)", "benchmarks/README.md") == "[limits](../limits.md)"


def test_links_in_code_are_not_changed() -> None:
    block = "```md\n[example](nowhere.md)\n```\n\n    [indented](nowhere.md)\n"

    assert on_the_site(block) == block


@pytest.mark.parametrize("target", ["nowhere.md", "../src/nowhere.py", "images/nowhere.png", "../../outside.md"])
def test_a_link_to_a_file_that_does_not_exist_is_named(target: str) -> None:
    _, problems = rewrite(f"[x]({target})", "docs/limits.md", str)

    assert problems == [f"docs/limits.md: {target} does not exist"]


def test_an_example_is_shown_in_full() -> None:
    example = ROOT / "docs" / "examples" / "fastapi_app.py"

    assert example.read_text() in example_page(example)
