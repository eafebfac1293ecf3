"""Contract -> shapes: the one place that asks msgspec about the payload types."""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, UNSET, to_builtins
from msgspec import inspect as types

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
)
from hubbub.contract.registry import Contract, EventSpec, Payload
from hubbub.contract.topics import Topic
from hubbub.errors import ContractError


def walk(contract: Contract) -> Shapes:
    """Return the shapes of a contract.

    Raises:
        ContractError: A type has no JSON, or two types have one name.
    """
    walker = _Walker(tuple(sorted(contract.topic_kinds)))
    payloads = {spec.name: walker.payload(spec.payload) for spec in in_order(contract)}
    return Shapes(payloads, walker.definitions)


def in_order(contract: Contract) -> list[EventSpec]:
    """Return the events by domain, then by name: the same list in whatever order they were registered."""
    return sorted(contract.values(), key=lambda spec: (spec.name.split(".")[1:], spec.name))


def type_name(cls: Any) -> str:
    """Return the name of a class in every export: an identifier. `Page[int]` is `Page_int`."""
    return re.sub(r"\W+", "_", _name_with_arguments(cls)).strip("_")


def qualified_name(cls: Any) -> str:
    """Return the name of a class with its module."""
    origin = get_origin(cls) or cls
    return f"{origin.__module__}.{origin.__qualname__}"


class _Walker:
    """Walks over payload types and collects the named ones.

    Args:
        topic_kinds: The kinds of topic that the contract knows.
    """

    def __init__(self, topic_kinds: tuple[str, ...]) -> None:
        self.definitions: dict[str, Definition] = {}
        self._topic_kinds = topic_kinds
        # Each name that is taken -> its class, or for an alias its qualified name.
        self._owners: dict[str, Any] = {"Topic": Topic, "TopicKind": Topic}
        # The values of each Literal in an annotation -> its name (None without one), its qualified name and its shape.
        self._literals: dict[frozenset[Any], tuple[str | None, str, OneOf]] = {}

    def payload(self, payload: type[Payload]) -> Object:
        """Return the shape of a payload."""
        try:
            described = types.type_info(payload)
        except TypeError as error:
            raise ContractError(f"{qualified_name(payload)} cannot be part of a contract: {error}") from None
        if not isinstance(described, types.StructType):
            raise _no_json_for(described)
        return self._object(described)

    def _object(self, described: types.StructType | types.DataclassType | types.TypedDictType) -> Object:
        self._learn_literals(described.cls)
        fields = [self._field(field) for field in described.fields]
        closed = False
        if isinstance(described, types.StructType):
            closed = described.forbid_unknown_fields
            if described.array_like:
                raise _no_json_for(described)
            if described.tag_field is not None and described.tag is not None:
                fields.insert(0, Field(described.tag_field, OneOf((described.tag,)), required=True))
        return Object(tuple(fields), closed)

    def _field(self, field: types.Field) -> Field:
        return Field(field.encode_name, self._shape(field.type), field.required, _default(field))

    def _shape(self, described: types.Type) -> Shape:  # noqa: C901 - one flat table from msgspec's types to ours
        match described:
            case types.Metadata(inner, keywords):
                return dataclasses.replace(self._shape(inner), keywords=keywords or {})
            case types.StrType():
                return Text(described.min_length, described.max_length, described.pattern)
            case types.BytesType():
                return Binary(described.min_length, described.max_length)
            case types.BoolType():
                return Boolean()
            case types.NoneType():
                return Null()
            case types.IntType() | types.FloatType():
                bounds = (described.ge, described.gt, described.le, described.lt, described.multiple_of)
                return Number(isinstance(described, types.IntType), *bounds)
            case types.AnyType() | types.RawType():
                return Anything()
            case types.LiteralType():
                return self._literal(described)
            case types.VarTupleType() | types.ListType() | types.SetType() | types.FrozenSetType():
                unique = isinstance(described, types.SetType | types.FrozenSetType)
                return Items(self._shape(described.item_type), described.min_length, described.max_length, unique)
            case types.TupleType():
                return Sequence(tuple(self._shape(item) for item in described.item_types))
            case types.DictType(types.StrType() | types.AnyType() as key, value, minimum, maximum):
                text = self._shape(key)
                return Table(text if isinstance(text, Text) else Text(), self._shape(value), minimum, maximum)
            case types.UnionType():
                return Union(tuple(self._shape(option) for option in described.types))
            case types.EnumType():
                values = OneOf(tuple(member.value for member in described.cls))
                return self._define(described.cls, lambda: values)
            case types.StructType() | types.DataclassType() | types.TypedDictType():
                if described.cls is Topic:
                    return self._topic()
                return self._define(described.cls, lambda: self._object(described))
            case types.DateTimeType(timezone):
                return Text(format="date-time" if timezone else None, content="date-time")
            case types.TimeType(timezone):
                return Text(format=_TIME_FORMATS[timezone], content="time")
        if (text_format := _TEXT_FORMATS.get(type(described))) is not None:
            return Text(format=text_format, content=text_format)
        raise _no_json_for(described)

    def _topic(self) -> Reference:
        self.definitions.setdefault("TopicKind", Definition(KnownText(self._topic_kinds), _TOPIC_KIND_DOC))
        fields = (Field("kind", Reference("TopicKind"), required=True), Field("id", Text(), required=True))
        self.definitions.setdefault("Topic", Definition(Object(fields), _doc(Topic), Topic))
        return Reference("Topic")

    def _define(self, cls: Any, shape: Callable[[], Shape]) -> Reference:
        name = type_name(cls)
        owner = self._owners.setdefault(name, cls)
        if owner != cls:
            first = owner if isinstance(owner, str) else qualified_name(owner)
            raise ContractError(
                f"two types of this contract are called {name}: {first} and {qualified_name(cls)}; rename one"
            )
        if name not in self.definitions:
            self.definitions[name] = Definition(Anything())  # ends the walk over a type that contains itself
            definition = Definition(shape(), _doc(cls), cls)
            del self.definitions[name]
            self.definitions[name] = definition
        return Reference(name)

    def _literal(self, described: types.LiteralType) -> Shape:
        values = tuple(described.values)
        name, owner, shape = self._literals.get(frozenset(values), (None, "", OneOf(values)))
        if name is None or self._owners.setdefault(name, owner) != owner:
            return shape
        self.definitions.setdefault(name, Definition(shape))
        return Reference(name)

    def _learn_literals(self, cls: Any) -> None:
        """Read what msgspec leaves out: the order of a Literal's values, and the name it has in the class's module."""
        origin = get_origin(cls) or cls
        module = vars(sys.modules.get(origin.__module__, sys))
        for hint in get_type_hints(origin, include_extras=True).values():
            for literal in _literals_in(hint):
                values = get_args(literal)
                names = (name for name, value in module.items() if value == literal and _is_type_name(name))
                name = next(names, None)
                owner = f"{origin.__module__}.{name}"
                self._literals.setdefault(frozenset(values), (name, owner, OneOf(values)))


