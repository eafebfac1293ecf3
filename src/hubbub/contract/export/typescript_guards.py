"""Shapes -> TypeScript functions that check a document at run time. They accept what the Python decoder accepts.

Only the server checks patterns and what JSON Schema calls a format (dates, UUIDs): their grammars differ too much
between the languages for two implementations to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    Shapes,
    Table,
    Text,
    Union,
    alternatives,
)
from hubbub.contract.export.typescript_types import WIDTH, literal, property_name

# Properties that every object in JavaScript inherits.
_INHERITED = frozenset(["constructor", "hasOwnProperty", "isPrototypeOf", "toLocaleString", "toString", "valueOf"])

_HELPERS: Mapping[str, str] = {
    "isObject": """\
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
""",
    "isString": """\
function isString(value: unknown): value is string {
  return typeof value === "string"
}
""",
    "isArrayOf": """\
function isArrayOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem)
}
""",
    "isEnvelope": """\
function isEnvelope(value: unknown): value is WsEnvelope<string, Record<string, unknown>> {
  return (
    isObject(value) &&
    isString(value.type) &&
    isObject(value.data) &&
    Number.isFinite(value.ts) &&
    (value.id === undefined || isString(value.id))
  )
}
""",
}


class Guards:
    """Writes guards, and collects the functions that they call."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._called: list[str] = []
        self._helpers = {"isObject", "isString", "isEnvelope"}

    def event_guard(self, name: str, union: str, events: Iterable[str], doc: str) -> str:
        """Return the exported guard of one direction.

        Args:
            name: The name of the function.
            union: The name of the type that it guards.
            events: The names of the events that it accepts.
            doc: The doc comment.
        """
        cases = "".join(self._case(event) for event in events)
        return (
            f"{doc}export function {name}(value: unknown): value is {union} {{\n"
            "  if (!isEnvelope(value)) return false\n"
            "  const data = value.data\n"
            "  switch (value.type) {\n"
            f"{cases}"
            "    default:\n"
            "      return false\n"
            "  }\n"
            "}\n"
        )

    def functions(self) -> list[str]:
        """Return the functions that the guards written so far call, directly or through each other."""
        written: list[str] = []
        for name in self._called:  # _named_guard appends to it
            definition = self._shapes.definitions[name]
            written.append(self._named_guard(name, definition))
        helpers = [text for helper, text in _HELPERS.items() if helper in self._helpers]
        return written + helpers

    def _case(self, event: str) -> str:
        checks = self._fields(self._shapes.payloads[event], "data")
        return f"    case {literal(event)}:\n{_return(checks, '      ')}"

    def _named_guard(self, name: str, definition: Definition) -> str:
        checks = self._all(definition.shape, "value")
        return f"function is{name}(value: unknown): value is {name} {{\n{_return(checks, '  ')}}}\n"

    def _all(self, shape: Shape, value: str) -> list[str]:  # noqa: C901 - one flat table
        """Return conditions that must all hold."""
        match shape:
            case Text():
                return [f"isString({value})", *_lengths(shape, f"[...{value}]")]
            case KnownText() | Binary():
                return [f"isString({value})"]
            case Number():
                kind = f"Number.is{'Integer' if shape.integer else 'Finite'}({value})"
                number = f"({value} as number)"
                multiple = [f"{number} % {shape.multiple_of} === 0"] if shape.multiple_of is not None else []
                return [kind, *_bounds(number, shape.ge, shape.gt, shape.le, shape.lt), *multiple]
            case Boolean():
                return [f'typeof {value} === "boolean"']
            case Null():
                return [f"{value} === null"]
            case Anything():
                return [f"{value} !== undefined"]
            case OneOf(values):
                return [_any(f"{value} === {literal(each)}" for each in values)]
            case Union():
                return [_any(_and(self._all(option, value)) for option in alternatives(shape))]
            case Reference(name):
                return [self._call(name, value)]
            case Object():
                self._helpers.add("isObject")
                return [f"isObject({value})", *self._fields(shape, value)]
            case _:
                return self._elements(shape, value)

    def _elements(self, shape: Items | Sequence | Table, value: str) -> list[str]:
        match shape:
            case Items(item):
                self._helpers.add("isArrayOf")
                return [f"isArrayOf({value}, {self._predicate(item)})", *_lengths(shape, f"({value} as unknown[])")]
            case Sequence(items):
                places = [check for i, item in enumerate(items) for check in self._all(item, f"{value}[{i}]")]
                return [f"Array.isArray({value})", f"{value}.length === {len(items)}", *places]
            case Table(key, inner):
                keys = f"Object.keys({value})"
                each = [f"{keys}.every((key) => {_and(lengths)})"] if (lengths := _lengths(key, "[...key]")) else []
                values = f"Object.values({value}).every({self._predicate(inner)})"
                return [f"isObject({value})", *_lengths(shape, keys), *each, values]

    def _fields(self, shape: Object, value: str) -> list[str]:
        checks = [check for field in shape.fields for check in self._field(field, value)]
        if shape.closed:
            known = ", ".join(literal(field.name) for field in shape.fields)
            checks.append(f"Object.keys({value}).every((key) => [{known}].includes(key))")
        return checks

    def _field(self, field: Field, value: str) -> list[str]:
        name = property_name(field.name)
        place = f"{value}[{name}]" if name.startswith('"') else f"{value}.{name}"
        checks = self._all(field.shape, place)
        if field.required:
            return checks
        if isinstance(field.shape, Anything):
            return []
        present = _without_parentheses(checks[0]) if len(checks) == 1 else _and(checks)
        absent = f"!Object.hasOwn({value}, {literal(name)})" if name in _INHERITED else f"{place} === undefined"
        return [f"({absent} || {present})"]

    def _call(self, name: str, value: str) -> str:
        shape = self._shapes.definitions[name].shape
        if isinstance(shape, KnownText):
            return f"isString({value})"
        if name not in self._called:
            self._called.append(name)
        return f"is{name}({value})"

    def _predicate(self, shape: Shape) -> str:
        """Return a function from a value to a boolean."""
        checks = self._all(shape, "item")
        only = checks[0].removesuffix("(item)")
        if len(checks) == 1 and only.isidentifier():
            return only
        return f"(item) => {_and(checks)}"


