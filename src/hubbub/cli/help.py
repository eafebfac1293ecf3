"""What the help of all commands shares."""

from __future__ import annotations

from typing import Any, Final

SETTINGS: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}
"""Context settings of every command group."""

APP_HELP: Final = "A Gateway, or the ASGI app it is attached to, as module:attribute, e.g. main:app."
APP_DIR_HELP: Final = "The folder to import from, e.g. src."
PORT_HELP: Final = "The port. With 0, a free port is chosen and logged."


def examples(*pairs: tuple[str, str]) -> str:
    """Return the examples at the end of a command's help.

    Args:
        pairs: What an example is for, and its command line.
    """
    return "\n".join(["Examples:", *(f"[dim]# {purpose}[/dim]\n{command}" for purpose, command in pairs)])
