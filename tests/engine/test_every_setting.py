"""Every key of a campaign changes what happens: the same days are played with it and without it, and must differ.

A key that nobody plays is named in ELSEWHERE with the test that shows what it does.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dialer.calldock.messages import Placed, ServerError, Unconfirmed
from dialer.domain.campaign import Campaign

DAYS = timedelta(days=6)
ROOT = Path(__file__).parents[2]
SHUT = {"packs": []}

ELSEWHERE = {
    "schedule.cron": "tests/test_scheduler.py::test_each_cron_time_starts_and_releases_those_who_wait_for_it",
    "schedule.timezone": "tests/test_scheduler.py::test_the_same_local_minute_of_another_zone_is_another_start",
    "contacts.phone_check": "tests/domain/test_phone.py::"
    "test_the_sample_number_of_the_documentation_passes_only_the_loosest_check",
    "contacts.default_region": "tests/domain/test_phone.py::test_a_number_is_read_however_it_is_written",
    "contacts.expires_after": "tests/intake/test_people.py::"
    "test_expiry_is_the_columns_or_counts_from_when_the_call_is_asked",
    "trigger": "tests/web/test_hooks.py::test_an_event_enrols_once_however_often_it_is_delivered",
    "follow_up": "tests/engine/test_sequel.py::test_who_booked_a_meeting_is_called_by_the_reminder_a_day_later",
    "notice": "tests/engine/test_sequel.py::test_a_notice_is_written_with_the_end_that_it_tells_of",
    "source": "tests/intake/test_table.py::test_a_row_is_enrolled_and_called",
    "rules.packs": "tests/domain/test_rules.py::test_the_campaigns_window_and_the_packs_must_be_open_at_once",
    "rules.purpose": "tests/domain/test_rules.py::"
    "test_who_has_not_given_the_consent_that_the_purpose_needs_is_listed_and_not_called",
}


def keys() -> set[str]:
    """Every key that a file may hold but its name and its agent; a list is one key."""
    whole = Campaign.model_validate({"name": "a", "agent": "b"}).definition()
    found = set()
    for key, value in whole.items():
        if key not in ("name", "agent", "packs"):
            found |= {f"{key}.{inner}" for inner in value} if isinstance(value, dict) else {key}
    return found


# What a call comes to: the report's fields, or another answer than a call.
DONE: dict[str, Any] = {}
NO_ANSWER = {"status": "no_answer", "call_successful": "failure"}
BUSY = {"status": "busy", "call_successful": "failure"}
VOICEMAIL = {"status": "voicemail", "call_successful": "failure"}
FAILED = {"status": "failed", "call_successful": "failure"}
CALLBACK = {"intent": "callback_requested", "callback_at": "2026-06-02T15:30:00Z"}
SILENT = None
BROKEN = ServerError(500)
RESET = Unconfirmed("reset")

EMPTY: dict[str, Any] = {}
WINDOW = {"hours": ["09:00-12:00"]}
TWO = {"cadence": {"max_attempts": 9, "no_answer": ["1h"] * 8}}


def over(section: str, base: dict[str, Any] = EMPTY, **new: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections without the key, and with it."""
    return dict(base), {**base, section: {**base.get(section, {}), **new}}


