"""``make mutants``: plant known bugs, one at a time, in a copy of the tree; each must be caught.

A bug is a file, a text that stands in it exactly once, and what takes its place. Who must catch it is the simulation,
or the tests that are named. Exit code 1 if one survives; who caught each goes to docs/mutants.md.
"""

# ruff: noqa: E501  # the texts that are looked for stand as they are
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("dialer", "sql", "campaigns", "tests", "pyproject.toml", "config.example.toml", "README.md")
SEEDS = "200"
"""So many at the most: the run ends at the first that fails."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug; ``tests`` empty: the simulation must catch it."""

    name: str
    file: str
    old: str
    new: str
    tests: str = ""


BUGS = (
    Bug("call again without a mark", "sql/queries/attempts.sql", "c.tries + 1 as number, c.marks",
        "c.tries + 1 as number, '{}'::text[] as marks"),
    Bug("retry a timeout at once", "dialer/engine/verdict.py",
        'hold = None if provider.on_unknown == "strict" else provider.unknown_hold', "hold = timedelta(0)"),
    Bug("forget strict after a timeout", "dialer/engine/verdict.py",
        'hold = None if provider.on_unknown == "strict" else provider.unknown_hold', "hold = provider.unknown_hold"),
    Bug("take a timeout for not placed", "dialer/engine/verdict.py",
        'settled(AttemptState.UNKNOWN, "unconfirmed", reason, wait=hold), None)',
        'settled(AttemptState.NOT_PLACED, "unconfirmed", reason), again(timedelta(0), "retry"))'),
    Bug("take a 500 for not placed", "dialer/engine/verdict.py",
        'settlement = settled(AttemptState.UNKNOWN, "server_error", f"HTTP {status}", wait=wait_500)\n            return Verdict(settlement, None)',
        'settlement = settled(AttemptState.NOT_PLACED, "server_error", f"HTTP {status}")\n            return Verdict(settlement, again(wait_500 or timedelta(0), "retry"))'),
    Bug("forget suppressions at the gate", "dialer/domain/screening.py", "if case.facts.suppressed is None:", "if True:"),
    Bug("forget suppressions of one campaign", "sql/migrations/0008_number_facts.sql",
        "(s.campaign_id is null or s.campaign_id = of_campaign)", "s.campaign_id is null"),
    Bug("forget the window", "dialer/domain/screening.py", "case At(time=opens) if opens > instant:",
        "case At(time=opens) if opens is None:"),
    Bug("forget the attempt limit", "dialer/domain/screening.py",
        "contact.attempts >= case.campaign.cadence.max_attempts", "contact.attempts > 99", "tests/domain/test_screening.py"),
    Bug("forget the cap of days", "dialer/domain/caps.py", "if len(inside) >= span.calls else None", "if len(inside) > 99 else None",
        "tests/engine/test_gate.py"),
    Bug("forget the least gap", "dialer/domain/caps.py", "if caps.least_gap is not None:", "if False:", "tests/domain/test_screening.py"),
    Bug("forget the cap of a day", "dialer/domain/caps.py", "for call in recent) >= cap", "for call in recent) > cap + 9"),
    Bug("take a number with one call less than its cap for free", "dialer/domain/caps.py", "if len(recent) < cap:",
        "if len(recent) <= cap:", "tests/domain/test_screening.py"),
    Bug("answer for another instant", "dialer/domain/window.py", "known = self.found.get(start)",
        "known = next(iter(self.found.values()), None)", "tests/domain/test_window.py"),
    Bug("open a gate for each call that is late", "dialer/engine/dial.py", "self._least = max(1, int(self._rate * (AHEAD - REOPEN - LEAD).total_seconds()))",
        "self._least = 1", "tests/engine/test_dial.py"),
    Bug("take the widest place of a number", "dialer/domain/numbering.py", "if prefix.startswith(code)}, reverse=True)",
        "if prefix.startswith(code)})", "tests/domain/test_numbering.py"),
    Bug("let a number pass that JSON does not know", "dialer/intake/people.py", "plain = set(map(type, metadata.values())) == {str}",
        "plain = True", "tests/intake/test_people.py"),
    Bug("lend the same credits to the gates of two agents", "sql/queries/agents.sql",
        "select key from buckets where key = :key for update;", "select key from buckets where key = :key;",
        "tests/engine/test_budget.py"),
    Bug("refresh the bucket", "sql/queries/attempts.sql", "update buckets b set next_at = n.next_at",
        "update buckets b set next_at = b.next_at"),
    Bug("pass while the agent's lines are full", "dialer/engine/opening.py",
        "self._line.max_live_calls - surveyed[0].agent_live", "self._line.max_live_calls"),
    Bug("spend more than the budget", "dialer/engine/purse.py", "left = budget.credits - row.spent - row.reserved",
        "left = budget.credits", "tests/engine/test_gate.py"),
    Bug("keep the reservation of what ended", "sql/queries/attempts.sql",
        "reserved = case when r.state in ('placed', 'unknown') then a.reserved else 0 end",
        "reserved = a.reserved"),
    Bug("drop the reservation of the unknown", "sql/queries/attempts.sql",
        "reserved = case when r.state = 'unknown' then a.reserved else 0 end", "reserved = 0"),
    Bug("let an answer undo a report", "sql/queries/attempts.sql",
        "(a.state = 'dialing' or (a.state = 'unknown' and r.state in ('placed', 'not_placed')))", "a.state <> 'aborted'"),
    Bug("close no attempt that waits no more", "sql/queries/attempts.sql",
        "where a.id = r.id and a.state in ('dialing', 'placed', 'unknown', 'unreported')",
        "where a.id = r.id and a.state in ('dialing', 'placed', 'unknown')", "tests/engine/test_apply.py"),
    Bug("book nothing", "sql/queries/reports.sql",
        "where c.credits is not null and c.state in ('applied', 'unmatched')", "where false"),
    Bug("book only what matched", "sql/queries/reports.sql", "c.state in ('applied', 'unmatched')", "c.state = 'applied'"),
    Bug("tell no sums", "sql/migrations/0020_spend.sql",
        "set spent = spend.spent + excluded.spent", "set spent = excluded.spent"),
    Bug("sum again what an older daemon sums", "sql/migrations/0020_spend.sql",
        "select campaign_id, sum(credits) from booked where campaign_id is not null and agent is not null",
        "select campaign_id, sum(credits) from booked where campaign_id is not null", "tests/engine/test_budget.py"),
    Bug("forget what the day has cost", "sql/migrations/0020_spend.sql",
        "set spent = spend_quarters.spent + excluded.spent", "set spent = excluded.spent", "tests/engine/test_budget.py"),
    Bug("lose the place of a call that was cancelled", "dialer/calldock/connections.py",
        "self._leave()  # it was given at the same moment", "pass", "tests/calldock/test_connections.py"),
    Bug("leave a place that was never given", "dialer/calldock/connections.py",
        "if not waiter.cancelled() and waiter.exception() is None:", "if not waiter.cancelled():",
        "tests/calldock/test_connections.py"),
    Bug("tell nobody of a report", "sql/queries/attempts.sql",
        "contact_id, id, 'reported', disposition || ', matched by ' || rule from reported",
        "contact_id, id, 'reported', disposition || ', matched by ' || rule from reported where false"),
    Bug("tell nobody of a rescue", "sql/queries/attempts.sql",
        "select :now, :actor, campaign_id, contact_id, id, state, reason from rescued",
        "select :now, :actor, campaign_id, contact_id, id, state, reason from rescued where false"),
    Bug("rescue frees a number at once", "dialer/engine/rescue.py",
        'resolve_at = None if strict else now + campaign.provider.unknown_hold', "resolve_at = now"),
    Bug("rescue forgets strict", "dialer/engine/rescue.py",
        'strict = campaign.provider.on_unknown == "strict"', "strict = False"),
    Bug("heed no wish", "dialer/engine/close.py", "if disposition is Disposition.DO_NOT_CALL:", "if False:"),
    Bug("never give up after 500", "dialer/engine/rescue.py", "if overdue.errors < tries:", "if True:",
        "tests/engine/test_rescue.py"),
    Bug("retry after 500 unmarked", "dialer/engine/rescue.py",
        "marks=(*(kept for kept in overdue.marks if kept != mark), mark),", "marks=overdue.marks,"),
    Bug("forget the marks on a retry", "dialer/engine/verdict.py", "marks=passed.marks,", "marks=(),"),
    Bug("match by phone alone", "dialer/domain/correlation.py",
        "return attempt.began_at - EARLIEST <= started_at <= attempt.began_at + LATEST", "return True"),
    Bug("guess between two attempts", "dialer/domain/correlation.py",
        "if started_at is None or len({attempt.contact_id for attempt in near}) > 1:", "if started_at is None:",
        "tests/domain/test_correlation.py"),
    Bug("let anybody sign", "dialer/calldock/signature.py",
        'hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256").hex().encode(), digest)', "True",
        "tests/calldock/test_signature.py"),
    Bug("let anybody make a token", "dialer/calldock/token.py", "return attempt_id if same else None", "return attempt_id",
        "tests/calldock/test_token.py"),
    Bug("take twice the rate", "dialer/domain/pacing.py", "int(Decimal(1_000_000) / rate)", "int(Decimal(500_000) / rate)"),
    Bug("a 429 without an end", "dialer/engine/verdict.py",
        "THROTTLED_WAIT * (1 << min(spared, 10))", "THROTTLED_WAIT * 0", "tests/engine/test_verdict.py"),
    Bug("one live attempt for a contact, two for a phone", "sql/migrations/0002_contacts_attempts.sql",
        "create unique index one_live_attempt_per_phone on attempts (phone)",
        "create index one_live_attempt_per_phone on attempts (phone)", "tests/database/test_schema.py"),
    Bug("store a report twice", "sql/migrations/0003_reports_ledger.sql",
        "create unique index reports_once on", "create index reports_once on", "tests/database/test_schema.py"),
    Bug("gate of a paused agent", "dialer/engine/gate.py", "if locked.paused:", "if False:", "tests/engine/test_gate.py"),
    Bug("let waits run while the door is shut", "dialer/engine/pulse.py",
        "if last is not None and now - last > SILENCE:", "if False:", "tests/engine/test_pulse.py"),
    Bug("call for ever", "dialer/domain/cadence.py", "if past.attempts >= most:", "if False:", "tests/domain/test_cadence.py"),
    Bug("pay in floats", "dialer/engine/apply.py",
        "return report.credits.quantize(MICRO, ROUND_HALF_UP)", "return Decimal(float(report.credits) * 1.001).quantize(MICRO)"),
    Bug("forget the digests of lists", "dialer/database/store/contacts.py", "if not any(hashed for *_, hashed in claimed):",
        "if True:", "tests/engine/test_suppression.py"),
    Bug("lift a suppression and keep no word of it", "dialer/engine/suppress.py", "if not why.strip():", "if False:",
        "tests/engine/test_suppression.py"),
    Bug("erase a person and let the next list call them", "dialer/engine/person.py", "await suppressions.add_digests(conn, [hashed]",
        "await suppressions.add_digests(conn, []", "tests/engine/test_person.py"),
    Bug("erase before a gate that holds the number has committed", "dialer/engine/person.py",
        "if await persons.lock(conn, erasure.phone):", "if False:", "tests/engine/test_person.py"),
    Bug("take the agent's words for the person's", "dialer/domain/refusal.py", "not in OURS", "not in ()", "tests/domain/test_refusal.py"),
    Bug("store the report of an erased person", "dialer/engine/apply.py", "if row.phone in erased", "if row.phone is erased",
        "tests/engine/test_person.py"),
    Bug("go on after the goal", "dialer/engine/opening.py", "MOST if missing > 0 else 0", "MOST", "tests/engine/test_cadence.py"),
    Bug("more live calls than successes are missing", "dialer/engine/opening.py", "missing - used.live if campaign.goal.exact",
        "missing if campaign.goal.exact", "tests/engine/test_cadence.py"),
    Bug("a callback above the attempt limit", "dialer/domain/cadence.py", "if past.attempts >= most:", "if past.attempts >= most and callback is None:",
        "tests/domain/test_cadence.py"),
    Bug("forget the hours that were tried", "dialer/engine/ending.py", "if definitions[campaign].cadence.another_hour]", "if False]",
        "tests/engine/test_cadence.py"),
    Bug("forget the packs", "dialer/domain/window.py", "if pack.holds_for(who.phone, who.region))", "if False)", "tests/domain/test_rules.py"),
    Bug("forget the stricter states", "dialer/domain/campaign/rules.py", "return bool(self.prefixes) and phone.startswith(self.prefixes)",
        "return False", "tests/domain/test_rules.py"),
    Bug("forget the consent", "dialer/domain/screening.py", "case.contact.consent not in kinds", "False", "tests/domain/test_rules.py"),
    Bug("forget the caps of the packs", "dialer/domain/screening.py", "*spans_of(packs_for(case.contact, case.campaign))", "*()",
        "tests/domain/test_rules.py"),
    Bug("forget the budget of a day", "dialer/engine/purse.py", "if budget.credits_per_day is not None:", "if False:", "tests/engine/test_budget.py"),
    Bug("set the estimate aside though calls cost more", "dialer/engine/purse.py", "return row.price or campaign.budget.estimate",
        "return campaign.budget.estimate", "tests/engine/test_budget.py"),
    Bug("forget the ceiling of all agents", "dialer/engine/opening.py", "if any(not each.calls(price) for each in self._purses):",
        "if False:", "tests/engine/test_budget.py"),
    Bug("forget the priorities", "dialer/domain/fairness.py", "return float(share * STEP**priority)", "return float(share)",
        "tests/engine/test_fairness.py"),
    Bug("forget the speed lane", "dialer/engine/turn.py", 'return self._lanes.due(pacing.lane), pacing.lane != "speed",',
        'return 0.0, True,', "tests/engine/test_fairness.py"),
    Bug("keep no line for the speed lane", "dialer/engine/opening.py", "return max(0, most - kept - (surveyed[0].agent_live - speed))",
        "return MOST", "tests/engine/test_fairness.py"),
    Bug("name the wrong instant of the next call", "dialer/engine/why.py", "at, reason = until, why_", "at, reason = until + (until - until.replace(hour=0)), why_",
        "tests/engine/test_why.py"),
    Bug("a breaker that never opens", "dialer/engine/throttle.py", "failures < limits.part * len(recent)", "failures < 99 * len(recent)",
        "tests/engine/test_breaker.py"),
    Bug("a breaker that a placed call does not close", "sql/queries/agents.sql",
        "update agents set strain = 0, blocked_until = null, slowed_at = :now, reason = '', changed_at = :now",
        "update agents set slowed_at = :now", "tests/engine/test_breaker.py"),
    Bug("a placed call ends the silence", "sql/queries/agents.sql", "or not starts_with(reason, :silence))\nreturning",
        "or not starts_with(:silence, reason || 'x'))\nreturning",
        "tests/engine/test_breaker.py"),
    Bug("take a limited address for a limited agent", "sql/queries/agents.sql", "and o.blocked_until >= :since)", "and o.blocked_until < :since)",
        "tests/engine/test_breaker.py"),
    Bug("go on at full speed after a storm", "dialer/domain/strain.py", "return max(part / 2, LEAST)", "return Decimal(1)",
        "tests/engine/test_breaker.py"),
    Bug("take an event of an hour ago", "dialer/intake/vendors/stripe.py", "> TOLERANCE.total_seconds()", "> 1e9",
        "tests/intake/test_vendors.py"),
    Bug("enrol who was cancelled before", "dialer/intake/triggers.py", "if await events.cancelled(conn, row.id, key) is not None:",
        "if False:", "tests/web/test_hooks.py"),
    Bug("follow on for ever", "dialer/engine/sequel.py", 'if rule.times is None or person["depth"] < rule.times:', "if True:",
        "tests/engine/test_sequel.py"),
    Bug("tell a contact's ends in any order", "sql/queries/outbox.sql", "b.state = 'waiting' and b.id < n.id)", "false)",
        "tests/notices/test_outbox.py"),
    Bug("forget who was taken up by a dead sender", "sql/queries/outbox.sql", "set due_at = :until, tries = o.tries + 1",
        "set due_at = :until::timestamptz + interval '9 years', tries = o.tries + 1", "tests/notices/test_outbox.py"),
    Bug("send into the machine's own network", "dialer/notices/address.py", 'check(each["host"], host)', "pass",
        "tests/notices/test_targets.py"),
    Bug("call a row that is gone", "dialer/intake/table.py", "await self._those_due(table, now)", "pass", "tests/intake/test_table.py"),
    Bug("read what is new only once", "dialer/intake/table.py", "await self._news(table, progress.before, until=progress.mark)",
        "pass", "tests/intake/test_table.py"),
    Bug("probe with all at once", "dialer/engine/gate.py", "1 if strained.count else most", "most", "tests/engine/test_breaker.py"),
    Bug("write a cell for COPY as it is", "dialer/database/store/imports.py", "else value.translate(_ESCAPED)", "else value",
        "tests/intake/test_importing.py::test_every_character_of_a_row_arrives_as_it_was_written"),
    Bug("wait for a start at the end of the year 9999", "dialer/database/store/imports.py",
        'return "infinity" if value == AWAITS_START else value.isoformat()', "return value.isoformat()",
        "tests/intake/test_importing.py::test_contacts_of_a_cron_campaign_wait_for_its_next_start"),
    Bug("let no page hear of a notice", "sql/queries/campaigns.sql", "where o.state = 'waiting'\n", "where false\n",
        "tests/notices/test_outbox.py"),
    Bug("let no page hear of a report that matches nothing", "sql/queries/campaigns.sql",
        "(select r.id from reports r order by r.id desc limit 1)", "0", "tests/engine/test_apply.py"),
    Bug("tell an upload as ended before its rejects are kept", "dialer/intake/importing.py",
        "if self._owned:\n            await imports.end(", "if self._counted:\n            await imports.end(",
        "tests/intake/test_importing.py::test_an_import_begun_by_another_is_counted_and_left_for_him_to_end"),
    Bug("close the undiallable of a campaign under way", "sql/queries/contacts.sql",
        "order by k.due_at, k.id limit 1) = 'infinity'\n        then not exists (", "order by k.due_at, k.id limit 1) is not null\n        then true or not exists (",
        "tests/engine/test_steer.py"),
    Bug("end campaigns whose time is not over", "dialer/domain/campaign/hours.py", "self.ends <= instant", "self.ends >= instant",
        "tests/engine/test_steer.py"),
    Bug("wait for a report's commit for ever", "dialer/engine/batch.py", "loop.time() + patience",
        "loop.time() + patience * 1000", "tests/engine/test_batch.py"),
    Bug("look at no more than may be called though rules object", "dialer/engine/opening.py",
        "order.objected = bool(self._deferred or self._dropped)", "order.objected = False", "tests/engine/test_gate.py"),
    Bug("keep the plans of a young session", "dialer/database/pool.py", "self._planned = now\n        return \"discard plans\"",
        "self._planned = now\n        return \"\"", "tests/database/test_pool.py"),
    Bug("never look for what the campaign has", "dialer/intake/importing.py",
        "self._sift or isinstance(error, asyncpg.UniqueViolationError)", "self._sift", "tests/intake/test_importing.py::test_importing_twice_adds_nothing_and_changes_nothing"),
    Bug("take an open number for a new one", "sql/queries/imports.sql",
        "and c.phone = f.phone and c.state <> 'closed' limit 1) is null", "and false limit 1) is null",
        "tests/intake/test_importing.py::test_a_number_with_an_open_contact_of_a_trigger_is_there_already"),
    Bug("judge the first page of an audit alone", "dialer/engine/audit.py", "        after = rows[-1].id\n", "        return\n",
        "tests/engine/test_audit.py"),
    Bug("take every agent for heard", "sql/queries/agents.sql", "where w.calls >= :least;", "where false and w.calls >= :least;",
        "tests/engine/test_breaker.py"),
    Bug("show whole numbers in ordinary lines", "dialer/log.py", "return masked(str(said))", "return str(said)", "tests/test_log.py"),
    Bug("end a call for a line that cannot be written", "dialer/log.py",
        "except Exception as error:  # a line that cannot be written is not worth a call\n            return masked(f\"{name}",
        "except MemoryError as error:\n            return masked(f\"{name}", "tests/test_log.py"),
    Bug("forget a line that comes while others are written", "dialer/log.py", "lines = [self._lines.get()]", "lines = [self._lines.get()] if self._lines.get() else []",
        "tests/test_log.py"),
)  # fmt: skip


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, to plant in."""
    with TemporaryDirectory(prefix="dialer-mutant-", ignore_cleanup_errors=True) as name:
        tree = Path(name)
        tree.chmod(0o755)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / part)
        yield tree


def ran(tree: Path, tests: str) -> "subprocess.CompletedProcess[str]":
    """The tests that are named, or the simulation, in that tree."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", *tests.split()]
    if not tests:
        command = [
            sys.executable,
            "tests/simulation/run.py",
            "--seeds",
            SEEDS,
            "--processes",
            "1",
            "--first-fault",
        ]
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=env, capture_output=True, text=True, timeout=900, check=False
    )


