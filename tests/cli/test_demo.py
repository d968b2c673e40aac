"""The whole house at once, as `make demo` runs it: processes of their own, ended by done, by Ctrl-C, by kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from dialer.cli.demo.people import COUNTRIES, people
from dialer.cli.demo.place import claimed
from dialer.cli.demo.result import told
from dialer.domain.errors import ConfigError
from dialer.domain.phone import Phone, PhoneCheck, normalise
from dialer.simulator import read_truth

DEADLINE = 180
# A database that must not be looked at: the demo has its own.
ENVIRONMENT = {**os.environ, "DIALER_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none", "COLUMNS": "120"}


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "dialer", "demo", "--state-dir", str(folder), "--json", *options]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A demo of which one process at most outlives the test: none."""
    with subprocess.Popen(
        command(folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as demo:
        watchdog = threading.Timer(DEADLINE, demo.kill)
        watchdog.start()
        try:
            yield demo
        finally:
            watchdog.cancel()
            demo.kill()


def until(demo: subprocess.Popen[str], said: str) -> None:
    """Read what the demo says until a line matches."""
    assert demo.stderr is not None
    lines = []
    for line in demo.stderr:
        lines.append(line)
        if re.search(said, line):
            return
    pytest.fail(f"the demo never said {said!r}: {''.join(lines)}")


def left(folder: Path) -> list[psutil.Process]:
    """Processes that have to do with the folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or ())
    ]


def finish(demo: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = demo.communicate()
    assert out, err
    return demo.returncode, json.loads(out), err


@pytest.fixture(scope="module")
def folder(scratch: Path) -> Iterator[Path]:
    """One folder for every demo of this file: each must cope with what the one before left."""
    folder = scratch / "demo"
    yield folder
    for process in left(folder):
        process.kill()


def test_a_demo_ends_by_itself_with_every_contact_closed_and_every_credit_booked(folder: Path) -> None:
    with running(folder, "--contacts", "40", "--until-done", "--rate", "40") as demo:
        code, result, said = finish(demo)

    assert code == 0, said
    assert result["finished"]
    assert result["contacts"] == result["closed"] == sum(result["dispositions"].values()) == 40
    assert result["dispositions"]["answered"] > 20
    assert result["attempts"] > result["calls_placed"] > 40, "some were refused, some called again"
    assert result["equal"]
    events = list(read_truth(folder / "truth.jsonl"))
    placed = [event for event in events if event["event"] == "placed"]
    assert len(placed) == result["calls_placed"]
    reported = sum(Decimal(event["credits"]) for event in placed if event["reports"])
    assert reported == Decimal(result["credits_booked"]) == Decimal(result["credits_truth"]) > 0
    assert result["seconds"] < 60
    assert left(folder) == []


def test_ctrl_c_ends_everything_and_what_was_reported_is_booked(folder: Path) -> None:
    with running(folder, "--contacts", "200") as demo:
        until(demo, r"closed [1-9]\d* of 200")
        second = subprocess.run(
            command(folder), capture_output=True, text=True, env=ENVIRONMENT, timeout=DEADLINE, check=False
        )
        assert second.returncode == 2
        assert "a demo runs in" in second.stderr
        assert "--state-dir" in second.stderr
        demo.send_signal(signal.SIGINT)
        code, result, said = finish(demo)

    assert code == 0, said
    assert not result["finished"]
    assert result["contacts"] == 200
    assert 0 < result["closed"] < 200
    assert result["equal"]
    assert Decimal(result["credits_booked"]) > 0
    assert left(folder) == []


def test_a_killed_demo_takes_its_processes_with_it_and_the_next_one_works(folder: Path) -> None:
    with running(folder, "--contacts", "200") as demo:
        until(demo, r"closed [1-9]\d* of 200")
        servers = [process for process in left(folder) if process.pid != demo.pid]
        assert len(servers) >= 4, "Postgres, the simulator, the daemon, the leash"
        demo.kill()
        demo.wait()
        _, alive = psutil.wait_procs(servers, timeout=60)
        assert alive == []

    with running(folder, "--contacts", "3", "--until-done") as demo:
        code, result, said = finish(demo)
    assert code == 0, said
    assert result["contacts"] == result["closed"] == 3
    assert left(folder) == []


def test_ctrl_c_before_the_campaign_leaves_nothing_behind(folder: Path) -> None:
    with running(folder) as demo:
        until(demo, "Postgres")
        demo.send_signal(signal.SIGINT)
        demo.communicate()
    assert demo.returncode == 130
    assert left(folder) == []


def test_a_folder_with_a_database_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(ConfigError, match="no demo made"), claimed(tmp_path):
        pass
    assert not (tmp_path / "demo.lock").exists()


def test_a_credit_that_was_reported_and_not_acknowledged_is_only_perhaps_ours() -> None:
    def webhook(id_: str, status: int | None, kind: str = "first") -> dict[str, object]:
        acked = status == 200
        return {
            "event": "webhook",
            "kind": kind,
            "conv_id": id_,
            "credits": "0.5",
            "status": status,
            "acked": acked,
        }

    truth = told(
        [
            {"event": "placed", "reports": [{}], "start_time": "2026-06-01T09:00:00.1Z"},
            {"event": "placed", "reports": [], "start_time": "2026-06-01T09:00:00.9Z"},
            {"event": "placed", "reports": [{}], "start_time": "2026-06-01T09:00:01.0Z"},
            webhook("a", None),
            webhook("a", 200),
            webhook("b", None),
            webhook("c", 503),
            webhook("d", 401, "forged"),
            webhook("a", 200, "double"),
        ]
    )

    assert (truth.calls, truth.busiest_second, truth.never_reported) == (3, 2, 1)
    assert truth.certain == {"a": Decimal("0.5")}
    assert truth.perhaps == {"b": Decimal("0.5")}


FICTION = re.compile(
    r"\+1\d{3}55501\d\d"
    r"|\+44(2079460|113496|114496|117496|121496|131496|141496|161496|191498|2896496|292018|7700900)\d+"
    r"|\+33(19900|26191|35301|46571|53649|63998)\d{4}"
    r"|\+49(3023125|4066969|6990009|2214710|8999998)\d{3}"
    r"|\+46(3139006|4062804|8465004|9803192)\d\d"
    r"|\+61[2378](5550|7010)\d{4}"
    r"|\+3532091\d{5}"
)


def test_ten_thousand_people_have_numbers_of_their_own_that_can_be_nobodys() -> None:
    rows = list(people(10_000))
    phones = [normalise(row[0], check=PhoneCheck.POSSIBLE, default_region=None) for row in rows]
    numbers = [phone.e164 for phone in phones if isinstance(phone, Phone)]
    assert len(set(numbers)) == 10_000
    assert [number for number in numbers if not FICTION.fullmatch(number)] == []
    assert {row[3] for row in rows} == {country.name for country in COUNTRIES}
    assert list(islice(people(10_000), 50)) == rows[:50]
