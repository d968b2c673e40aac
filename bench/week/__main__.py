"""``make week``: a week of a campaign over four countries, played in minutes by the simulator and a virtual clock.

    python bench/week --contacts 20000

The daemon's own gate, client, settler, door, applier and sweeps run against a real Postgres and the simulator over
HTTP; only time is virtual. The week has Good Friday and Europe's change to summer time in it. What was placed is
then compared with the rules, with the database and with the forecast. Prints one JSON document; exit code 1 on any
fault.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))

import audit
from auditor import Audit, from_database, read_truth
from crowd import invent, write
from player import Player
from rich.progress import Progress

from dialer.database.embedded import Embedded

START = datetime(2026, 3, 27, 3, tzinfo=UTC)
"""Friday; on Sunday Europe's clocks go forward, and the Friday after is Good Friday."""

DAYS = 20
HOLIDAYS = {date(2026, 4, 3), date(2026, 4, 6), date(2026, 4, 1)}
"""Good Friday, Easter Monday; and a date that the campaign leaves out."""

CAMPAIGN = """
name = "week"
agent = "sales"
[window]
days = ["mon", "tue", "wed", "thu", "fri"]
hours = ["09:30-12:30", "13:30-19:30"]
holidays = ["GB-ENG", "DE"]
blackout = [2026-04-01]
[cadence]
max_attempts = 4
no_answer = ["1h", "3h", "1d"]
busy = ["10m", "30m", "2h"]
voicemail = ["5h", "1d"]
failed = ["1h"]
[caps]
per_number_per_day = 2
[budget]
credits = 1000000
"""


def off(foreseen: datetime | None, really: datetime | None) -> float | None:
    """By how much of its length the campaign ended later (or sooner, below 0) than foreseen."""
    return None if foreseen is None or really is None else round((foreseen - START) / (really - START) - 1, 4)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument(
        "--rate", type=Decimal, default=None, help="calls a second; else the contacts fill the week"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def main(args: argparse.Namespace) -> int:
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="dialer-week-"))
    folder.chmod(0o755)
    people = invent(args.contacts, args.seed)
    write(people, folder / "people.csv")
    rate = args.rate or Decimal(args.contacts) * 9 / 1_000_000
    rules = audit.Rules(
        hours=[("09:30", "12:30"), ("13:30", "19:30")], weekdays={0, 1, 2, 3, 4}, closed=HOLIDAYS, a_day=2
    )
    async with Embedded(folder / "server", settings={"synchronous_commit": "off", "fsync": "off"}) as dsn:
        async with Player(dsn, folder, START, rate, args.seed) as player:
            await player.campaign(CAMPAIGN)
            added = await player.enrol(folder / "people.csv")
            forecast = await player.forecast()
            dice = random.Random(args.seed)
            refusing = dice.sample(people, max(1, args.contacts // 100))
            when = START + timedelta(days=1, hours=9)
            rules.suppressed = {person.phone: when for person in refusing}
            player.time.at(when, lambda: player.suppress([person.phone for person in refusing]))
            with Progress(disable=not sys.stderr.isatty()) as bar:
                task = bar.add_task("the week", total=args.contacts)
                player.shown = lambda closed: bar.update(task, completed=closed)
                await player.play(START + timedelta(days=DAYS))
            finished, invariants = player.finished, await player.audited()
        calls = audit.read(player.truth)
        rules.suppressed |= audit.refused(player.truth)
        wrong = audit.faults(calls, rules)
        books = Audit(read_truth(player.truth), await from_database(dsn))
        agreed = books.run(strict=False)
    spent = sum((Decimal(str(call["credits"])) for call in calls if call["reports"]), Decimal(0))
    foreseen = forecast.forecast
    told = {
        "contacts": added,
        "calls": len(calls),
        "finished_at": finished and finished.isoformat(),
        "credits": str(spent),
        "forecast": {
            "finish": foreseen.finish and foreseen.finish.isoformat(),
            "calls": round(foreseen.calls),
            "credits": round(foreseen.credits, 2),
            "least": round(foreseen.least, 2),
            "most": round(foreseen.most, 2),
            "finish_off": off(foreseen.finish, finished),
            "credits_off": round(foreseen.credits / float(spent) - 1, 4),
        },
        "faults": len(wrong),
        "first_faults": wrong[:10],
        "books": agreed,
        "invariants": invariants,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told, indent=2, default=str))
    return 1 if wrong or books.faults or invariants or finished is None else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(parsed())))