def plant(bug: Bug) -> str | None:
    """Who caught it, or None: it survived."""
    with copied() as tree:
        file = tree / bug.file
        file.write_text(file.read_text().replace(bug.old, bug.new))
        done = ran(tree, bug.tests)
    if done.returncode == 0:
        return None
    if bug.tests:
        said = re.findall(r"^(?:FAILED|ERROR) (?:[^\s:]*/)?(\S+)", done.stdout, re.MULTILINE)
    else:
        said = re.findall(r"^(seed \d+: .*)", done.stderr, re.MULTILINE)
    if not said:
        # Whoever cannot run has caught nothing.
        raise RuntimeError(f"{bug.name}: ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return said[0] if bug.tests else re.sub(r"[+0-9a-f]{8,}[-0-9a-f]*", "…", said[0])[:90]


def unwell(bugs: Iterable[Bug]) -> str:
    """What the tests of these bugs say where none is planted: nothing, or one would seem to be caught by whoever fails."""
    tests = " ".join(sorted({test for bug in bugs for test in bug.tests.split()}))
    if not tests:
        return ""
    with copied() as tree:
        done = ran(tree, tests)
    if not done.returncode:
        return ""
    return done.stdout[-2000:] + done.stderr[-2000:] or f"ended with {done.returncode}"


def main() -> int:
    """Plant all, or those whose names hold the words given."""
    chosen = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    for bug in BUGS:
        if (times := (ROOT / bug.file).read_text().count(bug.old)) != 1:
            print(f"{bug.name}: its text stands {times} times in {bug.file}")
            return 2
    if said := unwell(chosen):
        print(f"fails without any bug:\n{said}")
        return 2
    with ThreadPoolExecutor(2) as pool:
        caught = []
        for bug, who in zip(chosen, pool.map(plant, chosen), strict=True):
            print(f"{bug.name}: {who or 'SURVIVED'}", flush=True)
            caught.append((bug, who))
    if len(chosen) == len(BUGS):
        rows = [f"| {bug.name} | `{bug.file}` | {who or '**survived**'} |" for bug, who in caught]
        head = "# Planted bugs\n\nWritten by `make mutants`: each bug is planted alone, and must be caught.\n"
        table = ["", "| bug | in | caught by |", "|---|---|---|", *rows, ""]
        (ROOT / "docs" / "mutants.md").write_text(head + "\n".join(table))
    return 1 if any(who is None for _, who in caught) else 0


if __name__ == "__main__":
    raise SystemExit(main())
