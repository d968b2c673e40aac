"""Whole processes that die at a named place, and an engine whose ways to Postgres and Calldock are spoilt."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dialer.simulator import Agent, Scenario, Simulator


def _load(name: str, path: str) -> ModuleType:
    """Fixtures of another folder; tests are no package, and a conftest is seen only below its folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_engine = _load("faults_engine", "engine/conftest.py")
_journeys = _load("faults_journeys", "journeys/conftest.py")
_relay = _load("faults_relay", "faults/relay.py")
clock, engine, tools = _engine.clock, _engine.engine, _engine.tools


class House(_journeys.House):
    """The journeys' house, whose daemons can be told where to die."""

    async def daemon(self, port: int | None = None, *, crash: str = "", **more: Any) -> Any:
        """Start `dialer run`; ``crash`` is its ``DIALER_CRASH_AT``."""
        if crash:
            more["DIALER_CRASH_AT"] = crash
        return await super().daemon(port, **more)

    async def states(self) -> list[str]:
        """``state:cause`` of every attempt, in order of number and time."""
        found = await self.until(
            "select coalesce(array_agg(state || ':' || cause order by phone, number), '{}') from attempts",
            what=lambda value: value is not None,
        )
        return list(found)

    async def hasten(self, *states: str) -> None:
        """The waits of live attempts (in these states) are over: the minutes pass in the rows that keep them."""
        await self.until(
            "with done as (update attempts set resolve_at = now() - interval '1 second'"
            " where resolve_at is not null and state = any($1) returning 1)"
            " select count(*) from done",
            list(states or ("dialing", "placed", "unknown")),
            what=lambda value: value is not None,
        )

    def called(self) -> dict[str, int]:
        """How often each number was really rung."""
        counts: dict[str, int] = {}
        for call in self.events("placed"):
            counts[call["phone"]] = counts.get(call["phone"], 0) + 1
        return counts

    async def audited(self) -> None:
        """The truth log against the database: nobody rung twice unmarked, every acknowledged report booked once."""
        requests: dict[str, int] = {}
        for call in self.events("request"):
            requests[call["phone"]] = requests.get(call["phone"], 0) + 1
        rows = await self.until(
            "select coalesce(jsonb_object_agg(phone, n), '{}')::text from (select phone, count(*) n from attempts"
            " group by phone) _"
        )
        attempts = json.loads(rows)
        for phone, times in requests.items():
            assert times <= attempts.get(phone, 0), (
                f"{phone}: {times} requests, {attempts.get(phone, 0)} attempts"
            )
        marked = await self.until(
            "select coalesce(array_agg(phone), '{}') from attempts where marks <> '{}'",
            what=lambda v: v is not None,
        )
        for phone, times in self.called().items():
            assert times == 1 or phone in marked, f"{phone} was rung {times} times, unmarked"
        acked = {
            line["conv_id"] for line in self.events("webhook") if line["acked"] and line["kind"] != "forged"
        }
        stored = await self.until(
            "select coalesce(array_agg(call_id), '{}') from reports where state <> 'revision'",
            what=lambda value: value is not None,
        )
        assert acked <= set(stored)
        assert len(stored) == len(set(stored))
        wrong = await self.until(
            "select coalesce((select sum(credits) from ledger), 0)"
            " - coalesce((select sum(credits) from reports where state in ('applied', 'unmatched')), 0)",
            what=lambda value: value is not None,
        )
        assert wrong == 0


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(database: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Open a house whose simulator plays a scenario."""
    houses: list[House] = []

    async def opened(scenario: Scenario | None = None) -> House:
        port = _journeys.free_port()
        scenario = scenario or Scenario()
        scenario.agents = [Agent(**_journeys.AGENT, webhook_url=f"http://127.0.0.1:{port}/webhook")]
        truth = tmp_path / "truth.jsonl"
        simulator = Simulator(scenario, truth)
        there = await simulator.start()
        houses.append(House(tmp_path, database, simulator, truth, there, port))
        return houses[-1]

    yield opened
    for house in houses:
        for process in house.processes:
            await process.kill()
        await house.simulator.stop()


def leads_to(address: str) -> Callable[[], Any]:
    """How to connect to a database's or a web server's address."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    host, port = query.get("host", parts.hostname or ""), query.get("port", str(parts.port or 5432))
    if host.startswith("/"):
        return lambda: asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return lambda: asyncio.open_connection(host, int(port))


def through(dsn: str, port: int) -> str:
    """``dsn``, by way of a relay's port."""
    parts = urlsplit(dsn)
    user = f"{parts.username}@" if parts.username else ""
    return f"postgresql://{user}127.0.0.1:{port}{parts.path}?sslmode=disable"


@pytest.fixture
def relays() -> Any:
    """The relay and its faults, and how to lead it to an address."""
    return __import__("types").SimpleNamespace(
        Relay=_relay.Relay, Faults=_relay.Faults, leads_to=leads_to, through=through, House=House
    )
