"""Every event round-trips: it is decoded to the payload that was encoded."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub import Envelope, Payload
from hubbub.contract.envelope import decode, encode
from hubbub.contract.export.json_schema import schema_document
from tests.contract.documents import payloads
from tests.contract.kinds import BUILT_IN, MESSENGER

UP = [spec.payload for spec in MESSENGER.values() if spec.from_client]
SCHEMA = jsonschema_rs.validator_for(schema_document(MESSENGER))


@pytest.mark.parametrize("payload", BUILT_IN)
@settings(deadline=None)
@given(data=st.data())
def test_every_event_round_trips(payload: type[Payload], data: st.DataObject) -> None:
    envelope = Envelope.of(data.draw(payloads(payload)))

    assert envelope == msgspec.json.decode(encode(envelope), type=Envelope[payload])  # type: ignore[valid-type]


@pytest.mark.parametrize("payload", UP)
@settings(deadline=None)
@given(data=st.data(), id=st.none() | st.text())
def test_every_client_event_is_decoded_by_the_server(
    payload: type[Payload], data: st.DataObject, id: str | None
) -> None:
    envelope = Envelope.of(data.draw(payloads(payload)), id=id)

    assert envelope == decode(encode(envelope).decode(), MESSENGER)


@pytest.mark.parametrize("payload", [spec.payload for spec in MESSENGER.values() if spec.direction.value != "internal"])
@settings(deadline=None)
@given(data=st.data())
def test_every_event_fits_the_json_schema(payload: type[Payload], data: st.DataObject) -> None:
    document: Any = json.loads(encode(Envelope.of(data.draw(payloads(payload)))))

    assert [error.message for error in SCHEMA.iter_errors(document)] == []