# key: (sections without and with it, what each call comes to, contacts)
PLAYED: dict[str, tuple[tuple[dict[str, Any], dict[str, Any]], object, int]] = {
    "schedule.starts": (over("schedule", starts="2026-06-03T12:00:00Z"), DONE, 1),
    "schedule.ends": (over("schedule", ends="2026-06-01T12:30:00Z"), NO_ANSWER, 1),
    "window.always": (({"window": WINDOW}, {"window": {"always": True}}), NO_ANSWER, 1),
    "window.days": (over("window", {"window": WINDOW}, days=["thu"]), DONE, 1),
    "window.hours": (over("window", {"window": WINDOW}, hours=["18:00-19:00"]), DONE, 1),
    "window.timezone": (over("window", {"window": WINDOW}, timezone="Asia/Tokyo"), DONE, 1),
    "window.fallback_timezone": (over("window", {"window": WINDOW}, fallback_timezone="Asia/Tokyo"), DONE, 0),
    "window.holidays": (over("window", {"window": WINDOW}, holidays=["IE"]), DONE, 1),
    "window.blackout": (over("window", {"window": WINDOW}, blackout=["2026-06-01"]), DONE, 1),
    "pacing.calls_per_minute": (over("pacing", calls_per_minute=1), DONE, 4),
    "pacing.max_live_calls": (
        over(
            "pacing", {"provider": {"report_horizon": "10m"}, "cadence": {"no_report": []}}, max_live_calls=1
        ),
        SILENT,
        4,
    ),
    "pacing.share": (over("pacing", share=9), DONE, 8),
    "pacing.priority": (over("pacing", priority=3), DONE, 8),
    "pacing.lane": (over("pacing", {"pacing": {"share": "0.1"}}, lane="speed"), DONE, 8),
    "caps.per_number_per_day": (over("caps", TWO, per_number_per_day=2), NO_ANSWER, 1),
    "caps.per_number_per_7_days": (over("caps", TWO, per_number_per_7_days=2), NO_ANSWER, 1),
    "caps.per_number_per_30_days": (over("caps", TWO, per_number_per_30_days=2), NO_ANSWER, 1),
    "caps.least_gap": (over("caps", TWO, least_gap="5h"), NO_ANSWER, 1),
    "goal.successes": (over("goal", {"pacing": {"max_live_calls": 1}}, successes=2), DONE, 5),
    "goal.when": (
        over("goal", {"pacing": {"max_live_calls": 1}, "goal": {"successes": 1}}, when={"intent": "sold"}),
        DONE,
        4,
    ),
    "goal.exact": (over("goal", {"goal": {"successes": 1}}, exact=True), DONE, 4),
    "budget.credits": (over("budget", credits="1.2"), DONE, 5),
    "budget.credits_per_day": (over("budget", credits_per_day="1.2"), DONE, 5),
    "budget.timezone": (
        over("budget", {"budget": {"credits_per_day": "1.2"}}, timezone="Asia/Tokyo"),
        DONE,
        5,
    ),
    "budget.warn_at": (over("budget", {"budget": {"credits": 3}}, warn_at="0.3"), DONE, 5),
    "budget.estimate": (over("budget", {"budget": {"credits": 3}}, estimate=2), DONE, 5),
    "cadence.max_attempts": (over("cadence", max_attempts=2), NO_ANSWER, 1),
    "cadence.no_answer": (over("cadence", no_answer=["5m"]), NO_ANSWER, 1),
    "cadence.busy": (over("cadence", busy=["5m"]), BUSY, 1),
    "cadence.voicemail": (over("cadence", voicemail=["5m"]), VOICEMAIL, 1),
    "cadence.failed": (over("cadence", failed=["5m"]), FAILED, 1),
    "cadence.no_report": (over("cadence", no_report=["5m"]), SILENT, 1),
    "cadence.callback_requested": (over("cadence", callback_requested=["5m"]), CALLBACK, 1),
    "cadence.callback_at": (over("cadence", callback_at="callback_at"), CALLBACK, 1),
    "cadence.another_hour": (over("cadence", TWO, another_hour=True), NO_ANSWER, 1),
    "provider.on_500": (over("provider", on_500="hold"), BROKEN, 1),
    "provider.retry_first": (over("provider", retry_first="9m"), BROKEN, 1),
    "provider.retry_factor": (over("provider", retry_factor=2), BROKEN, 1),
    "provider.retry_tries": (over("provider", retry_tries=1), BROKEN, 1),
    "provider.on_unknown": (over("provider", on_unknown="strict"), RESET, 1),
    "provider.unknown_hold": (over("provider", unknown_hold="9m"), RESET, 1),
    "provider.report_horizon": (over("provider", report_horizon="9m"), SILENT, 1),
    "disposition": (({}, {"disposition": [{"when": {"status": "busy"}, "is": "answered"}]}), BUSY, 1),
}