_TOPIC_KIND_DOC = "The kinds of topic that some event is addressed to; the server refuses any other."

# Whether a time has a timezone (None: it may have one) -> its format.
_TIME_FORMATS: Mapping[bool | None, str | None] = {True: "time", False: "partial-time", None: None}

_TEXT_FORMATS: Mapping[type[types.Type], str] = {
    types.DateType: "date",
    types.TimeDeltaType: "duration",
    types.UUIDType: "uuid",
    types.DecimalType: "decimal",
}


def _default(field: types.Field) -> Any:
    if field.default is not NODEFAULT:
        return to_builtins(field.default, str_keys=True)
    if field.default_factory in (list, dict, set):
        return to_builtins(field.default_factory(), str_keys=True)
    return UNSET


def _literals_in(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal:
        yield hint
    else:
        for argument in get_args(hint):
            yield from _literals_in(argument)


def _is_type_name(name: str) -> bool:
    return name[:1].isupper() and name.isidentifier() and not keyword.iskeyword(name)


def _name_with_arguments(cls: Any) -> str:
    """Return the names of a class and of its type arguments; the values of a Literal are among them."""
    origin = get_origin(cls)
    if origin is None:
        return str(getattr(cls, "__name__", cls))
    return "_".join(map(_name_with_arguments, [origin, *get_args(cls)]))


def _doc(cls: Any) -> str:
    """Return a class's own docstring; not the signature that `@dataclass` puts in place of a missing one."""
    origin = get_origin(cls) or cls
    doc = inspect.cleandoc(origin.__doc__ or "")
    signature = f"{origin.__name__}("
    return "" if dataclasses.is_dataclass(origin) and doc.startswith(signature) else doc


def _no_json_for(described: types.Type) -> ContractError:
    what = getattr(described, "cls", None) or type(described).__name__
    return ContractError(
        f"{what!r} cannot be part of a contract; use str, int, float, bool, None, Literal, Enum, lists, tuples, "
        "dicts with str keys, datetime, UUID, or a msgspec.Struct that is an object on the wire"
    )
