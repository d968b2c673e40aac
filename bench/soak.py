"""Kill the daemon and its Postgres again and again while a list is called, then compare the books.

    python bench/soak.py --contacts 100000 --kills 1000 --postgres-kills 100
    python bench/soak.py --contacts 1500 --kills 12 --postgres-kills 3 --strict

Every kill is -9, at a moment drawn by the seed. `dialer run` uses the embedded Postgres, so that a server that died is
started again by it. At the end the simulator's truth log is compared with the database: calls placed twice (allowed
only if marked, and none at all under --strict), reports lost, credits that differ. Prints one JSON document; exit code
1 on any fault.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from e2e import DIALER, dialer, ports, wait_for

CAMPAIGN = """
name = "soak"
agent = "sales"
[window]
always = true
[rules]
packs = []
[cadence]
max_attempts = {attempts}
no_answer = []
busy = []
voicemail = []
callback_requested = []
no_report = []
[provider]
on_unknown = "{unknown}"
on_500 = "{on_500}"
unknown_hold = "10s"
retry_first = "5s"
report_horizon = "1h"
"""

SCENARIO = """
time_scale = 100
[answer]
latency = [0.02, 0.1]
[call]
seconds = [20, 60]
[webhook]
double = 0.05
reorder = 0.05
early = 0.05
tries = 60
retry_waits = [0.5]
[[rules]]
probability = 0.02
answer = "status"
status = 500
placed = true
[[rules]]
probability = 0.02
answer = "status"
status = 500
[[rules]]
probability = 0.02
answer = "close"
placed = true
"""


class Soak:
    """One run in one folder."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.arguments = arguments
        self.dice = random.Random(arguments.seed)
        self.calldock, self.door = ports(2)
        self.daemon: subprocess.Popen[bytes] | None = None
        self.kills: Counter[str] = Counter()

    def configure(self) -> None:
        strict = "strict" if self.arguments.strict else "hold"
        (self.folder / "scenario.toml").write_text(SCENARIO)
        (self.folder / "campaign.toml").write_text(
            CAMPAIGN.format(
                attempts=1 if self.arguments.strict else 3,
                unknown=strict,
                on_500="strict" if self.arguments.strict else "backoff",
            )
        )
        (self.folder / "config.toml").write_text(
            f"""
            state_dir = "{self.folder / "state"}"
            [calldock]
            base_url = "http://127.0.0.1:{self.calldock}"
            timeout = "5s"
            [agents.sales]
            agent_id = "agent_soak"
            api_key = "ck_soak"
            webhook_secrets = ["whsec-soak"]
            calls_per_second = {self.arguments.rate}
            [webhook]
            host = "127.0.0.1"
            port = {self.door}
            [shutdown]
            grace = "5s"
            [log]
            level = "warning"
            """
        )

    def start(self) -> None:
        with (self.folder / "run.log").open("ab") as log:
            self.daemon = subprocess.Popen([*DIALER, "run"], cwd=self.folder, stderr=log)
        wait_for(f"http://127.0.0.1:{self.door}/healthz")

    def kill_daemon(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()
        self.kills["daemon"] += 1
        self.start()

    def kill_postgres(self) -> None:
        lines = (self.folder / "state" / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)
        self.kills["postgres"] += 1

    def dsn(self) -> str:
        run = (self.folder / "state" / "postgres").resolve() / "run"
        return f"postgresql://dialer@/dialer?host={run}&port=5432"

    async def ask(self, query: str, *arguments: object) -> Any:
        """One value, asked until the database is there."""
        for _ in range(300):
            try:
                conn = await asyncpg.connect(self.dsn(), timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError):
                await asyncio.sleep(0.2)
                continue
            try:
                return await conn.fetchval(query, *arguments)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.2)
            finally:
                conn.terminate()
        raise SystemExit("the database did not come back")

    async def enrol(self) -> None:
        number = self.arguments.contacts
        conn = await asyncpg.connect(self.dsn())
        try:
            await conn.execute(
                "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
                " select r.id, c.id, r.phone, r.phone, 'waiting', c.created_at, c.created_at, c.created_at"
                " from unnest($1::uuid[], $2::text[]) as r(id, phone), campaigns c",
                [uuid4() for _ in range(number)],
                [f"+1{2_000_000_000 + n}" for n in range(number)],
            )
        finally:
            await conn.close()

    async def run(self) -> None:
        arguments = self.arguments
        self.configure()
        simulator = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs yet
            [*DIALER, "simulator", "--port", str(self.calldock), "--webhook",
             f"http://127.0.0.1:{self.door}/webhook", "--truth", "truth.jsonl", "--scenario", "scenario.toml",
             "--agent-id", "agent_soak", "--api-key", "ck_soak", "--webhook-secret", "whsec-soak"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert simulator.stdout is not None
        simulator.stdout.readline()
        try:
            self.start()
            dialer(self.folder, "campaign", "apply", "campaign.toml")
            await self.enrol()
            dialer(self.folder, "campaign", "start", "soak")
            plan = ["daemon"] * arguments.kills + ["postgres"] * arguments.postgres_kills
            self.dice.shuffle(plan)
            for number, victim in enumerate(plan, 1):
                await asyncio.sleep(self.dice.uniform(0.2, arguments.pause))
                self.kill_daemon() if victim == "daemon" else self.kill_postgres()
                if number % 10 == 0:
                    print(f"{number} of {len(plan)} kills", file=sys.stderr)
            await self.end()
        finally:
            if self.daemon is not None:
                self.daemon.send_signal(signal.SIGTERM)
                self.daemon.wait(120)
            simulator.send_signal(signal.SIGTERM)
            simulator.wait(60)

    async def end(self) -> None:
        """Until all is closed; under --strict until nothing but what waits for a person is open."""
        open_ = (
            "select count(*) from contacts c where state = 'waiting' or (state = 'calling' and exists"
            " (select 1 from attempts a where a.contact_id = c.id and a.state <> 'unknown'"
            " and a.closed_at is null))"
        )
        if not self.arguments.strict:
            open_ = "select count(*) from contacts where state <> 'closed'"
        end = time.monotonic() + self.arguments.patience
        while left := await self.ask(open_):
            print(f"{left} open", file=sys.stderr)
            if self.arguments.hasten:
                # Older than any request lasts, so that nobody waits for its answer any more.
                await self.ask(
                    "update attempts set resolve_at = now() where state = 'dialing'"
                    " and slot_at < now() - interval '15 seconds' and resolve_at > now()"
                )
            if time.monotonic() > end:
                raise SystemExit(f"{left} contacts are still open after {self.arguments.patience} s")
            await asyncio.sleep(3)
        # The last reports are redelivered every half second.
        await asyncio.sleep(5)

    async def judge(self) -> dict[str, Any]:
        """From outside: the truth log against the tables, over a server of its own life."""
        from dialer.database.embedded import Embedded  # noqa: PLC0415  # only to open the database once more

        events = [json.loads(line) for line in (self.folder / "truth.jsonl").read_text().splitlines()]
        placed = [event for event in events if event["event"] == "placed"]
        acked = {
            e["conv_id"]
            for e in events
            if e["event"] == "webhook" and e.get("acked") and e["kind"] != "forged"
        }
        async with Embedded(self.folder / "state") as dsn:
            conn = await asyncpg.connect(dsn)
            try:
                attempts = await conn.fetch("select phone, number, state, marks, credits from attempts")
                stored = {row["call_id"] for row in await conn.fetch("select call_id from reports")}
                booked = await conn.fetchval("select coalesce(sum(credits), 0) from ledger")
                contacts = await conn.fetchval("select count(*) from contacts")
                states = Counter(row["state"] for row in attempts)
            finally:
                await conn.close()
        calls = Counter(event["phone"] for event in placed)
        marked = {row["phone"] for row in attempts if row["marks"]}
        twice = {phone for phone, times in calls.items() if times > 1}
        credits_ = sum((Decimal(e["credits"]) for e in placed if e["conv_id"] in acked), Decimal(0))
        faults = {
            "called twice without a mark": len(twice - marked),
            "called twice under strict": len(twice) if self.arguments.strict else 0,
            "reports acknowledged and not stored": len(acked - stored),
            "credits that differ": f"{credits_ - booked:f}" if credits_ != booked else "0",
            "contacts lost": self.arguments.contacts - contacts,
            "calls without an attempt": len(set(calls) - {row["phone"] for row in attempts}),
        }
        return {
            "sound": all(value in (0, "0") for value in faults.values()),
            "faults": faults,
            "contacts": contacts,
            "kills": dict(self.kills),
            "calls": len(placed),
            "marked second calls": len(twice & marked),
            "reports": len(acked),
            "credits": {"truth": f"{credits_:f}", "booked": f"{booked:f}"},
            "attempts": dict(states),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--postgres-kills", type=int, default=100)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument(
        "--pause", type=float, default=2.0, help="the longest time between two kills, seconds"
    )
    parser.add_argument("--patience", type=float, default=600, help="seconds for the end after the last kill")
    parser.add_argument("--strict", action="store_true", help="never redial what may have rung")
    parser.add_argument(
        "--hasten",
        action="store_true",
        help="at the end, do not wait the minute after which a daemon is lost",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dialer-soak-"))
    folder.chmod(0o755)
    began = time.monotonic()
    try:
        soak = Soak(folder, arguments)
        asyncio.run(soak.run())
        result = asyncio.run(soak.judge())
    finally:
        if arguments.keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - began, 1)
    json.dump(result, sys.stdout, indent=2)
    print()
    sys.exit(0 if result["sound"] else 1)


if __name__ == "__main__":
    main()
