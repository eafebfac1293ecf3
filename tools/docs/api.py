"""Whether every public name is documented: has a docstring, and stands in the API reference.

Public is what stands in ``hubbub.__all__`` and ``hubbub.testing.__all__``, with the methods and attributes of classes
that begin with no underscore. A class's docstring may document attributes by naming them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import griffe

from tools.docs.docstrings import HouseStyle

PACKAGES: Final = ("hubbub", "hubbub.testing")

#: Classes whose members are somebody else's interface, and why.
OPAQUE: Final = {
    "hubbub.WebSocketProtocol": "asyncio's protocol, which uvicorn calls",
}


class Name(NamedTuple):
    """One public name: where it may stand in the reference, and whether it has a docstring."""

    path: str
    identifiers: frozenset[str]
    documented: bool


def complaints(names: Collection[Name], reference: Collection[str]) -> list[str]:
    """Tells which names have no docstring, and which the reference, given as its anchors, leaves out."""
    return [
        *(f"{name.path}: no docstring" for name in names if not name.documented),
        *(f"{name.path}: not in the API reference" for name in names if name.identifiers.isdisjoint(reference)),
    ]


def public_names(packages: Collection[str] = PACKAGES, *, search_paths: Collection[str] = ("src",)) -> list[Name]:
    """Gives the public names of packages, and those of their classes."""
    extensions = griffe.load_extensions(HouseStyle())
    loader = griffe.GriffeLoader(search_paths=list(search_paths), extensions=extensions)
    root = packages_root(packages)
    loader.load(root)
    loader.resolve_aliases()
    return [name for package in packages for name in _names_of(package, loader.modules_collection)]


def packages_root(packages: Collection[str]) -> str:
    """Gives the one package that holds all of them."""
    roots = {package.partition(".")[0] for package in packages}
    if len(roots) != 1:
        raise ValueError(f"expected packages of one root, got {sorted(roots)}")
    return roots.pop()


def _names_of(package: str, modules: griffe.ModulesCollection) -> Iterator[Name]:
    module = modules[package]
    for export in module.exports or ():
        name = str(export)
        found = module.members[name]
        if found.is_module:  # `from hubbub.notify import notify`: the function hides the module of its name
            found = found.members[name]
        target = found.final_target if isinstance(found, griffe.Alias) else found
        path = f"{package}.{name}"
        yield Name(path, frozenset({path, target.path}), target.docstring is not None)
        if target.is_class and path not in OPAQUE:
            yield from _members_of(path, target)


def _members_of(path: str, owner: griffe.Object) -> Iterator[Name]:
    about = owner.docstring.value if owner.docstring else ""
    for name, member in owner.all_members.items():
        if name.startswith("_") or member.is_module:
            continue
        target = member.final_target if isinstance(member, griffe.Alias) else member
        named = target.is_attribute and re.search(rf"\b{name}\b", about) is not None
        yield Name(
            f"{path}.{name}", frozenset({f"{path}.{name}", f"{owner.path}.{name}"}), bool(target.docstring or named)
        )
