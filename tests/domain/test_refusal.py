"""Who asked not to be called, in their own words or in the summary's; and who did not."""

import pytest

from dialer.domain.disposition import Disposition, DispositionRule, judge
from dialer.domain.refusal import refused


def report(*said: str, agent: str = "Hello, this is Ada.", summary: str = "They talked.", **fields: object):
    turns = [{"role": "agent", "message": agent}] + [{"role": "user", "message": text} for text in said]
    return {
        "status": "done",
        "duration_seconds": 40,
        "metadata": {"summary": summary, "transcript_turns": turns},
        **fields,
    }


@pytest.mark.parametrize(
    "said",
    [
        "Stop calling me.",
        "please STOP CALLING this number",
        "Don't call me again",
        "Don’t ever call here",
        "Do not contact me anymore!",
        "I told you never to call us, never call again.",
        "Take me off your list.",
        "Please remove my number from your database",
        "put me on your do-not-call list",
        "No more calls, please",
        "lose my number",
        "I want to opt out",
        "unsubscribe me",
        "quit calling",
        "dont call my cell",
    ],
)
def test_a_wish_in_the_persons_own_turn_is_heard_and_in_the_agents_is_not(said):
    assert refused(report("Yes?", said))
    assert judge(report("Yes?", said)) is Disposition.DO_NOT_CALL
    assert not refused(report("Yes?", agent=said))


@pytest.mark.parametrize(
    "summary",
    [
        "Mr Doe asked not to be called again.",
        "The customer requested removal from the list.",
        "She does not want to be contacted.",
        "He asked to be taken off the list",
        "The lead opted out.",
        "He said: do not call me again.",
        "She wants us to stop calling.",
    ],
)
def test_a_wish_that_the_summary_tells_is_heard(summary):
    assert judge(report("Yes.", summary=summary)) is Disposition.DO_NOT_CALL


@pytest.mark.parametrize(
    "said",
    [
        "Please don't stop calling, I like it",
        "You may call me again",
        "Do not hesitate to call me",
        "Don't call me before noon",
        "don't call me right now, call me tomorrow",
        "Do not call me on Sundays",
        "Stop calling at night",
        "Who is calling me?",
        "My list is long, take the first offer",
        "I will call you",
        "call me back later",
        "remove the old address from my account",
    ],
)
def test_what_asks_for_another_hour_or_for_nothing_is_no_wish_not_to_be_called(said):
    assert not refused(report(said))
    assert not refused(report("Yes.", summary="The customer said they like it."))


def test_only_a_rule_that_listens_may_know_better():
    fields = report("Stop calling me, I am in the bath", call_successful="failure")
    deaf = DispositionRule.model_validate({"when": {"call_successful": "failure"}, "is": "answered"})
    hears = DispositionRule.model_validate(
        {"when": {"transcript": "~ in the bath"}, "is": "callback_requested"}
    )
    assert judge(fields, [deaf]) is Disposition.DO_NOT_CALL
    assert judge(fields, [deaf, hears]) is Disposition.CALLBACK_REQUESTED


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"summary": "~ not interested"}, True),
        ({"summary": "~NOT   interested"}, True),
        ({"summary": "~ not interest"}, False),
        ({"metadata.summary": ["~ nothing", "~ interested at all"]}, True),
        ({"transcript": "~ no thanks"}, True),
        ({"transcript": "~ this is ada"}, False),
        ({"silence": False}, True),
        ({"silence": True}, False),
        ({"intent_confidence": ">= 0.8"}, True),
        ({"duration_seconds": "< 8"}, False),
        ({"call_successful": "failure"}, True),
        ({"status": "done"}, True),
        ({"intent": "not_interested"}, True),
    ],
)
def test_a_rule_may_test_any_field_and_what_we_make_of_the_report(when, holds):
    fields = report(
        "No, thanks.", summary="Bob is not interested at all.", intent="not_interested", intent_confidence=0.9,
        call_successful="failure",
    )  # fmt: skip
    rule = DispositionRule.model_validate({"when": when, "is": "busy"})
    assert (judge(fields, [rule]) is Disposition.BUSY) is holds


def test_a_report_of_silence():
    rule = DispositionRule.model_validate({"when": {"silence": True}, "is": "busy"})
    assert judge(report(" … "), [rule]) is Disposition.BUSY
    assert judge({"status": "done"}, [rule]) is not Disposition.BUSY


def test_words_without_a_word_are_refused():
    with pytest.raises(ValueError, match="has no word to look for"):
        DispositionRule.model_validate({"when": {"summary": "~ …"}, "is": "busy"})
