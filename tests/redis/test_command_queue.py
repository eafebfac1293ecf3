"""The queue in front of Redis: bounded, in order, and everything in it settled once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.outcome import Outcome
from hubbub.redis.command_queue import BATCH_BYTES, OVERHEAD_BYTES, Outbound, Parcel


class Settled:
    """Keeps what became of each parcel."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[bytes, Outcome]] = []

    def parcel(self, command: bytes) -> Parcel:
        return Parcel(command, lambda parcel, outcome, answer: self.outcomes.append((parcel.command, outcome)))


def opened(max_bytes: int = 10**6) -> tuple[Outbound, Settled]:
    outbound = Outbound(max_bytes)
    outbound.is_open = True
    return outbound, Settled()


def test_commands_are_joined_in_order() -> None:
    outbound, settled = opened()
    for command in (b"a", b"b", b"c"):
        outbound.put(settled.parcel(command))

    assert outbound.batch() == b"abc"
    assert outbound.batch() == b""


def test_a_batch_is_bounded() -> None:
    outbound, settled = opened()
    for _ in range(3):
        outbound.put(settled.parcel(bytes(BATCH_BYTES // 2 + 1)))

    assert [len(outbound.batch()) for _ in range(3)] == [BATCH_BYTES + 2, BATCH_BYTES // 2 + 1, 0]


def test_nothing_is_taken_without_a_connection() -> None:
    settled = Settled()

    assert not Outbound().put(settled.parcel(b"a"))
    assert settled.outcomes == []


def test_what_awaits_its_answer_takes_room_too() -> None:
    outbound, settled = opened(max_bytes=2 * (1 + OVERHEAD_BYTES))
    taken = [outbound.put(settled.parcel(b"a")) for _ in range(3)]
    outbound.batch()
    taken.append(outbound.put(settled.parcel(b"a")))
    outbound.answered(1)
    taken.append(outbound.put(settled.parcel(b"a")))

    assert taken == [True, True, False, False, True]


def test_a_probe_goes_first_and_always_has_room() -> None:
    outbound, settled = opened(max_bytes=1 + OVERHEAD_BYTES)
    outbound.put(settled.parcel(b"a"))
    outbound.put_first(settled.parcel(b"probe "))

    assert outbound.batch() == b"probe a"


def test_an_answer_that_is_an_error_means_dropped() -> None:
    outbound, settled = opened()
    outbound.put(settled.parcel(b"a"))
    outbound.batch()
    outbound.answered(ValueError("MOVED"))

    assert settled.outcomes == [(b"a", Outcome.DROPPED)]


def test_an_answer_to_nothing_is_told() -> None:
    outbound, _ = opened()

    assert not outbound.answered(1)


def test_when_the_connection_is_lost_what_was_written_is_unknown_and_the_rest_dropped() -> None:
    outbound, settled = opened()
    outbound.put(settled.parcel(b"a"))
    outbound.batch()
    outbound.put(settled.parcel(b"b"))
    outbound.close()

    assert settled.outcomes == [(b"a", Outcome.UNKNOWN), (b"b", Outcome.DROPPED)]
    assert outbound.size == len(outbound) == 0
    assert not outbound.put(settled.parcel(b"c"))


steps = st.lists(st.sampled_from(["put", "probe", "write", "answer", "refuse", "lose", "connect"]), max_size=60)


@given(steps)
def test_everything_taken_is_settled_once_and_in_order(steps: list[str]) -> None:
    outbound, settled = opened(max_bytes=20 * OVERHEAD_BYTES)
    taken: list[bytes] = []
    probes = 0
    for number, step in enumerate(steps):
        command = b"%d" % number
        if step == "put" and outbound.put(settled.parcel(command)):
            taken.append(command)
        elif step == "probe" and outbound.is_open:
            outbound.put_first(settled.parcel(b"probe"))
            probes += 1
        elif step == "write":
            outbound.batch()
        elif step == "answer":
            outbound.answered(1)
        elif step == "refuse":
            outbound.answered(ValueError())
        elif step == "lose":
            outbound.close()
        elif step == "connect":
            outbound.is_open = True
        assert (outbound.size == 0) == (len(outbound) == 0)
    outbound.close()

    assert [command for command, _ in settled.outcomes if command != b"probe"] == taken
    assert len(settled.outcomes) == len(taken) + probes
