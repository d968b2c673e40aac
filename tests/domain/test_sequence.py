"""Follow-ups lead to campaigns that there are, and to an end."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.campaign.links import FollowUp
from dialer.domain.sequence import mistakes


def to(campaign: str, times: int | None = None) -> FollowUp:
    return FollowUp.model_validate(
        {"when": {"closed": True}, "campaign": campaign, **({"times": times} if times else {})}
    )


def test_a_chain_is_right_and_so_is_a_ring_that_ends() -> None:
    assert mistakes({"a": [to("b")], "b": [to("c")], "c": []}, ["a", "b", "c"]) == []
    assert mistakes({"a": [to("b")], "b": [to("a", 2)]}, ["a", "b"]) == []
    assert mistakes({"a": [to("a", 1)]}, ["a"]) == []


def test_a_ring_without_an_end_is_told_with_its_way() -> None:
    (told,) = mistakes({"a": [to("b")], "b": [to("c")], "c": [to("a")]}, ["a"])
    assert told == "a: follow_up: a → b → c → a is a ring without an end; give one of them times = 1 or more"
    (told,) = mistakes({"a": [to("a")]}, ["a"])
    assert "a → a is a ring" in told


def test_a_campaign_that_nobody_knows_is_told_with_those_that_there_are() -> None:
    (told,) = mistakes({"a": [to("b"), to("remainder")], "b": []}, ["a"])
    assert told == "a: follow_up[2]: campaign 'remainder' is not applied; known are: a, b"


def test_a_ring_elsewhere_is_not_told_of_who_only_leads_there() -> None:
    links = {"a": [to("b")], "b": [to("b")]}
    assert mistakes(links, ["a"]) == []
    assert len(mistakes(links, ["b"])) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from([None, 1])), max_size=8
    )
)
def test_what_is_told_of_is_exactly_what_would_never_end(edges: list[tuple[str, str, int | None]]) -> None:
    links = {name: [to(end, times) for start, end, times in edges if start == name] for name in "abcd"}
    free = {(start, end) for start, end, times in edges if times is None}
    reach = set(free)
    for _ in range(4):
        reach |= {(a, d) for (a, b), (c, d) in itertools.product(reach, free) if b == c}
    endless = {name for name in "abcd" if (name, name) in reach}
    assert {text.partition(":")[0] for text in mistakes(links, "abcd")} == endless
