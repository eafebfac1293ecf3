"""Shape -> TypeScript type, laid out as a person would write it."""

from __future__ import annotations

import json
import re
import textwrap

from hubbub.contract.export.descriptions import markdown
from hubbub.contract.export.shapes import (
    Anything,
    Binary,
    Boolean,
    Definition,
    Field,
    Items,
    KnownText,
    Null,
    Number,
    Object,
    OneOf,
    Reference,
    Sequence,
    Shape,
    Table,
    Text,
    Union,
    alternatives,
)

WIDTH = 100


def declaration(name: str, definition: Definition) -> str:
    """Return the declaration of a named type, with its doc comment."""
    return comment(definition.doc) + alias(name, _members(definition.shape))


def alias(name: str, members: list[str]) -> str:
    """Return an `export type`; a long union has one line for each member."""
    line = f"export type {name} = {' | '.join(members) or 'never'}"
    if len(line) <= WIDTH or len(members) <= 1:
        return line + "\n"
    return f"export type {name} =\n" + "".join(f"  | {member}\n" for member in members)


def expression(shape: Shape, indent: str = "") -> str:  # noqa: C901 - one flat table
    """Return a shape as a type expression.

    Args:
        indent: The indentation of the line on which the expression begins.
    """
    match shape:
        case Text() | Binary():
            return "string"
        case Number():
            return "number"
        case Boolean():
            return "boolean"
        case Null():
            return "null"
        case Anything():
            return "unknown"
        case OneOf() | KnownText() | Union():
            return " | ".join(_members(shape)) or "never"
        case Items(item):
            return f"({expression(item)})[]" if len(_members(item)) > 1 else f"{expression(item)}[]"
        case Sequence(items):
            return f"[{', '.join(map(expression, items))}]"
        case Table(_, value):
            return f"Record<string, {expression(value)}>"
        case Reference(name):
            return name
        case Object(()):
            return "Record<string, never>"
        case Object(fields):
            inside = indent + "  "
            return "{\n" + "".join(_field(field, inside) for field in fields) + indent + "}"


def _members(shape: Shape) -> list[str]:
    """Return the expressions of a union's members; for any other shape, its own expression."""
    match shape:
        case OneOf(values) | KnownText(values):
            return [*map(literal, values)]
        case Union():
            return [member for option in alternatives(shape) for member in _members(option)]
        case _:
            return [expression(shape)]


def literal(value: str | int | None) -> str:
    """Return a scalar as a TypeScript literal, strings in double quotes."""
    return json.dumps(value, ensure_ascii=False)


def property_name(name: str) -> str:
    """Return a property's name, in quotes if it is not an identifier."""
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else literal(name)


def comment(text: str, indent: str = "") -> str:
    """Return a doc comment, on one line if it fits; an empty string for no text."""
    text = markdown(text).replace("*/", "*\\/")
    if not text:
        return ""
    if "\n" not in text and len(indent) + len(text) + 7 <= WIDTH:
        return f"{indent}/** {text} */\n"
    paragraphs = [textwrap.fill(" ".join(each.split()), WIDTH - len(indent) - 3) for each in text.split("\n\n")]
    lines = "\n\n".join(paragraphs).split("\n")
    return "\n".join([f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"]) + "\n"


def _field(field: Field, indent: str) -> str:
    mark = "" if field.required else "?"
    return f"{comment(field.doc, indent)}{indent}{property_name(field.name)}{mark}: {expression(field.shape, indent)}\n"
