"""The registry: which sockets receive an event, and above all which do not."""

import hypothesis.strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hubbub.bus.hub import Hub
from hubbub.contract.topics import Topic
from tests.fakes import FakeSocket

C1, C2, ALICE = Topic("conversation", "c1"), Topic("conversation", "c2"), Topic("user", "alice")


def make_hub() -> Hub[FakeSocket]:
    return Hub()


def registered(hub: Hub[FakeSocket], user_id: str, socket_id: str, *topics: Topic) -> FakeSocket:
    socket = FakeSocket(user_id, socket_id)
    hub.register(socket)
    hub.replace(socket, topics)
    return socket


def test_without_a_subscription_a_socket_receives_only_self_events() -> None:
    hub = make_hub()
    socket = registered(hub, "alice", "s1")

    assert list(hub.audience([C1, C2, ALICE], ["bob"])) == []
    assert list(hub.audience([], ["alice"])) == [socket]


def test_an_event_without_topic_and_user_reaches_no_socket() -> None:
    hub = make_hub()
    registered(hub, "alice", "s1", C1)

    assert list(hub.audience([], [])) == []


def test_only_subscribers_of_the_topic_receive_it() -> None:
    hub = make_hub()
    one = registered(hub, "alice", "s1", C1)
    both = registered(hub, "bob", "s2", C1, C2)
    registered(hub, "carol", "s3", C2)

    assert set(hub.audience([C1])) == {one, both}


def test_a_socket_that_matches_several_times_receives_one_copy() -> None:
    hub = make_hub()
    socket = registered(hub, "alice", "s1", C1, C2, ALICE)
    other = registered(hub, "alice", "s2", C2)

    heard = list(hub.audience([C1, C2, ALICE], ["alice"]))

    assert sorted(socket.socket_id for socket in heard) == ["s1", "s2"]
    assert set(heard) == {socket, other}


def test_a_user_named_twice_receives_one_copy() -> None:
    hub = make_hub()
    socket = registered(hub, "alice", "s1")

    assert list(hub.audience([], ["alice", "bob", "alice"])) == [socket]


def test_the_excluded_socket_receives_nothing_and_the_users_other_sockets_do() -> None:
    hub = make_hub()
    registered(hub, "alice", "s1", C1)
    other = registered(hub, "alice", "s2", C1)

    assert list(hub.audience([C1], ["alice"], exclude="s1")) == [other]


def test_replace_replaces_every_topic_and_returns_the_new_ones() -> None:
    hub = make_hub()
    socket = registered(hub, "alice", "s1", C1)

    assert hub.replace(socket, [C1, C2, C2]) == [C2]
    assert set(socket.context.subscriptions) == {C1, C2}
    assert hub.replace(socket, [C1, C2]) == []
    assert hub.replace(socket, []) == []
    assert set(socket.context.subscriptions) == set()
    assert list(hub.audience([C1, C2])) == []


def test_unregister_leaves_nothing_behind_and_may_be_repeated() -> None:
    hub = make_hub()
    socket = registered(hub, "alice", "s1", C1, ALICE)

    hub.unregister(socket)
    hub.unregister(socket)

    assert (len(hub), hub.user_count, hub.topic_count) == (0, 0, 0)
    assert socket not in hub
    assert list(hub.audience([C1], ["alice"])) == []


def test_topics_and_users_that_lose_their_last_listener_are_reported_once() -> None:
    unheard: list[Topic | str] = []
    hub = make_hub()
    hub.observe_unused(unheard.extend)
    first = registered(hub, "alice", "s1", C1, C2)
    second = registered(hub, "bob", "s2", C1)

    hub.replace(first, [C1])
    assert unheard == [C2]
    hub.unregister(first)
    assert unheard == [C2, "alice"]
    hub.unregister(second)
    assert unheard == [C2, "alice", C1, "bob"]


TOPICS = st.sampled_from([C1, C2, ALICE, Topic("user", "bob")])


class HubMachine(RuleBasedStateMachine):
    """Any interleaving of registering, subscribing and leaving agrees with a plain dictionary."""

    sockets = Bundle("sockets")

    def __init__(self) -> None:
        super().__init__()
        self.hub = make_hub()
        self.model: dict[FakeSocket, set[Topic]] = {}
        self.number = 0

    @rule(target=sockets, user_id=st.sampled_from(["alice", "bob"]))
    def register(self, user_id: str) -> FakeSocket:
        self.number += 1
        socket = FakeSocket(user_id, f"s{self.number}")
        self.hub.register(socket)
        self.model[socket] = set()
        return socket

    @rule(socket=sockets, topics=st.lists(TOPICS))
    def replace(self, socket: FakeSocket, topics: list[Topic]) -> None:
        added = self.hub.replace(socket, topics)
        assert set(added) == set(topics) - self.model[socket]
        self.model[socket] = set(topics)

    @rule(socket=consumes(sockets))
    def unregister(self, socket: FakeSocket) -> None:
        self.hub.unregister(socket)
        del self.model[socket]

    @rule(topics=st.lists(TOPICS), users=st.lists(st.sampled_from(["alice", "bob", "carol"])))
    def hear(self, topics: list[Topic], users: list[str]) -> None:
        heard = list(self.hub.audience(topics, users))
        assert len(heard) == len(set(heard))
        assert set(heard) == {
            socket for socket, held in self.model.items() if held & set(topics) or socket.user_id in users
        }

    @rule(topics=st.lists(TOPICS, unique=True), users=st.lists(st.sampled_from(["alice", "bob", "carol"]), unique=True))
    def hear_a_copy_from_each(self, topics: list[Topic], users: list[str]) -> None:
        interests: list[Topic | str] = [*topics, *users]
        heard = [socket for matched in interests for socket in self.hub.audience(topics, users, matched=matched)]
        assert len(heard) == len(set(heard))
        assert set(heard) == set(self.hub.audience(topics, users))

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert len(self.hub) == len(self.model)
        assert self.hub.user_count == len({socket.user_id for socket in self.model})
        assert self.hub.topic_count == len(set().union(*self.model.values()))
        for socket, held in self.model.items():
            assert set(socket.context.subscriptions) == held


TestHubMachine = HubMachine.TestCase
