"""A list from file to ledger: `dialer run` against `dialer simulator`, as separate processes, judged from outside.

    python bench/e2e.py --rows 10000 --rate 50

Makes people in twelve countries' formats with 3 % bad rows, imports and calls them, and compares what the simulator's
truth log says with what the database and the reject file say. Prints one JSON document; exit code 1 if they differ.
"""

import argparse
import asyncio
import csv
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
DIALER = [str(Path(sys.executable).parent / "dialer")]

CAMPAIGN = """
name = "people"
agent = "sales"
[window]
always = true
[rules]
packs = []
[cadence]
# One attempt each, so that every contact is closed by its first report.
max_attempts = 1
"""

SCENARIO = """
time_scale = 60
[call]
seconds = [20, 120]
[webhook]
double = 0.05
reorder = 0.05
early = 0.02
"""


def ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    found = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return found


def dialer(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*DIALER, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def rate_of(arrivals: list[float], limit: float) -> dict[str, Any]:
    """How the simulator saw the rate: the average over the longest whole run, and the fullest second."""
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    first, fullest = 0, 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= 1:
            first += 1
        fullest = max(fullest, last - first + 1)
    seconds = arrivals[-1] - arrivals[0]
    average = (len(arrivals) - 1) / seconds if seconds else 0.0
    minute = [a for a in arrivals if 5 <= a - arrivals[0] < 65]
    return {
        "limit": limit,
        "average": round(average, 3),
        "error_percent": round(100 * (average - limit) / limit, 3),
        "calls_in_a_minute": len(minute),
        "minute_error_percent": round(100 * (len(minute) - 60 * limit) / (60 * limit), 3),
        "fullest_second": fullest,
        "longest_gap_ms": round(1000 * max(gaps), 1),
    }


async def until(folder: Path, number: int, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        (row,) = json.loads(await asyncio.to_thread(dialer, folder, "campaign", "list", "--json"))
        print(f"{row['waiting']} waiting, {row['calling']} calling, {row['closed']} closed", file=sys.stderr)
        if row["closed"] >= number and row["state"] == "finished":
            return
        await asyncio.sleep(5)
    raise SystemExit(f"not done after {patience:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--bad", type=float, default=0.03)
    parser.add_argument("--database", default="", help="a Postgres URL; else the embedded one")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dialer-e2e-"))
    folder.chmod(0o755)
    began = time.monotonic()
    try:
        result = run(folder, arguments)
    finally:
        if arguments.keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - began, 1)
    json.dump(result, sys.stdout, indent=2)
    print()
    sys.exit(0 if result["agrees"] else 1)


def run(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    calldock, door = ports(2)
    (folder / "scenario.toml").write_text(SCENARIO)
    (folder / "campaign.toml").write_text(CAMPAIGN)
    (folder / "config.toml").write_text(
        f"""
        state_dir = "{folder / "state"}"
        [database]
        url = "{arguments.database}"
        [calldock]
        base_url = "http://127.0.0.1:{calldock}"
        [agents.sales]
        agent_id = "agent_e2e"
        api_key = "ck_e2e"
        webhook_secrets = ["whsec-e2e"]
        calls_per_second = {arguments.rate}
        [webhook]
        host = "127.0.0.1"
        port = {door}
        """
    )
    subprocess.run(
        [sys.executable, str(ROOT / "bench" / "people.py"), "--rows", str(arguments.rows), "--bad",
         str(arguments.bad), "--out", "people.csv", "--truth", "people.json"],
        cwd=folder, check=True, stdout=sys.stderr,
    )  # fmt: skip
    truth = json.loads((folder / "people.json").read_text())
    simulator = subprocess.Popen(
        [*DIALER, "simulator", "--port", str(calldock), "--webhook", f"http://127.0.0.1:{door}/webhook",
         "--truth", "truth.jsonl", "--scenario", "scenario.toml", "--agent-id", "agent_e2e", "--api-key", "ck_e2e",
         "--webhook-secret", "whsec-e2e"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert simulator.stdout is not None
    simulator.stdout.readline()
    with (folder / "run.log").open("wb") as log:
        daemon = subprocess.Popen([*DIALER, "run"], cwd=folder, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{door}/healthz")
        dialer(folder, "campaign", "apply", "campaign.toml")
        imported = json.loads(
            dialer(folder, "contacts", "import", "people.csv", "--campaign", "people", "--json")
        )
        again = json.loads(
            dialer(folder, "contacts", "import", "people.csv", "--campaign", "people", "--json")
        )
        dialer(folder, "campaign", "start", "people")
        asyncio.run(until(folder, imported["added"], 60 + 3 * arguments.rows / arguments.rate))
        (folder / "attempts.jsonl").write_text(dialer(folder, "export", "attempts"))
        (folder / "spend.json").write_text(dialer(folder, "spend", "--json"))
        dialer(folder, "audit", "--whole", "--json")  # exit code 1 on any fault
        attempts = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
        spend = json.loads((folder / "spend.json").read_text())
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
        simulator.send_signal(signal.SIGTERM)
        simulator.wait(30)
    return judge(folder, arguments, truth, imported, again, attempts, spend, code)


def audited(folder: Path) -> int:
    """The outside auditor's exit code; what it found is on stderr."""
    files = ["truth.jsonl", "--export", "attempts.jsonl", "--spend", "spend.json"]
    command = [sys.executable, str(ROOT / "bench" / "auditor.py"), *files]
    return subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False).returncode


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            with urlopen(url, timeout=1):  # loopback
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing answers at {url}")


def judge(
    folder: Path,
    arguments: argparse.Namespace,
    people: dict[str, Any],
    imported: dict[str, Any],
    again: dict[str, Any],
    attempts: list[dict[str, Any]],
    spend: list[dict[str, Any]],
    code: int,
) -> dict[str, Any]:
    events = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    placed = [event for event in events if event["event"] == "placed"]
    arrivals = sorted(
        datetime.fromisoformat(event["arrived"]).timestamp()
        for event in events
        if event["event"] == "request"
    )
    good = set(people["phones"].values())
    booked = Decimal(spend[0]["spent"])
    credits_ = sum((Decimal(event["credits"]) for event in placed), Decimal(0))
    with (folder / "people.csv.rejects.csv").open(newline="") as file:
        rejected = len(list(csv.reader(file))) - 1
    calls = Counter(event["phone"] for event in placed)
    lateness = sorted(
        (datetime.fromisoformat(a["answered_at"]) - datetime.fromisoformat(a["slot_at"])).total_seconds()
        for a in attempts
        if a["answered_at"]
    )
    checks = {
        "every good row was called once": set(calls) == good and set(calls.values()) == {1},
        "every good row is closed": {a["phone"] for a in attempts if a["state"] == "reported"} == good,
        "every credit is booked": booked == credits_,
        "nothing is in suspense": Decimal(spend[-1]["spent"]) == 0,
        "nothing is reserved": Decimal(spend[0]["reserved"]) == 0,
        "every bad row is in the reject file": rejected
        == imported["rejected"]
        == people["bad"] + people["duplicate"],
        "a second import adds nothing": again["added"] == 0,
        "the daemon ended with 0": code == 0,
        "the auditor agrees": audited(folder) == 0,
    }
    return {
        "agrees": all(checks.values()),
        "checks": checks,
        "rows": imported["read"],
        "added": imported["added"],
        "rejected": imported["rejected"],
        "import_rows_per_second": imported["rate"],
        "calls": len(placed),
        "credits": {"truth": f"{credits_:f}", "booked": f"{booked:f}"},
        "dispositions": Counter(a["disposition"] for a in attempts),
        "matched_by": Counter(a["matched_by"] for a in attempts),
        "rate": rate_of(arrivals, arguments.rate),
        "slot_to_answer_ms": {
            "p50": round(1000 * lateness[len(lateness) // 2], 1),
            "p99": round(1000 * quantiles(lateness, n=100)[98], 1),
        },
    }


if __name__ == "__main__":
    main()
