"""The AsyncAPI document of a gateway, made once per place it is served at."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from hubbub.contract.export.asyncapi import asyncapi
from hubbub.contract.registry import Contract

ANY_HOST: Final = "host.invalid"
"""Stands for the host while the document is made: making it for every host that is asked would cost more."""


class Description:
    """Describes one contract.

    cookie: the cookie that holds the token.
    """

    def __init__(self, contract: Contract, cookie: str | None) -> None:
        self._contract = contract
        self._cookie = cookie
        self._latest: tuple[tuple[str, ...], str] | None = None

    def at(self, url: str, title: str, version: str) -> str:
        """Gives the document in JSON for the endpoint at ``url``, as ``wss://app.example/ws``."""
        parts = urlsplit(url)
        asked = (parts.scheme, parts.path, title, version)
        if self._latest is None or self._latest[0] != asked:
            neutral = urlunsplit(parts._replace(netloc=ANY_HOST))
            text = asyncapi(self._contract, title=title, version=version, url=neutral, cookie=self._cookie)
            self._latest = (asked, text)
        return self._latest[1].replace(json.dumps(ANY_HOST), json.dumps(parts.netloc))
