"""Shape -> TypeScript type, laid out as a person would."""

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
    """Declares a named type with its doc comment."""
    return comment(definition.doc) + alias(name, _members(definition.shape))


def alias(name: str, members: list[str]) -> str:
    """Writes ``export type``, a long union with one line for each member."""
    line = f"export type {name} = {' | '.join(members) or 'never'}"
    if len(line) <= WIDTH or len(members) <= 1:
        return line + "\n"
    return f"export type {name} =\n" + "".join(f"  | {member}\n" for member in members)


def expression(shape: Shape, indent: str = "") -> str:  # noqa: C901 - one flat table
    """Writes a shape as a type expression; ``indent`` is that of the line on which it begins."""
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
    """Gives the members of a union; of any other shape, itself."""
    match shape:
        case OneOf(values) | KnownText(values):
            return [*map(literal, values)]
        case Union():
            return [member for option in alternatives(shape) for member in _members(option)]
        case _:
            return [expression(shape)]


def literal(value: str | int | None) -> str:
    """Writes a scalar as TypeScript does, strings in double quotes."""
    return json.dumps(value, ensure_ascii=False)


def property_name(name: str) -> str:
    """Writes a property's name, quoted where it is no identifier."""
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else literal(name)


def comment(text: str, indent: str = "") -> str:
    """Writes a doc comment, on one line where it fits; nothing for no text."""
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
