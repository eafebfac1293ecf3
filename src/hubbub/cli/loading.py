"""Find what a command line names as `module:attribute`, and the gateway in it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from hubbub.asgi.middleware import GatewayMiddleware
from hubbub.errors import ConfigurationError
from hubbub.gateway import Gateway


def load_attribute(name: str, app_dir: Path) -> Any:
    """Import `module:attribute` and return the attribute.

    Args:
        name: Such as `main:app`. The attribute may have dots.
        app_dir: The folder to import from. It stays on `sys.path`.

    Raises:
        ConfigurationError: If there is no such module or attribute.
    """
    module_name, separator, attributes = name.partition(":")
    if not separator or not module_name or not attributes or module_name.startswith("."):
        raise ConfigurationError(f"expected module:attribute, such as main:app, got {name!r}")
    sys.path.insert(0, str(app_dir.resolve()))
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists, and imports one that does not
        raise ConfigurationError(f"no module {error.name!r} in {app_dir.resolve()} or the environment") from None
    for attribute in attributes.split("."):
        if not hasattr(target, attribute):
            raise ConfigurationError(f"{module_name} has no {attributes!r}")
        target = getattr(target, attribute)
    return target


def find_gateway(application: Any) -> Gateway:
    """Return a gateway: the object itself, or the one attached to an ASGI app, even if other middleware wraps it.

    Raises:
        ConfigurationError: If there is none.
    """
    candidate = application
    while candidate is not None:
        if isinstance(candidate, Gateway):
            return candidate
        if isinstance(candidate, GatewayMiddleware):
            candidate = candidate.gateway
            continue
        for middleware in getattr(candidate, "user_middleware", ()):
            if middleware.cls is GatewayMiddleware:
                return find_gateway(middleware.kwargs["gateway"])
        candidate = getattr(candidate, "app", None)
    raise ConfigurationError(f"no gateway at {application!r}: name a Gateway, or the app given to gateway.attach(app)")
