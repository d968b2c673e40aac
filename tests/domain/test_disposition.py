"""How reports are judged: rules first, then the table of the operator's manual."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dialer.domain.disposition import Disposition, DispositionRule, judge

MANUAL = Path(__file__).parents[2] / "campaigns" / "README.md"
SAMPLE = {
    "status": "done",
    "intent": "account_setup",
    "intent_confidence": 0.9,
    "lead_data": {"name": "John Doe", "email": "john@example.com"},
    "duration_minutes": 2.35,
    "duration_seconds": 141,
    "call_successful": "success",
    "language": "en",
    "credits_deducted": 0.527,
    "metadata": {
        "summary": "John contacted support to inquire about...",
        "transcript_turns": [
            {"role": "agent", "message": "Hey, is this John?", "time_in_call_secs": 0},
            {"role": "user", "message": "Yes, this is John.", "time_in_call_secs": 2},
        ],
    },
}
SILENT = {"transcript_turns": [{"role": "agent", "message": "Hello?"}, {"role": "user", "message": " ... "}]}


def rule(ending: str, **when: object) -> DispositionRule:
    return DispositionRule.model_validate({"when": when, "is": ending})


def words(ending: str, field: str) -> list[str]:
    """The words that the manual's table gives for ``field`` and ``ending``."""
    found = []
    for line in MANUAL.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        named = re.match(rf"(?:`\w+` or )?`{field}` (?:is|contains)|`{field}` or", cells[0])
        if len(cells) == 2 and cells[1] == f"`{ending}`" and named and "duration is 0" not in cells[0]:
            found += [word for word in re.findall(r"`(\w+)`", cells[0]) if word not in ("status", "intent")]
    return found


STATUS_WORDS = [
    (ending, word)
    for ending in (
        "no_answer",
        "busy",
        "voicemail",
        "failed",
        "invalid_number",
        "do_not_call",
        "callback_requested",
    )
    for word in words(ending, "status")
]
INTENT_WORDS = [
    (ending, word)
    for ending in ("do_not_call", "callback_requested", "voicemail", "invalid_number")
    for word in words(ending, "intent")
]


def test_the_documented_report_was_answered() -> None:
    assert judge(SAMPLE, ()) is Disposition.ANSWERED


def test_the_manual_has_words_for_every_ending() -> None:
    assert len(STATUS_WORDS) > 40
    assert len(INTENT_WORDS) > 35


@pytest.mark.parametrize(("ending", "word"), STATUS_WORDS)
def test_a_word_of_status_in_the_manual_decides(ending: str, word: str) -> None:
    for written in (word, word.upper(), word.replace("_", "-"), word.replace("_", " ").title()):
        assert judge({**SAMPLE, "status": written}, ()) == ending


@pytest.mark.parametrize(("ending", "word"), INTENT_WORDS)
def test_a_word_of_intent_in_the_manual_decides_a_call(ending: str, word: str) -> None:
    for status in ("done", "something_new", None):
        assert judge({**SAMPLE, "status": status, "intent": word}, ()) == ending


def test_a_line_that_was_busy_stays_busy_whatever_the_intent_says() -> None:
    assert judge({"status": "busy", "intent": "callback"}, ()) is Disposition.BUSY


@pytest.mark.parametrize(
    "intent",
    ["customer_opt_out", "Please don't call again", "stopCalling", "UNSUBSCRIBE-request", "do_not_call_back"],
)
def test_a_wish_not_to_be_called_is_heard_anywhere_in_the_intent(intent: str) -> None:
    for status in ("done", "voicemail", "busy", "", None):
        assert judge({**SAMPLE, "status": status, "intent": intent}, ()) is Disposition.DO_NOT_CALL


@pytest.mark.parametrize("intent", ["adopt_outreach", "no_callback", "stopover", "dncing"])
def test_a_word_inside_another_word_is_not_a_wish(intent: str) -> None:
    assert judge({**SAMPLE, "intent": intent}, ()) is Disposition.ANSWERED


