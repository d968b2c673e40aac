"""The outside auditor: what was really called, against what the database says. It shares no code with the daemon.

    python bench/auditor.py truth.jsonl --database postgresql://…
    python bench/auditor.py truth.jsonl --export attempts.jsonl --spend spend.json

The simulator's truth log (docs/simulator.md) is what happened. The tables, or what `dialer export attempts` and
`dialer spend --json` wrote, are what is claimed. Without the tables of reports and ledger, reports are told by the
attempts that they closed and by the suspense account. Wait until nothing is pending. Prints one JSON document; exit
code 1 on any fault, 2 when something cannot be read.
"""

import argparse
import asyncio
import json
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg

TOKEN = re.compile(r"^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[0-9a-f]{32}$")
MARKS = {"redial_after_500", "redial_after_unknown"}
REFUSED = {400, 401, 403, 429}
SUSPENSE = "(suspense)"

ATTEMPTS = """
    select a.id::text as attempt_id, p.name as campaign, a.contact_id::text as contact_id, a.number, a.state, a.cause,
           a.marks, a.provider_call_id, a.report_call_id, a.credits, a.began_at, a.closed_at
    from attempts a join campaigns p on p.id = a.campaign_id"""
REPORTS = "select key, state, attempt_id::text as attempt_id from reports where state <> 'revision'"
LEDGER = """
    select r.key, coalesce(p.name, '(suspense)') as account, sum(l.credits) as credits
    from ledger l join reports r on r.id = l.report_id left join campaigns p on p.id = l.campaign_id
    where l.kind <> 'correction' group by 1, 2"""


@dataclass
class Books:
    """What is claimed: attempts by id, accounts by name; stored reports, and what each booked where, if known."""

    attempts: dict[str, dict[str, Any]]
    accounts: dict[str, Decimal]
    stored: dict[str, str | None] | None = None
    booked: dict[str, dict[str, Decimal]] | None = None
    in_suspense: int = 0


@dataclass
class Truth:
    """What happened."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)


def read_truth(path: Path) -> Truth:
    """A last line that a killed run tore is nobody's claim."""
    truth = Truth()
    kinds = {"placed": truth.calls, "request": truth.requests, "webhook": truth.webhooks}
    for line in path.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event["event"] in kinds:
            kinds[event["event"]].append(event)
    return truth


def attempt_of(event: dict[str, Any]) -> str | None:
    """The attempt whose request this was: our token stands in its metadata."""
    metadata = event.get("metadata")
    for value in metadata.values() if isinstance(metadata, dict) else ():
        if isinstance(value, str) and (match := TOKEN.match(value)):
            return match[1]
    return None


async def from_database(dsn: str) -> Books:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            attempts = {row["attempt_id"]: dict(row) for row in await connection.fetch(ATTEMPTS)}
            stored = {row["key"]: row["attempt_id"] for row in await connection.fetch(REPORTS)}
            entries = await connection.fetch(LEDGER)
    finally:
        await connection.close()
    booked: dict[str, dict[str, Decimal]] = defaultdict(dict)
    accounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in entries:
        accounts[row["account"]] += row["credits"]
        if row["credits"]:
            booked[row["key"]][row["account"]] = row["credits"]
    return Books(attempts, dict(accounts), stored, dict(booked))


def from_files(export: Path, spend: Path) -> Books:
    attempts = {}
    for line in export.read_text().splitlines():
        row = json.loads(line)
        for key in ("began_at", "closed_at"):
            row[key] = datetime.fromisoformat(row[key]) if row[key] else None
        attempts[row["attempt_id"]] = row
    rows = json.loads(spend.read_text())
    accounts = {row["campaign"]: Decimal(row["spent"]) for row in rows}
    in_suspense = sum(row["attempts"] for row in rows if row["campaign"] == SUSPENSE)
    return Books(attempts, accounts, in_suspense=in_suspense)


