"""Contract -> shapes: what msgspec says about the payload types, in the words of ``shapes.py``."""

from __future__ import annotations

import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import inspect as types

from hubbub.contract.export.shapes import (
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
from hubbub.contract.registry import Contract, EventSpec, Payload
from hubbub.contract.topics import Topic
from hubbub.errors import ContractError


class Shapes(Mapping[str, Object]):
    """The payload shapes of a contract by event name, in the order of ``in_order``, and the named shapes they use."""

    def __init__(self, contract: Contract) -> None:
        #: Named shapes, each after those that it is made of.
        self.definitions: dict[str, Definition] = {}
        self._topic_kinds = tuple(sorted(contract.topic_kinds))
        self._owners: dict[str, Any] = {"Topic": Topic, "TopicKind": Topic}
        self._aliases: dict[frozenset[Any], tuple[str | None, str, OneOf]] = {}
        self._payloads = {spec.name: self._payload(spec.payload) for spec in in_order(contract)}

    def __getitem__(self, name: str) -> Object:
        return self._payloads[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._payloads)

    def __len__(self) -> int:
        return len(self._payloads)

    def _payload(self, payload: type[Payload]) -> Object:
        try:
            described = types.type_info(payload)
        except TypeError as error:
            raise ContractError(f"{_qualified(payload)} cannot stand in a contract: {error}") from None
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
        extra = _extra_json_schema(field.type)
        examples = extra.get("examples") or [None]
        return Field(
            field.encode_name, self._shape(field.type), field.required, extra.get("description", ""), examples[0]
        )

    def _shape(self, described: types.Type) -> Shape:  # noqa: C901 - one flat table from msgspec's types to ours
        match described:
            case types.Metadata():
                return self._shape(described.type)
            case types.StrType():
                return Text(described.min_length, described.max_length, described.pattern)
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
                return Items(self._shape(described.item_type), described.min_length, described.max_length)
            case types.TupleType():
                return Sequence(tuple(self._shape(item) for item in described.item_types))
            case types.DictType(types.StrType() | types.AnyType() as key, value, minimum, maximum):
                text = self._shape(key)
                return Table(text if isinstance(text, Text) else Text(), self._shape(value), minimum, maximum)
            case types.UnionType():
                return _union(self._shape(option) for option in described.types)
            case types.EnumType():
                values = OneOf(tuple(member.value for member in described.cls))
                return self._define(described.cls, lambda: values)
            case types.StructType() | types.DataclassType() | types.TypedDictType():
                if described.cls is Topic:
                    return self._topic()
                return self._define(described.cls, lambda: self._object(described))
        if (text_format := _TEXT_FORMATS.get(type(described))) is not None:
            return Text(format=text_format)
        raise _no_json_for(described)

    def _topic(self) -> Reference:
        self.definitions.setdefault("TopicKind", Definition(KnownText(self._topic_kinds), _TOPIC_KIND_DOC))
        fields = (Field("kind", Reference("TopicKind"), required=True), Field("id", Text(), required=True))
        self.definitions.setdefault("Topic", Definition(Object(fields), _doc(Topic)))
        return Reference("Topic")

    def _define(self, cls: Any, shape: Callable[[], Shape]) -> Reference:
        name = re.sub(r"\W+", "_", _name_of(cls)).strip("_")
        owner = self._owners.setdefault(name, cls)
        if owner != cls:
            raise ContractError(
                f"two types of this contract are called {name}: {_qualified(owner)} and {_qualified(cls)}; rename one"
            )
        if name not in self.definitions:
            self.definitions[name] = Definition(Anything(), "")  # so that a type that contains itself comes to an end
            defined = Definition(shape(), _doc(cls))
            del self.definitions[name]
            self.definitions[name] = defined
        return Reference(name)

    def _literal(self, described: types.LiteralType) -> Shape:
        # msgspec sorts the values; the class's own annotation has them as their author wrote them.
        values = tuple(described.values)
        name, owner, shape = self._aliases.get(frozenset(values), (None, "", OneOf(values)))
        if name is None or self._owners.setdefault(name, owner) != owner:
            return shape
        self.definitions.setdefault(name, Definition(shape, ""))
        return Reference(name)

    def _learn_literals(self, cls: Any) -> None:
        origin = get_origin(cls) or cls
        module = vars(sys.modules.get(origin.__module__, sys))
        for hint in get_type_hints(origin, include_extras=True).values():
            for literal in _literals_in(hint):
                values = get_args(literal)
                names = (name for name, value in module.items() if value == literal and _is_type_name(name))
                name = next(names, None)
                owner = f"{origin.__module__}.{name}"
                self._aliases.setdefault(frozenset(values), (name, owner, OneOf(values)))


def in_order(contract: Contract) -> list[EventSpec]:
    """Gives the events by domain, then by name: the same list for the same events, however they were registered."""
    return sorted(contract.values(), key=lambda spec: (spec.name.split(".")[1:], spec.name))


_TOPIC_KIND_DOC = "The kinds of topic that some event is addressed to; the server refuses any other."

_TEXT_FORMATS: Mapping[type[types.Type], str] = {
    types.DateTimeType: "date-time",
    types.DateType: "date",
    types.TimeType: "time",
    types.TimeDeltaType: "duration",
    types.UUIDType: "uuid",
    types.DecimalType: "decimal",
    types.BytesType: "base64",
}


def _union(options: Iterable[Shape]) -> Shape:
    flat: list[Shape] = []
    for option in options:
        flat.extend(each for each in (option.options if isinstance(option, Union) else (option,)) if each not in flat)
    # JSON knows one kind of number: `int | float` is a number.
    if Number(integer=False) in flat:
        flat = [option for option in flat if option != Number(integer=True)]
    return flat[0] if len(flat) == 1 else Union(tuple(flat))


def _extra_json_schema(described: types.Type) -> Mapping[str, Any]:
    return (described.extra_json_schema or {}) if isinstance(described, types.Metadata) else {}


def _literals_in(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal:
        yield hint
    else:
        for argument in get_args(hint):
            yield from _literals_in(argument)


def _is_type_name(name: str) -> bool:
    return name[:1].isupper() and name.isidentifier() and not keyword.iskeyword(name)


def _name_of(cls: Any) -> str:
    """Gives the name of a class, and of what it is parametrised with: the values of a Literal among that."""
    origin = get_origin(cls)
    return "_".join(map(_name_of, [origin, *get_args(cls)])) if origin else str(getattr(cls, "__name__", cls))


def _qualified(owner: Any) -> str:
    cls = get_origin(owner) or owner
    return owner if isinstance(owner, str) else f"{cls.__module__}.{cls.__qualname__}"


def _doc(cls: Any) -> str:
    return inspect.cleandoc((get_origin(cls) or cls).__doc__ or "")


def _no_json_for(described: types.Type) -> ContractError:
    what = getattr(described, "cls", None) or type(described).__name__
    return ContractError(
        f"{what!r} cannot stand in a contract; use str, int, float, bool, None, Literal, Enum, lists, tuples, "
        "dicts with str keys, datetime, UUID, or a msgspec.Struct that is an object on the wire"
    )