@pytest.mark.parametrize(
    ("report", "ending"),
    [
        ({"status": "done", "duration_seconds": 0}, "no_answer"),
        ({"status": "done", "duration_seconds": 30, "metadata": SILENT}, "no_answer"),
        ({"status": "done", "duration_minutes": 0}, "no_answer"),
        ({"status": "done"}, "answered"),
        ({"status": "done", "metadata": {"transcript_turns": []}}, "answered"),
        ({"status": "done", "duration_seconds": "12"}, "answered"),
        ({"status": "telepathy", "duration_seconds": 12}, "answered"),
        ({"status": "telepathy", "duration_seconds": 0}, "failed"),
        ({"status": "telepathy", "metadata": SAMPLE["metadata"]}, "answered"),
        ({"status": "telepathy"}, "failed"),
        ({"duration_seconds": 12}, "answered"),
        ({}, "failed"),
        ({"status": None, "intent": 3, "duration_seconds": "NaN", "metadata": ["x"]}, "failed"),
        (
            {"status": "done", "duration_seconds": True, "metadata": {"transcript_turns": [1, None]}},
            "no_answer",
        ),
    ],
)
def test_what_no_word_decides_is_read_from_the_call(report: dict[str, object], ending: str) -> None:
    assert judge(report, ()) == ending


def test_the_first_rule_that_matches_wins() -> None:
    rules = [
        rule("busy", language="de"),
        rule("voicemail", language="EN", call_successful="Success"),
        rule("failed", language="en"),
    ]
    assert judge(SAMPLE, rules) is Disposition.VOICEMAIL
    assert judge({**SAMPLE, "call_successful": "failure"}, rules) is Disposition.FAILED
    assert judge({**SAMPLE, "language": "pt"}, rules) is Disposition.ANSWERED


@pytest.mark.parametrize(
    ("test", "value", "passes"),
    [
        (">= 80", 80, True),
        (">= 80", 79.99, False),
        (">80", "81", True),
        ("<= 5", Decimal("5.0"), True),
        ("< 5", -1, True),
        ("< 5", "few", False),
        ("< 5", None, False),
        ("!= 5", None, False),
        ("!= 5", 6, True),
        ("== 0.1", 0.1, True),
        (Decimal("0.9"), 0.9, True),
        (0.9, Decimal("0.90"), True),
        (5, 5, True),
        (5, "5", True),
        (5, 5.5, False),
        (1, True, False),
        (True, True, True),
        (True, 1, False),
        (False, None, False),
        ("yes", "YES ", True),
        ("yes", ["yes"], False),
        ("5", 5, False),
        (["a", "b"], "B", True),
        (["a", ">= 3"], 4, True),
        (["a", "b"], "c", False),
    ],
)
def test_a_test_of_a_rule(test: object, value: object, passes: bool) -> None:
    found = judge({"status": "done", "field": value}, [rule("busy", field=test)])
    assert found is (Disposition.BUSY if passes else Disposition.ANSWERED)


def test_a_path_reaches_into_the_report() -> None:
    rules = [rule("voicemail", **{"lead_data.email": "john@example.com"})]
    assert judge(SAMPLE, rules) is Disposition.VOICEMAIL
    for report in ({**SAMPLE, "lead_data": None}, {**SAMPLE, "lead_data": "x"}, {}):
        assert judge(report, rules) is not Disposition.VOICEMAIL


def test_a_rule_that_does_not_read_the_intent_cannot_hide_a_wish_not_to_be_called() -> None:
    report = {**SAMPLE, "intent": "do_not_call", "call_successful": "failure"}
    assert judge(report, [rule("no_answer", call_successful="failure")]) is Disposition.DO_NOT_CALL
    assert judge(report, [rule("answered", intent="do_not_call")]) is Disposition.ANSWERED


@pytest.mark.parametrize(
    ("when", "ending", "mend"),
    [
        ({}, "busy", "name at least one field"),
        ({"a": []}, "busy", "nothing can match"),
        ({"a": [["b"]]}, "busy", "one flat list"),
        ({"a": ">= high"}, "busy", 'write one as ">= 80"'),
        ({"a": {"b": 1}}, "busy", "is not a text, a number"),
        ({"a": Decimal("inf")}, "busy", "not a number that can be compared"),
        ({"a": 1}, "no_report", "a rule reads a report that came"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(when: dict[str, object], ending: str, mend: str) -> None:
    with pytest.raises(ValidationError) as refused:
        DispositionRule.model_validate({"when": when, "is": ending})
    assert mend in str(refused.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    report=st.dictionaries(
        st.sampled_from(["status", "intent", "duration_seconds", "duration_minutes", "metadata", "field"]),
        values,
    )
)
def test_any_report_has_one_ending(report: dict[str, object]) -> None:
    assert judge(report, [rule("busy", field=">= 3")]) in Disposition


def test_a_rule_survives_json() -> None:
    written = rule("busy", a=Decimal("0.9"), b=["x", 1, Decimal("2.50"), True], c="< 5")
    stored = json.loads(json.dumps(written.model_dump(mode="json", by_alias=True)))
    assert DispositionRule.model_validate(stored) == written