class Audit:
    """The comparison. ``faults``: what is wrong, by kind. ``told``: what is in order, and worth knowing."""

    def __init__(self, truth: Truth, books: Books) -> None:
        self.truth = truth
        self.books = books
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.told: dict[str, Any] = {}
        self.answers = {request["call_id"]: request["status"] for request in truth.requests}
        self.owner = {call["conv_id"]: attempt_of(call) for call in truth.calls}
        taken = [line for line in truth.webhooks if line["acked"] and line["kind"] != "forged"]
        self.acked = {str(line["conv_id"]) for line in taken}
        self.acked_at: dict[str, datetime] = {}
        for line in taken:
            self.acked_at.setdefault(str(line["conv_id"]), datetime.fromisoformat(line["time"]))
        # No answer was seen: it may have been stored all the same.
        maybe = [line for line in truth.webhooks if line["status"] is None and line["kind"] != "forged"]
        self.stated: dict[str, set[Decimal]] = defaultdict(set)
        for line in (*taken, *maybe):
            self.stated[str(line["conv_id"])].add(Decimal(str(line["credits"])))
        self.maybe = {str(line["conv_id"]) for line in maybe} - self.acked

    def run(self, *, strict: bool) -> dict[str, Any]:
        self.requests()
        self.calls()
        self.twice(strict=strict)
        self.reports()
        self.money()
        return {"agrees": not self.faults, "faults": self.faults, **self.told}

    def requests(self) -> None:
        """An attempt is one request, ever."""
        seen = Counter(id_ for request in self.truth.requests if (id_ := attempt_of(request)))
        rang = Counter(id_ for call in self.truth.calls if (id_ := attempt_of(call)))
        for id_, times in (seen | rang).items():
            if times > 1:
                self.faults["attempt_requested_twice"].append({"attempt": id_, "requests": times})

    def calls(self) -> None:
        """Every call has its attempt, and every attempt that claims a call has one."""
        rang = {attempt_of(call): call for call in self.truth.calls}
        said_so = {
            attempt_of(r) for r in self.truth.requests if r["status"] is not None and r["status"] < 300
        }
        for call in self.truth.calls:
            id_ = attempt_of(call)
            row = self.books.attempts.get(id_ or "")
            if row is None:
                self.faults["call_without_attempt"].append({"call": call["call_id"], "attempt": id_})
            elif (
                row["state"] in ("not_placed", "aborted") and self.answers.get(call["call_id"]) not in REFUSED
            ):
                self.faults["rang_but_recorded_as_not"].append({"attempt": id_, "state": row["state"]})
        for id_, row in self.books.attempts.items():
            claims = row["state"] in ("placed", "reported") or row["provider_call_id"]
            if claims and id_ not in rang and id_ not in said_so:
                self.faults["attempt_without_call"].append({"attempt": id_, "state": row["state"]})
            own = rang.get(id_)
            if own and row["provider_call_id"] not in (None, own["call_id"]):
                self.faults["attempt_of_another_call"].append(
                    {"attempt": id_, "call": row["provider_call_id"]}
                )
        self.told["calls"] = len(self.truth.calls)
        self.told["attempts"] = len(self.books.attempts)

    def twice(self, *, strict: bool) -> None:
        """A second call to a person says that the first may have rung, unless how the first ended was known."""
        of_phone: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for call in self.truth.calls:
            of_phone[call["phone"]].append(call)
        marked, known = [], 0
        for calls in of_phone.values():
            for first, second in pairwise(calls):
                one, two = (self.books.attempts.get(attempt_of(call) or "") for call in (first, second))
                if one is None or two is None:
                    continue  # told as a call without an attempt
                pair = {"first": one["attempt_id"], "second": two["attempt_id"], "marks": list(two["marks"])}
                if self._was_over(first, one, two):
                    known += 1
                elif MARKS & set(two["marks"]):
                    marked.append(pair)
                else:
                    self.faults["second_call_unmarked"].append(pair)
        self.told["called_again"] = {"after_a_known_end": known, "marked": marked}
        if strict and marked:
            self.faults["second_call_under_strict"] = marked

    def _was_over(self, call: dict[str, Any], one: dict[str, Any], two: dict[str, Any]) -> bool:
        reported = self.acked_at.get(call["conv_id"])
        if reported is not None and reported <= two["began_at"]:
            return True
        # Its report was taken, and its answer to us not seen or not logged yet.
        ended = one["closed_at"] is not None and one["closed_at"] <= two["began_at"]
        if one["state"] == "reported":
            return ended
        # Answered with 200, and no report came by the horizon: that is known, and the cadence's.
        answer = self.answers.get(call["call_id"])
        return ended and ((answer is not None and answer < 300) or one["contact_id"] != two["contact_id"])

    def reports(self) -> None:
        """What was acknowledged is stored; what is applied is applied to the attempt whose call it was."""
        for line in self.truth.webhooks:
            if line["kind"] == "forged" and line["acked"]:
                self.faults["forged_report_acknowledged"].append(line["conv_id"])
        stored = self.books.stored
        applied = {
            row["report_call_id"]: id_ for id_, row in self.books.attempts.items() if row["report_call_id"]
        }
        if stored is None:
            missing = sorted(self.acked - applied.keys())
            if len(missing) > self.books.in_suspense:
                self.faults["acknowledged_but_not_stored"] = missing
        else:
            self.faults_of("acknowledged_but_not_stored", sorted(self.acked - stored.keys()))
            applied |= {key: id_ for key, id_ in stored.items() if id_ is not None}
        for key, id_ in applied.items():
            if key in self.owner and self.owner[key] != id_:
                self.faults["wrong_match"].append({"report": key, "attempt": id_, "of": self.owner[key]})
            elif key not in self.owner and key in self.stated:
                self.faults["wrong_match"].append({"report": key, "attempt": id_, "of": None})
        self.told["reports"] = {"acknowledged": len(self.acked), "applied": len(applied)}

    def faults_of(self, kind: str, found: list[Any]) -> None:
        if found:
            self.faults[kind] = found

    def money(self) -> None:
        """Credits of acknowledged distinct reports are the ledger's, by campaign, suspense included."""
        booked, accounts = self.books.booked, dict(self.books.accounts)
        applied = {
            row["report_call_id"]: row for row in self.books.attempts.values() if row["report_call_id"]
        }
        expected: dict[str, Decimal] = defaultdict(Decimal)
        for key, stated in self.stated.items():
            if key in self.maybe and key not in (applied if self.books.stored is None else self.books.stored):
                continue
            if booked is not None:
                got = sum(booked.get(key, {}).values(), Decimal(0))
            elif key in applied:
                got = Decimal(applied[key]["credits"] or 0)
            else:
                got = next(iter(stated))
            if got not in stated:
                said = sorted(map(str, stated))
                self.faults["report_booked_wrongly"].append(
                    {"report": key, "booked": str(got), "stated": said}
                )
            # Of several copies that state different credits, whichever was stored first counts.
            right = got if got in stated else min(stated)
            expected[self._account(key, applied)] += right
        for name in sorted(expected.keys() | accounts.keys()):
            truth, ledger = expected.get(name, Decimal(0)), accounts.get(name, Decimal(0))
            if truth != ledger:
                self.faults["account"].append({"account": name, "truth": str(truth), "ledger": str(ledger)})
        self.told["credits"] = {
            "truth": str(sum(expected.values(), Decimal(0))),
            "ledger": str(sum(accounts.values(), Decimal(0))),
            "accounts": {name: str(credits_) for name, credits_ in sorted(accounts.items())},
        }

    def _account(self, key: str, applied: dict[str, Any]) -> str:
        """Where a report's credits belong: to the campaign of its true call, unless it is matched with none yet."""
        matched = key in applied if self.books.stored is None else self.books.stored.get(key) is not None
        owner = self.books.attempts.get(self.owner.get(key) or "")
        return str(owner["campaign"]) if matched and owner else SUSPENSE


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path)
    parser.add_argument("--database", help="the address of the daemon's Postgres")
    parser.add_argument("--export", type=Path, help="what `dialer export attempts` wrote")
    parser.add_argument("--spend", type=Path, help="what `dialer spend --json` wrote")
    parser.add_argument(
        "--strict", action="store_true", help="a second call in doubt is a fault, marked or not"
    )
    given = parser.parse_args()
    if bool(given.database) == bool(given.export and given.spend):
        parser.error("give --database, or --export and --spend")
    try:
        truth = read_truth(given.truth)
        books = (
            asyncio.run(from_database(given.database))
            if given.database
            else from_files(given.export, given.spend)
        )
    except (OSError, ValueError, KeyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        print(f"cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    result = Audit(truth, books).run(strict=given.strict)
    json.dump(result, sys.stdout, indent=2)
    print()
    sys.exit(0 if result["agrees"] else 1)


if __name__ == "__main__":
    main()
