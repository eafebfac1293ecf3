"""Check the docstrings: every public name has one and is in the API reference, and none has an unknown parameter.

Public names are those in `hubbub.__all__` and `hubbub.testing.__all__`, with the methods and attributes of classes that
do not start with an underscore. An attribute is documented by a docstring of its own, or under `Args:` or `Attributes:`
in the docstring of its class.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import griffe

PACKAGES: Final = ("hubbub", "hubbub.testing")

OPAQUE: Final = frozenset({"hubbub.WebSocketProtocol"})
"""Classes whose members are not checked: this one has asyncio's protocol, which only uvicorn calls."""


class Name(NamedTuple):
    """One public name.

    Attributes:
        path: How an app reaches it, such as `hubbub.Gateway.publish`.
        anchors: The anchors that may stand for it in the reference. One of them is enough.
        documented: Whether it has a docstring.
    """

    path: str
    anchors: frozenset[str]
    documented: bool


def problems(names: Collection[Name], reference: Collection[str]) -> list[str]:
    """Return which names have no docstring, and which have no anchor in the reference."""
    return [
        f"{name.path}: {'not in the API reference' if name.documented else 'no docstring'}"
        for name in names
        if not name.documented or name.anchors.isdisjoint(reference)
    ]


def public_names(packages: Collection[str] = PACKAGES, *, search_paths: Collection[str] = ("src",)) -> list[Name]:
    """Return the public names of packages, and of their classes.

    Args:
        packages: The packages, all of one root.
        search_paths: Where to find the root package.
    """
    roots = {package.partition(".")[0] for package in packages}
    if len(roots) != 1:
        raise ValueError(f"expected packages of one root, got {sorted(roots)}")
    modules = _load(roots.pop(), search_paths).modules_collection
    return [name for package in packages for name in _names_of(modules[package], package)]


def docstring_problems(package: str, *, search_paths: Collection[str] = ("src",)) -> list[str]:
    """Return what griffe finds wrong with the docstrings of a package, such as parameters that do not exist."""
    log = logging.getLogger("griffe")
    warnings: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())
        return False

    log.addFilter(collect)
    try:
        loader = _load(package, search_paths)
        _parse_docstrings(loader.modules_collection[package])
    finally:
        log.removeFilter(collect)
    return warnings


def _load(package: str, search_paths: Collection[str]) -> griffe.GriffeLoader:
    loader = griffe.GriffeLoader(
        search_paths=list(search_paths),
        docstring_parser=griffe.Parser.google,
        docstring_options={"warn_missing_types": False},
    )
    loader.load(package)
    loader.resolve_aliases()
    return loader


def _parse_docstrings(owner: griffe.Object) -> None:
    if owner.docstring:
        _ = owner.docstring.parsed
    for member in owner.members.values():
        if isinstance(member, griffe.Object):
            _parse_docstrings(member)


def _names_of(module: griffe.Object, package: str) -> Iterator[Name]:
    for export in module.exports or ():
        found = module.members[str(export)]
        target = found.final_target if isinstance(found, griffe.Alias) else found
        path = f"{package}.{export}"
        yield Name(path, frozenset({path, target.path}), target.docstring is not None)
        if target.is_class and path not in OPAQUE:
            yield from _members_of(target, path)


def _members_of(owner: griffe.Object, path: str) -> Iterator[Name]:
    described = _described_in(owner)
    for name, member in owner.all_members.items():
        if name.startswith("_") or member.is_module:
            continue
        target = member.final_target if isinstance(member, griffe.Alias) else member
        anchors = {f"{path}.{name}", f"{owner.path}.{name}"}
        if target.docstring is None and target.is_attribute and name in described:
            yield Name(f"{path}.{name}", frozenset({path, owner.path}), documented=True)
        else:
            yield Name(f"{path}.{name}", frozenset(anchors), documented=target.docstring is not None)


def _described_in(owner: griffe.Object) -> set[str]:
    """Return the names that a class's docstring describes under `Args:` and `Attributes:`."""
    sections = owner.docstring.parsed if owner.docstring else []
    return {
        item.name
        for section in sections
        if isinstance(section, griffe.DocstringSectionParameters | griffe.DocstringSectionAttributes)
        for item in section.value
    }
