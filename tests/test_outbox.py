"""Frames are coalesced per socket, keep their order, and are paced under load."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub.outbox import SLICE, Outbox
from tests.fakes import FakeLoop, FakeSocket


def make_outbox(interval: float = 0.005) -> tuple[Outbox[FakeSocket], FakeLoop]:
    loop = FakeLoop()
    return Outbox(loop, interval), loop


def test_the_events_of_one_turn_leave_in_one_write() -> None:
    outbox, loop = make_outbox()
    socket = FakeSocket()

    for frame in (b"a", b"b", b"c"):
        assert outbox.put(frame, [socket]) == 1
    assert socket.written == []
    loop.turn()

    assert socket.written == [b"abc"]
    assert socket.pending is None


def test_the_first_event_after_quiet_leaves_in_the_same_turn_and_the_next_after_the_interval() -> None:
    outbox, loop = make_outbox(interval=0.005)
    socket = FakeSocket()

    outbox.put(b"a", [socket])
    loop.turn()
    outbox.put(b"b", [socket])
    outbox.put(b"c", [socket])
    loop.turn(0.004)
    assert socket.written == [b"a"]
    loop.turn(0.001)

    assert socket.written == [b"a", b"bc"]


def test_an_interval_of_zero_flushes_in_every_turn() -> None:
    outbox, loop = make_outbox(interval=0.0)
    socket = FakeSocket()

    for frame in (b"a", b"b"):
        outbox.put(frame, [socket])
        loop.turn()

    assert socket.written == [b"a", b"b"]


def test_a_large_fan_out_lets_the_loop_turn_between_slices() -> None:
    outbox, loop = make_outbox()
    sockets = [FakeSocket(socket_id=str(number)) for number in range(2 * SLICE + 1)]

    outbox.put(b"a", sockets)
    counts = []
    for _ in range(3):
        loop.turn()
        counts.append(sum(1 for socket in sockets if socket.written))

    assert counts == [SLICE, 2 * SLICE, 2 * SLICE + 1]
    assert loop.calls == []


def test_flushing_one_socket_leaves_the_others_pending() -> None:
    outbox, loop = make_outbox()
    one, other = FakeSocket(), FakeSocket()
    outbox.put(b"a", [one, other])

    outbox.flush(one)
    assert (one.written, other.written) == ([b"a"], [])
    loop.turn()

    assert (one.written, other.written) == ([b"a"], [b"a"])


def test_what_is_discarded_is_never_written() -> None:
    outbox, loop = make_outbox()
    socket = FakeSocket()
    outbox.put(b"a", [socket])

    outbox.discard(socket)
    loop.turn()

    assert socket.written == []


def test_a_write_that_fails_keeps_nobody_else_from_theirs() -> None:
    outbox, loop = make_outbox()
    broken, other = FakeSocket(), FakeSocket()

    def fail(data: bytes) -> None:
        raise ConnectionResetError

    broken.write = fail
    outbox.put(b"a", [broken, other])
    with pytest.raises(ConnectionResetError):
        loop.turn()
    loop.turn()
    outbox.put(b"b", [other])
    loop.turn(1)

    assert other.written == [b"a", b"b"]


@given(
    st.lists(
        st.one_of(
            st.sets(st.integers(0, 4)),  # put the next frame to these sockets
            st.sampled_from([0.0, 0.001, 0.01]),  # let time pass
            st.integers(0, 4),  # flush that socket
        )
    )
)
def test_every_socket_gets_its_frames_complete_and_in_order(steps: list[set[int] | float | int]) -> None:
    outbox, loop = make_outbox()
    sockets = [FakeSocket(socket_id=str(number)) for number in range(5)]
    expected: list[bytes] = [b""] * 5
    for number, step in enumerate(steps):
        if isinstance(step, set):
            frame = b"%d;" % number
            outbox.put(frame, [sockets[index] for index in step])
            for index in step:
                expected[index] += frame
        elif isinstance(step, float):
            loop.turn(step)
        else:
            outbox.flush(sockets[step])
    loop.turn(1)

    assert [b"".join(socket.written) for socket in sockets] == expected
    assert all(socket.pending is None for socket in sockets)
