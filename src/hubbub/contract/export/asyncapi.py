"""Contract -> AsyncAPI 3: one channel, and an operation for each event and direction, as seen by the server."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from hubbub.contract.export.descriptions import close_code_table, markdown, summary, who_hears
from hubbub.contract.export.examples import example
from hubbub.contract.export.json_schema import CLOSE_CODES, SchemaWriter, as_text, close_codes, envelope_schema
from hubbub.contract.export.shapes import Shapes
from hubbub.contract.export.walk import in_order, walk
from hubbub.contract.registry import Contract, Direction, EventSpec

VERSION: Final = "3.1.0"

_CHANNEL: Final = {"$ref": "#/channels/events"}
_SERVER: Final = {"$ref": "#/servers/gateway"}


def asyncapi(
    contract: Contract,
    *,
    title: str = "Events",
    version: str = "1.0.0",
    url: str = "ws://127.0.0.1:8000/ws",
    cookie: str | None = "hubbub_session",
) -> str:
    """Return the contract as an AsyncAPI document in JSON. For the arguments, see `asyncapi_document`."""
    return as_text(asyncapi_document(contract, title=title, version=version, url=url, cookie=cookie))


def asyncapi_document(
    contract: Contract, *, title: str, version: str, url: str, cookie: str | None = None
) -> dict[str, Any]:
    """Return the AsyncAPI document as data.

    Args:
        contract: The events. An internal event is left out.
        title: The title of the app.
        version: The version of the app.
        url: The URL of the endpoint, such as `wss://example.org/ws`.
        cookie: The name of the cookie that may carry the token; None if only `Authorization: Bearer` may.

    Raises:
        ContractError: A type has no JSON, or two types have one name.
    """
    events = [spec for spec in in_order(contract) if spec.direction is not Direction.INTERNAL]
    shapes = walk(contract)
    writer = SchemaWriter(contract, shapes, "#/components/schemas/{name}")
    messages = {spec.name: _message(spec, writer.payload(spec), shapes) for spec in events}
    security = _security(cookie)
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"gateway": _server(url, security)},
        "channels": {"events": _channel(url, events)},
        "operations": dict([*_operations(events, "receive"), *_operations(events, "send")]),
        "components": {"schemas": _draft_07(writer.components()), "messages": messages, "securitySchemes": security},
    }


class AsyncAPICache:
    """Caches the last AsyncAPI document of one contract.

    Args:
        contract: The contract to describe.
        cookie: The name of the cookie that may carry the token, or None.
    """

    # The host in the cached document. It is replaced on each call: a request can name any host, and writing a
    # document for each of them would cost more.
    _ANY_HOST: Final = "host.invalid"

    def __init__(self, contract: Contract, cookie: str | None) -> None:
        self._contract = contract
        self._cookie = cookie
        self._latest: tuple[tuple[str, ...], str] | None = None

    def document(self, url: str, title: str, version: str) -> str:
        """Return the document in JSON for the endpoint at `url`, such as `wss://app.example/ws`."""
        parts = urlsplit(url)
        key = (parts.scheme, parts.path, title, version)
        if self._latest is None or self._latest[0] != key:
            any_host = urlunsplit(parts._replace(netloc=self._ANY_HOST))
            text = asyncapi(self._contract, title=title, version=version, url=any_host, cookie=self._cookie)
            self._latest = (key, text)
        return self._latest[1].replace(json.dumps(self._ANY_HOST), json.dumps(parts.netloc))


_ABOUT: Final = """\
A real-time event bus scoped to authenticated users. Every message is one event: a JSON object `{type, data, ts, id?}` \
in a text frame. Unknown fields are ignored; declared fields are checked exactly.

After the handshake the server sends `server.system.ready`. A client then sends `client.system.subscribe` with the \
topics it wants to hear; without a subscription it hears only what is addressed to its user."""

_CHANNEL_ABOUT: Final = """\
The one WebSocket endpoint. A client without valid credentials is accepted and then closed with 4401, since a browser \
cannot see an HTTP 401.

## Close codes

"""


def _server(url: str, security: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "host": parts.netloc,
        "protocol": parts.scheme,
        "description": "The server that also serves the REST API.",
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in security],
    }


def _security(cookie: str | None) -> dict[str, Any]:
    schemes: dict[str, Any] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "`Authorization: Bearer <token>` in the handshake, for clients that can set headers.",
        }
    }
    if cookie is not None:
        schemes["cookie"] = {
            "type": "httpApiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The session's cookie, which a browser sends with the handshake.",
        }
    return schemes


def _channel(url: str, events: list[EventSpec]) -> dict[str, Any]:
    return {
        "address": urlsplit(url).path or "/",
        "title": "Events",
        "summary": "Every event, up and down.",
        "description": _CHANNEL_ABOUT + close_code_table(),
        "servers": [_SERVER],
        "messages": {spec.name: {"$ref": f"#/components/messages/{spec.name}"} for spec in events},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        CLOSE_CODES: close_codes(),
    }


def _operations(events: list[EventSpec], action: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the operations of one direction. The server receives what clients send, and sends what they hear."""
    return [
        (
            f"{action}.{spec.name}",
            {
                "action": action,
                "channel": _CHANNEL,
                "title": spec.name,
                "summary": summary(spec),
                "description": who_hears(spec) if action == "send" else "Sent by clients.",
                "messages": [{"$ref": f"#/channels/events/messages/{spec.name}"}],
            },
        )
        for spec in events
        if (spec.from_client if action == "receive" else spec.to_client)
    ]


def _message(spec: EventSpec, payload: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    envelope = envelope_schema(spec, payload)
    del envelope["title"], envelope["description"]
    message = {
        "name": spec.name,
        "title": spec.payload.__name__,
        "summary": summary(spec),
        "description": markdown(spec.doc),
        "tags": [{"name": spec.name.split(".")[1]}],
        "payload": envelope,
    }
    if (payload_example := example(spec, shapes)) is not None:
        message["examples"] = [{"name": spec.payload.__name__, "payload": payload_example}]
    if spec.from_client:
        message["correlationId"] = {"location": "$message.payload#/id"}
    return message


def _draft_07(schema: Any) -> Any:
    """Return a schema with its fixed-length arrays as in JSON Schema draft 7, on which AsyncAPI builds."""
    if isinstance(schema, list):
        return [_draft_07(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    written = {key: _draft_07(value) for key, value in schema.items()}
    if "prefixItems" in written:
        written["additionalItems"] = written.pop("items", True)
        written["items"] = written.pop("prefixItems")
    return written
