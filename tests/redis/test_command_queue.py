"""The queue in front of Redis: bounded, in order, and every command in it gets one result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.outcome import Outcome
from hubbub.redis.command_queue import BATCH_BYTES, OVERHEAD_BYTES, CommandQueue, PendingCommand


class Results:
    """Record the outcome of each command."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[bytes, Outcome]] = []

    def command(self, data: bytes) -> PendingCommand:
        return PendingCommand(data, lambda command, outcome, answer: self.outcomes.append((command.command, outcome)))


def open_queue(max_bytes: int = 10**6) -> tuple[CommandQueue, Results]:
    queue = CommandQueue(max_bytes)
    queue.is_open = True
    return queue, Results()


def test_commands_are_joined_in_order() -> None:
    queue, results = open_queue()
    for command in (b"a", b"b", b"c"):
        queue.put(results.command(command))

    assert queue.next_batch() == b"abc"
    assert queue.next_batch() == b""


def test_a_batch_is_bounded() -> None:
    queue, results = open_queue()
    for _ in range(3):
        queue.put(results.command(bytes(BATCH_BYTES // 2 + 1)))

    assert [len(queue.next_batch()) for _ in range(3)] == [BATCH_BYTES + 2, BATCH_BYTES // 2 + 1, 0]


def test_nothing_is_accepted_without_a_connection() -> None:
    results = Results()

    assert not CommandQueue().put(results.command(b"a"))
    assert results.outcomes == []


def test_commands_awaiting_an_answer_count_towards_the_limit() -> None:
    queue, results = open_queue(max_bytes=2 * (1 + OVERHEAD_BYTES))
    accepted = [queue.put(results.command(b"a")) for _ in range(3)]
    queue.next_batch()
    accepted.append(queue.put(results.command(b"a")))
    queue.answered(1)
    accepted.append(queue.put(results.command(b"a")))

    assert accepted == [True, True, False, False, True]


def test_a_probe_goes_first_and_ignores_the_limit() -> None:
    queue, results = open_queue(max_bytes=1 + OVERHEAD_BYTES)
    queue.put(results.command(b"a"))
    queue.put_first(results.command(b"probe "))

    assert queue.next_batch() == b"probe a"


def test_an_error_as_answer_means_dropped() -> None:
    queue, results = open_queue()
    queue.put(results.command(b"a"))
    queue.next_batch()
    queue.answered(ValueError("MOVED"))

    assert results.outcomes == [(b"a", Outcome.DROPPED)]


def test_an_unexpected_answer_is_reported() -> None:
    queue, _ = open_queue()

    assert not queue.answered(1)


def test_a_lost_connection_leaves_written_commands_unknown_and_drops_the_rest() -> None:
    queue, results = open_queue()
    queue.put(results.command(b"a"))
    queue.next_batch()
    queue.put(results.command(b"b"))
    queue.close()

    assert results.outcomes == [(b"a", Outcome.UNKNOWN), (b"b", Outcome.DROPPED)]
    assert not queue.put(results.command(b"c"))
    assert_all_room_is_free(queue, 10**6)


def assert_all_room_is_free(queue: CommandQueue, max_bytes: int) -> None:
    queue.is_open = True
    assert queue.put(Results().command(bytes(max_bytes - OVERHEAD_BYTES)))
    assert not queue.put(Results().command(b""))


steps = st.lists(st.sampled_from(["put", "probe", "write", "answer", "refuse", "lose", "connect"]), max_size=60)


@given(steps)
def test_each_accepted_command_gets_one_result_in_order(steps: list[str]) -> None:
    queue, results = open_queue(max_bytes=20 * OVERHEAD_BYTES)
    accepted: list[bytes] = []
    probes = 0
    for number, step in enumerate(steps):
        command = b"%d" % number
        if step == "put" and queue.put(results.command(command)):
            accepted.append(command)
        elif step == "probe" and queue.is_open:
            queue.put_first(results.command(b"probe"))
            probes += 1
        elif step == "write":
            queue.next_batch()
        elif step == "answer":
            queue.answered(1)
        elif step == "refuse":
            queue.answered(ValueError())
        elif step == "lose":
            queue.close()
        elif step == "connect":
            queue.is_open = True
    queue.next_batch()
    while queue.answered(1):
        queue.next_batch()
    assert_all_room_is_free(queue, 20 * OVERHEAD_BYTES)

    assert [command for command, _ in results.outcomes if command != b"probe"] == accepted
    assert len(results.outcomes) == len(accepted) + probes
