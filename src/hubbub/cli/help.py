"""What the help texts of all commands share: examples to paste, and the headings of options."""

from __future__ import annotations

from typing import Any, Final

LISTENING: Final = "Where it listens"
IMPORTING: Final = "What it serves"
DEVELOPMENT: Final = "While you develop"
LOGGING: Final = "Logging"
SWITCHES: Final = "What can be switched off"
PROXY: Final = "Behind a proxy"
TLS: Final = "TLS"
LIFETIME: Final = "Processes and their end"

#: For every command line, so that both spellings of a question are answered.
SETTINGS: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}

APP_HELP: Final = "A Gateway, or the ASGI app it is attached to, as module:attribute, e.g. main:app."
APP_DIR_HELP: Final = "The folder to import APP from, e.g. src."


def examples(*pairs: tuple[str, str]) -> str:
    """Gives the end of a command's help: pairs of what somebody wants, and the command line that does it."""
    return "\n".join(["Examples:", *(f"[dim]# {purpose}[/dim]\n{command}" for purpose, command in pairs)])
