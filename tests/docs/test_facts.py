"""The tables and examples of the pages agree with the code: close codes, limits, events, numbers."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import msgspec
import pytest

from hubbub import CLOSE_CODES, Limits, Reconnect
from hubbub.auth.jwt import DEFAULT_COOKIE, MAX_TOKEN_LENGTH
from hubbub.bus.publication import MAX_EVENT_BYTES
from hubbub.connections.admission import NODE_FULL_RETRY_AFTER
from hubbub.connections.heartbeat import MAX_MISSED_PONGS
from hubbub.contract.envelope import Envelope, decode
from hubbub.domains.messenger import TYPING_PER_MINUTE
from tests.contract.kinds import MESSENGER
from tests.docs.pages import ROOT, blocks, table

WIRE = "docs/wire.md"
CODES = "docs/close-codes.md"

# How the pages say whether a client may reconnect. The longest phrase that fits counts.
WORDS = {
    "no": Reconnect.NEVER,
    "never": Reconnect.NEVER,
    "only with a new token": Reconnect.WITH_NEW_TOKEN,
    "with a new token": Reconnect.WITH_NEW_TOKEN,
    "yes, with backoff": Reconnect.WITH_BACKOFF,
    "with backoff": Reconnect.WITH_BACKOFF,
    "yes, after that many milliseconds": Reconnect.AFTER_DELAY,
    "after the delay in the reason": Reconnect.AFTER_DELAY,
}

TABLES = [(WIRE, "may you reconnect?"), (CODES, "when")]


@pytest.mark.parametrize(("guide", "third"), TABLES)
def test_every_close_code_is_documented_with_its_reason_and_whether_to_reconnect(guide: str, third: str) -> None:
    rows = {int(row[0]): row for row in table(guide, "code", "reason", third) if row[0].isdigit()}
    said = {
        code: WORDS[max((words for words in WORDS if row[-1].startswith(words)), key=len)] for code, row in rows.items()
    }

    assert said == {code: close.reconnect for code, close in CLOSE_CODES.items()}
    assert [code for code, row in rows.items() if CLOSE_CODES[code].reason not in row[1]] == []


def test_every_close_code_has_a_remedy() -> None:
    named = {int(code) for row in table(CODES, "code", "in operation") for code in row[0].split(", ")}

    assert named >= CLOSE_CODES.keys()


def test_every_limit_is_documented_with_its_default() -> None:
    said = {row[0].strip("`"): amount(row[1]) for row in table(WIRE, "`Limits`")}

    assert said == {field.name: field.default for field in fields(Limits)}


def test_the_page_of_limits_has_the_same_numbers() -> None:
    said = {row[0]: amount(row[1]) for row in table("docs/limits.md", "bound")}
    limits = Limits()

    assert said["bytes of a message, fragments joined"] == limits.message_bytes
    assert said["fragments of a message"] == limits.fragments_per_message
    assert said["events of one socket, subscribes included"] == limits.events_per_minute
    assert said["typing signals of one socket"] == TYPING_PER_MINUTE
    assert said["pings of one socket, and unsolicited pongs"] == limits.control_frames_per_minute
    assert said["sockets of one user on one node"] == limits.sockets_per_user
    assert said["topics of one socket"] == limits.topics_per_socket
    assert said["bytes that wait for a slow reader"] == limits.unsent_bytes
    assert said["events that wait for their handler"] == limits.queued_events


def amount(text: str) -> float | None:
    """Return the number at the start of a cell, in its unit, or None if there is none."""
    found = re.match(r"([\d,]+)(?: (KiB))?", text)
    return int(found[1].replace(",", "")) * (1024 if found[2] else 1) if found else None


def test_every_event_of_the_messenger_is_shown_once_by_its_name() -> None:
    shown = [block.title for block in blocks(WIRE) if block.language == "json"]

    assert sorted(shown) == sorted(
        ["envelope", *(name for name, spec in MESSENGER.items() if spec.from_client or spec.to_client)]
    )
    assert "`server.system.internal_disconnect`" in (ROOT / WIRE).read_text()


@pytest.mark.parametrize(
    "block", [block for block in blocks(WIRE) if block.language == "json"], ids=lambda block: block.title
)
def test_an_example_is_an_event_with_all_its_fields(block: tuple[str, int, str, str, str]) -> None:
    text = block[4]
    example = msgspec.json.decode(text, type=Envelope[msgspec.Raw])
    payload = msgspec.json.decode(example.data, type=MESSENGER[example.type].payload)

    assert block[3] in ("envelope", example.type)
    assert json.loads(msgspec.json.encode(payload)) == json.loads(
        bytes(example.data)
    )  # no field too many, none misspelt
    if example.type.startswith("client."):
        assert decode(text, MESSENGER).data == payload


def test_the_numbers_in_the_text_of_the_wire_are_those_of_the_code() -> None:
    text = (ROOT / WIRE).read_text()
    backoff = (ROOT / "web/client/src/backoff.ts").read_text()
    client = (ROOT / "web/client/src/wsClient.ts").read_text()
    queue = (ROOT / "web/client/src/sendQueue.ts").read_text()

    assert "every 25 s" in text
    assert 25 * (MAX_MISSED_PONGS + 1) == 75
    assert "75 s" in text
    assert f"{MAX_TOKEN_LENGTH:,} bytes" in text
    assert f"{MAX_EVENT_BYTES // 1024} KiB at most" in text
    assert f"Cookie: {DEFAULT_COOKIE}=" in text
    assert f"`Retry-After: {NODE_FULL_RETRY_AFTER}`" in text
    assert f"{TYPING_PER_MINUTE} a minute" in text
    assert ("BASE_DELAY = 500" in backoff, "MAX_DELAY = 20_000" in backoff) == (True, True)
    assert "min(20 s, 0.5 s · 2ⁿ)" in text
    assert ("STABLE_AFTER = 30_000" in client, "READY_TIMEOUT = 10_000" in client) == (True, True)
    assert ("ready for 30 s" in text, "not ready within 10 s" in text) == (True, True)
    assert ("MAX_RETRY_AFTER = 300_000" in client, "at most 5 minutes" in text) == (True, True)
    assert ("MAX_LENGTH = 64" in queue, "at most 64 signals" in text) == (True, True)