def _lengths(shape: Text | Items | Table, value: str) -> list[str]:
    return _bounds(f"{value}.length", ge=shape.min_length, le=shape.max_length)


def _bounds(
    value: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> list[str]:
    bounds = {">=": ge, ">": gt, "<=": le, "<": lt}
    return [f"{value} {operator} {bound}" for operator, bound in bounds.items() if bound is not None]


def _and(checks: list[str]) -> str:
    return " && ".join(checks)


def _any(alternatives: Iterable[str]) -> str:
    listed = [f"({each})" if " && " in each else each for each in alternatives]
    return listed[0] if len(listed) == 1 else f"({' || '.join(listed)})"


def _return(checks: list[str], indent: str) -> str:
    """Return a return statement: on one line, in parentheses on one line, or with a line for each check."""
    if not checks:
        return f"{indent}return true\n"
    if len(checks) == 1:
        checks = [_without_parentheses(checks[0])]
    line = f"{indent}return {_and(checks)}"
    if len(line) <= WIDTH:
        return f"{line}\n"
    inside = f"{indent}  "
    body = _and(checks)
    if len(inside) + len(body) > WIDTH:
        body = f" &&\n{inside}".join(checks)
    return f"{indent}return (\n{inside}{body}\n{indent})\n"


def _without_parentheses(check: str) -> str:
    """Return a condition without the parentheses around all of it: those of `(a || b)`, not of `(a) || (b)`."""
    inside = check[1:-1]
    depth = 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return check
    return inside if check.startswith("(") and check.endswith(")") else check