async def play(engine: Any, tools: Any, sections: dict[str, Any], comes_to: object, number: int) -> list[str]:
    """What happens in so many days, in words that name no row. A second campaign of the agent has work as well."""
    for table in ("history", "ledger", "reports", "attempts", "contacts", "spend", "campaigns"):
        await engine.pool.execute(f"truncate {table} cascade")
    engine.clock._now = tools.NOON
    await engine.pool.execute("update buckets set next_at = $1", tools.NOON)
    await engine.pool.execute(
        "update agents set strain = 0, slowed = 1, slowed_at = null, blocked_until = null"
    )
    engine.gate._turns.clear()
    engine.throttle._met.clear()
    mine = await engine.campaign("mine", **{"rules": SHUT, **sections})
    await engine.clock.advance(1)
    other = await engine.campaign("other", rules=SHUT)

    def at(n: int) -> Any:
        return tools.NOON - timedelta(seconds=60 - n)

    for n in range(number or 1):
        zones = ("America/New_York",) if number else ()
        await engine.contact(mine, f"+1415555{1000 + n}", zones=zones, key=f"mine {n}", asked_at=at(n))
    for n in range(number if number > 4 else 0):
        await engine.contact(other, f"+1415556{1000 + n}", key=f"other {n}", asked_at=at(n))
    told, end = [], engine.clock.now() + DAYS
    while engine.clock.now() < end:
        passage = await engine.open(most=3)
        for passed in passage.passed:
            key = (await engine.get(passed.contact_id))["key"]
            told.append(f"{passed.slot_at - tools.NOON} {key} {' '.join(passed.marks)}")
            await answer(engine, tools, passed, comes_to)
        await engine.rescuer.expire()
        if await engine.rescuer.sweep():
            continue
        due = await engine.pool.fetchval(
            "select min(at) from (select due_at as at from contacts where state = 'waiting'"
            " union all select resolve_at from attempts) due where at > $1 and at <> 'infinity'",
            engine.clock.now(),
        )
        soon = engine.clock.now() + timedelta(milliseconds=20)
        later = [max(at, soon) for at in (due, passage.again_at) if at is not None]
        await engine.clock.advance(min([*later, end]) - engine.clock.now())
    contacts = await engine.pool.fetch("select key, state, disposition, reason from contacts order by key")
    moves = await engine.pool.fetch("select reason from history where contact_id is null order by id")
    return [*told, *(" ".join(map(str, row)) for row in contacts), *(row["reason"] for row in moves)]


async def answer(engine: Any, tools: Any, passed: Any, comes_to: object) -> None:
    if isinstance(comes_to, ServerError | Unconfirmed):
        await engine.answer(passed, comes_to, 500 if isinstance(comes_to, ServerError) else None)
        return
    await engine.answer(passed, Placed(tools.call_id(passed)), 200)
    if isinstance(comes_to, dict):
        await engine.report(tools.body(passed, **comes_to))


def test_every_key_is_played_or_shown_elsewhere() -> None:
    assert set(PLAYED) | set(ELSEWHERE) == keys()
    assert not set(PLAYED) & set(ELSEWHERE)
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), test


@pytest.mark.parametrize("key", PLAYED)
async def test_the_key_changes_what_happens(engine, tools, key: str) -> None:
    (without, with_it), comes_to, number = PLAYED[key]
    before = await play(engine, tools, without, comes_to, number)
    assert before == await play(engine, tools, without, comes_to, number), "the same days end alike"
    assert before != await play(engine, tools, with_it, comes_to, number)
