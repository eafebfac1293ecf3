"""Frames are batched per socket, keep their order, and are paced under load."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub.bus.write_batcher import MEASURED_ABOVE, SLICE, WriteBatcher
from hubbub.metrics.stats import Stats
from tests.fakes import FakeLoop, FakeSocket


def make_batcher_with_stats(interval: float = 0.005) -> tuple[WriteBatcher[FakeSocket], FakeLoop, Stats]:
    loop, stats = FakeLoop(), Stats()
    return WriteBatcher(loop, interval, stats), loop, stats


def make_batcher(interval: float = 0.005) -> tuple[WriteBatcher[FakeSocket], FakeLoop]:
    batcher, loop, _ = make_batcher_with_stats(interval)
    return batcher, loop


def test_the_events_of_one_turn_are_sent_in_one_write() -> None:
    batcher, loop = make_batcher()
    socket = FakeSocket()

    for frame in (b"a", b"b", b"c"):
        assert batcher.put(frame, [socket]) == 1
    assert socket.written == []
    loop.turn()

    assert socket.written == [b"abc"]
    assert socket.pending is None


@pytest.mark.parametrize(("count", "pause"), [(1, 0.0001), (10, 0.001), (50, 0.005), (51, 0.005), (200, 0.005)])
def test_the_first_event_after_a_pause_is_sent_in_the_same_turn_and_the_next_one_later(
    count: int, pause: float
) -> None:
    batcher, loop = make_batcher(interval=0.005)
    sockets = [FakeSocket() for _ in range(count)]

    batcher.put(b"a", sockets)
    loop.turn()
    batcher.put(b"b", sockets)
    batcher.put(b"c", sockets)
    loop.turn(pause * 0.9)
    assert sockets[0].written == [b"a"]
    loop.turn(pause * 0.1)

    assert all(socket.written == [b"a", b"bc"] for socket in sockets)


def test_an_interval_of_zero_flushes_in_every_turn() -> None:
    batcher, loop = make_batcher(interval=0.0)
    socket = FakeSocket()

    for frame in (b"a", b"b"):
        batcher.put(frame, [socket])
        loop.turn()

    assert socket.written == [b"a", b"b"]


def test_a_large_fan_out_lets_the_loop_turn_between_slices() -> None:
    batcher, loop = make_batcher()
    sockets = [FakeSocket(socket_id=str(number)) for number in range(2 * SLICE + 1)]

    batcher.put(b"a", sockets)
    counts = []
    for _ in range(3):
        loop.turn()
        counts.append(sum(1 for socket in sockets if socket.written))
    loop.turn()

    assert counts == [SLICE, 2 * SLICE, 2 * SLICE + 1]
    assert loop.calls == []


@pytest.mark.parametrize(("count", "timed"), [(1, 0), (MEASURED_ABOVE, 0), (MEASURED_ABOVE + 1, 1), (SLICE + 1, 1)])
def test_every_flush_is_counted_and_one_to_more_than_a_handful_is_timed(count: int, timed: int) -> None:
    batcher, loop, stats = make_batcher_with_stats()

    batcher.put(b"a", [FakeSocket() for _ in range(count)])
    while loop.calls:
        loop.turn()

    assert (sum(stats.flush_sockets.counts), stats.flush_sockets.total) == (1, count)
    assert sum(stats.flush_seconds.counts) == timed


def test_flushing_one_socket_leaves_the_others_pending() -> None:
    batcher, loop = make_batcher()
    one, other = FakeSocket(), FakeSocket()
    batcher.put(b"a", [one, other])

    batcher.flush(one)
    assert (one.written, other.written) == ([b"a"], [])
    loop.turn()

    assert (one.written, other.written) == ([b"a"], [b"a"])


def test_discarded_frames_are_never_written() -> None:
    batcher, loop = make_batcher()
    socket = FakeSocket()
    batcher.put(b"a", [socket])

    batcher.discard(socket)
    loop.turn()

    assert socket.written == []


def test_a_failing_write_does_not_affect_other_sockets() -> None:
    batcher, loop = make_batcher()
    broken, other = FakeSocket(), FakeSocket()

    def fail(data: bytes) -> None:
        raise ConnectionResetError

    broken.write = fail
    batcher.put(b"a", [broken, other])
    with pytest.raises(ConnectionResetError):
        loop.turn()
    loop.turn()
    batcher.put(b"b", [other])
    loop.turn(1)

    assert other.written == [b"a", b"b"]


def test_events_to_the_same_sockets_are_joined_once_for_all() -> None:
    batcher, loop = make_batcher()
    sockets = (FakeSocket(), FakeSocket())

    batcher.put(b"a", sockets)
    batcher.put(b"b", sockets)
    loop.turn()

    (one,), (other,) = (socket.written for socket in sockets)
    assert one == b"ab"
    assert one is other


def test_a_frame_for_one_socket_follows_earlier_frames() -> None:
    batcher, loop = make_batcher()
    one, other = FakeSocket(), FakeSocket()

    batcher.put(b"a", (one, other))
    batcher.send(b"b", one)
    batcher.put(b"c", (one, other))
    loop.turn()

    assert (one.written, other.written) == ([b"abc"], [b"ac"])


def test_between_two_slices_a_discarded_socket_gets_nothing_and_a_flushed_one_gets_the_frame_once() -> None:
    batcher, loop = make_batcher()
    sockets = tuple(FakeSocket(socket_id=str(number)) for number in range(SLICE + 3))
    *_, leaving, flushed, staying = sockets
    batcher.put(b"a", sockets)
    loop.turn()

    batcher.discard(leaving)
    batcher.flush(flushed)
    loop.turn()

    assert (leaving.written, flushed.written, staying.written) == ([], [b"a"], [b"a"])


def test_an_event_published_between_two_slices_follows_the_one_being_written() -> None:
    batcher, loop = make_batcher(interval=0.005)
    sockets = tuple(FakeSocket(socket_id=str(number)) for number in range(SLICE + 1))
    batcher.put(b"a", sockets)
    loop.turn()

    batcher.put(b"b", sockets)
    loop.turn()
    assert (sockets[0].written, sockets[-1].written) == ([b"a"], [b"a"])
    for _ in range(3):
        loop.turn(0.005)

    assert all(socket.written == [b"a", b"b"] for socket in sockets)
    assert loop.calls == []


GROUPS = [(0, 1, 2, 3, 4), (0, 1, 2, 3), (2, 4), (3,), ()]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, len(GROUPS) - 1)),  # the next frame, to a group
            st.tuples(st.sampled_from(["send", "flush", "discard"]), st.integers(0, 4)),  # and for one socket
            st.tuples(st.just("turn"), st.sampled_from([0.0, 0.001, 0.01])),
        )
    )
)
def test_every_socket_gets_its_frames_complete_and_in_order(steps: list[tuple[str, int | float]]) -> None:
    batcher, loop = make_batcher()
    sockets = [FakeSocket(socket_id=str(number)) for number in range(5)]
    groups = [tuple(sockets[index] for index in group) for group in GROUPS]
    expected: list[bytes] = [b""] * 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubbub.bus.write_batcher.SLICE", 2)
        for number, (act, argument) in enumerate(steps):
            frame = b"%d;" % number
            match act:
                case "put":
                    batcher.put(frame, groups[int(argument)])
                    for index in GROUPS[int(argument)]:
                        expected[index] += frame
                case "send":
                    batcher.send(frame, sockets[int(argument)])
                    expected[int(argument)] += frame
                case "flush":
                    batcher.flush(sockets[int(argument)])
                    assert b"".join(sockets[int(argument)].written) == expected[int(argument)]
                case "discard":
                    batcher.discard(sockets[int(argument)])
                    expected[int(argument)] = b"".join(sockets[int(argument)].written)
                case "turn":
                    loop.turn(argument)
        while loop.calls:
            loop.turn(1)

    assert [b"".join(socket.written) for socket in sockets] == expected
    assert all(socket.pending is None for socket in sockets)
