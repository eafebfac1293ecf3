"""The wheel visits every socket once per interval, and expires tokens on time."""

import hypothesis.strategies as st
from hypothesis import given

from hubbub.connections.heartbeat import SLOTS, Heartbeat
from tests.fakes import FakeSocket


def turn_for(heartbeat: Heartbeat[FakeSocket], seconds: float, start: float = 0.0) -> float:
    """Turn the wheel as its owner does; return the time afterwards."""
    now = start
    for _ in range(round(seconds / heartbeat.step)):
        now += heartbeat.step
        heartbeat.turn(now)
    return now


def test_every_socket_beats_once_per_turn_of_the_wheel_and_an_interval_has_room_for_a_late_step() -> None:
    heartbeat: Heartbeat[FakeSocket] = Heartbeat(25.0)
    sockets = [FakeSocket(socket_id=str(number)) for number in range(250)]
    for socket in sockets:
        heartbeat.add(socket, 0.0)

    turn_for(heartbeat, 3 * SLOTS * heartbeat.step)

    assert {socket.beats for socket in sockets} == {3}
    assert 3 * SLOTS * heartbeat.step < 75.0 - heartbeat.step


def test_a_burst_of_connects_beats_evenly_over_the_interval() -> None:
    heartbeat: Heartbeat[FakeSocket] = Heartbeat(25.0)
    sockets = [FakeSocket(socket_id=str(number)) for number in range(10 * SLOTS)]
    for socket in sockets:
        heartbeat.add(socket, 0.0)

    heartbeat.turn(heartbeat.step)

    assert sum(socket.beats for socket in sockets) == 10


def test_a_discarded_socket_is_not_visited_again() -> None:
    heartbeat: Heartbeat[FakeSocket] = Heartbeat(25.0)
    socket = FakeSocket(expires_at=30.0)
    heartbeat.add(socket, 0.0)

    heartbeat.discard(socket)
    turn_for(heartbeat, 100.0)

    assert (socket.beats, socket.has_expired, len(heartbeat)) == (0, False, 0)


@given(expires_at=st.floats(0.0, 1000.0), slot=st.integers(0, SLOTS - 1))
def test_a_token_expires_within_one_step_of_its_time_and_not_before(expires_at: float, slot: int) -> None:
    heartbeat: Heartbeat[FakeSocket] = Heartbeat(25.0)
    for number in range(slot):  # slots are assigned in turn
        heartbeat.add(FakeSocket(socket_id=str(number)), 0.0)
    socket = FakeSocket(socket_id="mine", expires_at=expires_at)
    heartbeat.add(socket, 0.0)

    now = 0.0
    while not socket.has_expired:
        now = turn_for(heartbeat, heartbeat.step, now)
        assert now <= expires_at + 2 * heartbeat.step

    assert now >= expires_at


def test_a_long_lived_token_leaves_nothing_behind_when_its_socket_closes() -> None:
    heartbeat: Heartbeat[FakeSocket] = Heartbeat(25.0)
    for number in range(100):
        socket = FakeSocket(socket_id=str(number), expires_at=43_200.0)
        heartbeat.add(socket, 0.0)
        heartbeat.discard(socket)

    assert heartbeat.expiring == []
