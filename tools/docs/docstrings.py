"""How docstrings are read here: ``#:`` comments count, and a list of ``name: what it is`` lines is a list.

An extension of griffe, for mkdocstrings.
"""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

FIELD: Final = re.compile(r"([a-z_][a-z_0-9]*(?:, [a-z_0-9]+)*): (.*)")
NEXT_FIELD: Final = re.compile(r"(?<=[.;]) (?=[a-z_][a-z_0-9]*: )")
LITERAL: Final = re.compile(r"``([^`]+)``")


class HouseStyle(griffe.Extension):
    """Reads docstrings in the style of this house."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **kwargs: Any) -> None:
        """Takes the ``#:`` comment above an attribute for its docstring where it has no other."""
        if attr.docstring is None and attr.lineno and (text := comment_above(attr)):
            attr.docstring = griffe.Docstring(text, parent=attr)

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Writes an object's docstring as Markdown."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def comment_above(attr: griffe.Attribute) -> str:
    """Gives the text of the ``#:`` lines right above an attribute."""
    lines = attr.lines_collection[attr.filepath] if not isinstance(attr.filepath, list) else []
    comment: list[str] = []
    for line in reversed(lines[: (attr.lineno or 1) - 1]):
        if not line.strip().startswith("#:"):
            break
        comment.insert(0, line.strip().removeprefix("#:").strip())
    return "\n".join(comment)


def as_markdown(text: str) -> str:
    """Makes paragraphs of ``name: description`` lines lists, and reStructuredText's literals code."""
    return "\n\n".join(_paragraph(paragraph) for paragraph in LITERAL.sub(r"`\1`", text).split("\n\n"))


def _paragraph(paragraph: str) -> str:
    lines = NEXT_FIELD.sub("\n", paragraph).split("\n")
    if not FIELD.fullmatch(lines[0]):
        return paragraph
    return "\n".join(
        f"- **{match[1]}**: {match[2]}" if (match := FIELD.fullmatch(line)) else f"  {line.strip()}" for line in lines
    )
