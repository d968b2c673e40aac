"""How an attempt ended, and the ordered rules that read it from a report.

- A campaign's own rules come first and the first that matches wins; but a wish not to be called, in ``intent``,
  yields only to a rule that reads ``intent`` itself.
  What the person said (``refusal``) yields only to a rule that reads ``intent``, ``summary`` or ``transcript``.
- What no rule decides is read from ``status``, ``intent``, the duration and the transcript. In doubt somebody
  answered, for that ends the calls. ``status`` is documented with the one value ``done``, so the other words are
  those that telephone providers commonly use; the table is in ``campaigns/README.md``.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dialer.domain import refusal


class Disposition(StrEnum):
    """The closed list of endings of one attempt; equal to the CHECK in ``sql/migrations``."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    INVALID_NUMBER = "invalid_number"
    DO_NOT_CALL = "do_not_call"
    CALLBACK_REQUESTED = "callback_requested"
    NO_REPORT = "no_report"


FINAL: Final = frozenset({Disposition.ANSWERED, Disposition.DO_NOT_CALL, Disposition.INVALID_NUMBER})
"""Endings after which nobody is called again in this campaign; they can have no ladder."""

COMPARISON: Final = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([+-]?\d+(?:\.\d+)?)\s*", re.ASCII)
"""A text that compares numbers: ``">= 80"``, ``"< 5"``."""

CONTAINS: Final = "~"
"""Begins a text of words that the field must hold: ``"~ not interested"``."""

_COMPARES: Final = ("<", ">", "==", "!=")


def _test(value: object) -> object:
    """One test of a rule; a number with a fraction becomes a comparison, so that JSON keeps every digit."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("is an empty list, which nothing can match")
        if any(isinstance(item, list | tuple) for item in value):
            raise ValueError("is a list in a list; write one flat list")
        return tuple(_test(item) for item in value)
    if isinstance(value, Decimal | float) and not isinstance(value, bool):
        number = Decimal(str(value))
        if not number.is_finite():
            raise ValueError("is not a number that can be compared")
        return f"== {number:f}"
    if isinstance(value, str):
        if value.startswith(CONTAINS) and not _words(value):
            raise ValueError(f'{value!r} has no word to look for; write one as "~ not interested"')
        if value.lstrip().startswith(_COMPARES) and COMPARISON.fullmatch(value) is None:
            raise ValueError(f'{value!r} is not a comparison; write one as ">= 80" or "< 5"')
        return value
    if isinstance(value, bool | int):
        return value
    raise ValueError("is not a text, a number, true, false or a list of these")


Test = Annotated[str | int | bool | tuple[str | int | bool, ...], BeforeValidator(_test)]


class DispositionRule(BaseModel):
    """``when`` every named field of the report passes its test, the attempt ended as ``ending``.

    A key of ``when`` is a field of the report or a dotted path into it (``lead_data.email``). A test is a
    text (letter case does not matter), words to be held (``"~ not interested"``), a number, true or false, a
    comparison such as ``">= 80"``, or a list, of which one must match. Beside the report's own fields there are
    ``summary``, ``transcript`` (what the person said) and ``silence`` (the person said nothing).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    when: dict[str, Test]
    ending: Disposition = Field(alias="is")

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if not self.when:
            raise ValueError('"when" is empty and would match every report; name at least one field')
        if self.ending is Disposition.NO_REPORT:
            raise ValueError('"is" cannot be no_report: a rule reads a report that came')
        return self


FINISHED: Final = frozenset(
    {"done", "completed", "complete", "answered", "success", "successful", "ended", "finished"}
)
"""Words of ``status`` for a call that came about: what was said decides. ``done`` is the documented one."""

STATUSES: Final[Mapping[str, Disposition]] = {
    word: disposition
    for disposition, words in (
        (
            Disposition.NO_ANSWER,
            "no_answer noanswer not_answered unanswered no_pickup missed declined rejected",
        ),
        (Disposition.BUSY, "busy line_busy user_busy"),
        (
            Disposition.VOICEMAIL,
            "voicemail voice_mail voicemail_detected voicemail_left left_voicemail answering_machine machine"
            " machine_detected",
        ),
        (Disposition.FAILED, "failed failure error call_failed canceled cancelled"),
        (
            Disposition.INVALID_NUMBER,
            "invalid_number invalid_phone wrong_number number_not_in_service not_in_service unallocated_number",
        ),
        (Disposition.CALLBACK_REQUESTED, "callback_requested"),
    )
    for word in words.split()
}
"""Words of ``status`` that say by themselves how the attempt ended."""

INTENTS: Final[Mapping[str, Disposition]] = {
    word: disposition
    for disposition, words in (
        (
            Disposition.CALLBACK_REQUESTED,
            "callback call_back callback_requested callback_request call_back_requested call_back_request"
            " request_callback request_call_back requested_callback schedule_callback callback_scheduled"
            " call_back_later call_me_back call_later call_me_later",
        ),
        (
            Disposition.VOICEMAIL,
            "voicemail voicemail_detected voicemail_left left_voicemail answering_machine",
        ),
        (Disposition.INVALID_NUMBER, "wrong_number wrong_person"),
    )
    for word in words.split()
}
"""Words of ``intent`` that decide a call that came about. Whole, for "no_callback" must not ring again."""

