"""The page about the command line matches its `--help`."""

from __future__ import annotations

from tools.docs.command_line import as_page

MADE_BY_TYPER = """\
# The command line

**Commands**:

* `run`: Serve an app with Hubbub&#x27;s WebSocket...
* `token`: Print a token.

## `hubbub run`

Serve an app with Hubbub&#x27;s WebSocket transport, on uvicorn. And more.

Examples:
[dim]# on port 8000[/dim]
hubbub run main:app

## `hubbub token`

Print a token.
"""


def test_what_typer_writes_is_corrected() -> None:
    assert (
        as_page(MADE_BY_TYPER)
        == """\
# The command line

**Commands**:

* `run`: Serve an app with Hubbub's WebSocket transport, on uvicorn.
* `token`: Print a token.

## `hubbub run`

Serve an app with Hubbub's WebSocket transport, on uvicorn. And more.

**Examples**:

```sh
# on port 8000
hubbub run main:app
```

## `hubbub token`

Print a token.
"""
    )
