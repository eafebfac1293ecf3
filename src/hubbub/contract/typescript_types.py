"""Shape -> TypeScript type, laid out as a person would."""

from __future__ import annotations

import json
import re
import textwrap

from hubbub.contract.prose import markdown
from hubbub.contract.shapes import (
    Anything,
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
)

WIDTH = 100


def declaration(name: str, definition: Definition) -> str:
    """Declares a named type with its doc comment."""
    return comment(definition.doc) + alias(name, expression(definition.shape))


def alias(name: str, value: str) -> str:
    """Writes ``export type``, a long union with one line for each member."""
    line = f"export type {name} = {value}"
    members = value.split(" | ")
    if len(line) <= WIDTH or len(members) == 1 or "\n" in value:
        return line + "\n"
    return f"export type {name} =\n" + "".join(f"  | {member}\n" for member in members)


def expression(shape: Shape, indent: str = "") -> str:  # noqa: C901 - one flat table
    """Writes a shape as a type expression; ``indent`` is that of the line on which it begins."""
    match shape:
        case Text():
            return "string"
        case Number():
            return "number"
        case Boolean():
            return "boolean"
        case Null():
            return "null"
        case Anything():
            return "unknown"
        case OneOf(values) | KnownText(values):
            return " | ".join(map(literal, values)) or "never"
        case Items(item):
            inner = expression(item, indent)
            return f"({inner})[]" if " | " in inner and not inner.startswith("{") else f"{inner}[]"
        case Sequence(items):
            return f"[{', '.join(expression(item, indent) for item in items)}]"
        case Table(value):
            return f"Record<string, {expression(value, indent)}>"
        case Union(options):
            return " | ".join(expression(option, indent) for option in options)
        case Reference(name):
            return name
        case Object(()):
            return "Record<string, never>"
        case Object(fields):
            inside = indent + "  "
            return "{\n" + "".join(_field(field, inside) for field in fields) + indent + "}"


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