REFUSALS: Final = (
    "do_not_call",
    "do_not_contact",
    "dont_call",
    "dont_contact",
    "dnc",
    "opt_out",
    "optout",
    "opted_out",
    "unsubscribe",
    "unsubscribed",
    "stop_calling",
    "stop_calls",
    "never_call",
    "no_more_calls",
    "remove_me",
    "remove_number",
    "remove_my_number",
    "remove_from_list",
    "take_me_off",
)
"""Words of ``intent`` or ``status`` that, anywhere in it, ask not to be called: better one call too few."""

_LISTENS: Final = frozenset({"intent", "summary", "metadata.summary", "transcript"})
"""Fields in which a rule may read better than the phrases what was said."""

_ORDER: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def judge(fields: Mapping[str, object], rules: Sequence[DispositionRule] = ()) -> Disposition:
    """How the attempt ended that the report ``fields`` (its whole JSON object) tells of."""
    status, intent = _word(fields.get("status")), _word(fields.get("intent"))
    refused, said = _refuses(intent), refusal.refused(fields)
    for rule in rules:
        if refused and "intent" not in rule.when:
            continue
        if said and not _LISTENS & rule.when.keys():
            continue
        if passes(fields, rule.when):
            return rule.ending
    if refused or said or _refuses(status):
        return Disposition.DO_NOT_CALL
    if status in STATUSES:
        return STATUSES[status]
    return _of_a_call(fields, status, intent)


def passes(fields: Mapping[str, object], when: Mapping[str, Test]) -> bool:
    """Whether every named field of the report passes its test."""
    return all(_passes(test, _named(fields, path)) for path, test in when.items())


def field(fields: Mapping[str, object], path: str) -> object:
    """A field of the report by its dotted path, or one that is made of it; None: it has none."""
    return _named(fields, path)


def _of_a_call(fields: Mapping[str, object], status: str, intent: str) -> Disposition:
    seconds, spoke = _seconds(fields), _spoke(fields)
    if intent in INTENTS:
        return INTENTS[intent]
    if status in FINISHED:
        silent = seconds == 0 or spoke is False
        return Disposition.NO_ANSWER if silent else Disposition.ANSWERED
    happened = spoke is True or (seconds is not None and seconds > 0)
    return Disposition.ANSWERED if happened else Disposition.FAILED


def _word(value: object) -> str:
    """``No-Answer``, ``no answer`` and ``noAnswer`` as ``no_answer``."""
    return _plain(value) if isinstance(value, str) else ""


@lru_cache(maxsize=64)  # the provider has few words for them
def _plain(text: str) -> str:
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower().replace("'", "").replace("’", "")
    return "_".join(re.findall(r"[^\W_]+", text))


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("'", "").replace("’", "")))


def _holds(value: str, words: str) -> bool:
    """Whether the words stand in the text one after the other, as whole words."""
    return f" {_words(words)} " in f" {_words(value)} "


@lru_cache(maxsize=64)
def _refuses(word: str) -> bool:
    return any(f"_{refusal}_" in f"_{word}_" for refusal in REFUSALS)


def _seconds(fields: Mapping[str, object]) -> Decimal | None:
    for key in ("duration_seconds", "duration_minutes"):
        number = _number(fields.get(key))
        if number is not None:
            return number
    return None


def _spoke(fields: Mapping[str, object]) -> bool | None:
    """Whether the transcript holds a word of the person called; None if there is no transcript to tell."""
    said = _at(fields, "metadata.transcript_turns")
    if not isinstance(said, list) or not said:
        return None
    return any(letter.isalnum() for turn in refusal.turns(fields) for letter in turn)


def _named(fields: Mapping[str, object], path: str) -> object:
    """A field by its path; else one that we make of the report, so that a rule can test it."""
    value = _at(fields, path)
    if value is not None:
        return value
    match path:
        case "summary":
            return refusal.summary(fields) or None
        case "transcript":
            return "\n".join(refusal.turns(fields)) or None
        case "silence":
            spoke = _spoke(fields)
            return None if spoke is None else not spoke
        case _:
            return None


def _at(fields: Mapping[str, object], path: str) -> object:
    first, *inner = path.split(".")
    value = fields.get(first)
    for key in inner:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _passes(test: object, value: object) -> bool:
    match test:
        case tuple():
            return any(_passes(one, value) for one in test)
        case bool():
            return value is test
        case int():
            return _number(value) == test
        case str() if test.startswith(CONTAINS):
            return isinstance(value, str) and _holds(value, test.removeprefix(CONTAINS))
        case str() if compared := COMPARISON.fullmatch(test):
            number = _number(value)
            return number is not None and _ORDER[compared[1]](number, Decimal(compared[2]))
        case str():
            return isinstance(value, str) and value.strip().casefold() == test.strip().casefold()
        case _:
            return False
