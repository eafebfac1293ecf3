"""Topics and their canonical string form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Topic
from hubbub.contract.topics import KIND_PATTERN, is_valid_id


@given(kind=st.from_regex(KIND_PATTERN, fullmatch=True), id=st.text(min_size=1, max_size=128).filter(is_valid_id))
def test_the_string_form_round_trips(kind: str, id: str) -> None:
    assert Topic.parse(str(Topic(kind, id))) == Topic(kind, id)


@pytest.mark.parametrize("text", ["", "conversation", "conversation:", ":c1", "Conversation:c1", "a b:c1", "a:\n"])
def test_text_that_is_not_a_topic_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected kind:id"):
        Topic.parse(text)


@pytest.mark.parametrize(
    ("id", "is_valid"),
    [
        ("c1", True),
        ("x" * 128, True),
        ("a:b", True),
        ("", False),
        ("x" * 129, False),
        ("a\r\nb", False),
        ("a\0", False),
    ],
)
def test_an_id_is_short_and_without_control_characters(id: str, is_valid: bool) -> None:
    assert is_valid_id(id) == is_valid
