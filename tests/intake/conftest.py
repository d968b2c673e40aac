"""Campaigns to import into, and invented people."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest

from dialer.database.store import campaigns
from dialer.database.store.campaigns import CampaignRow
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.ids import new_id

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class StandingClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


Apply = Callable[..., Awaitable[CampaignRow]]


@pytest.fixture
def apply(conn: asyncpg.Connection) -> Apply:
    """Apply a campaign and bring it into a state."""

    async def applied(
        state: CampaignState = CampaignState.DRAFT, name: str = "spring", **keys: object
    ) -> CampaignRow:
        campaign = Campaign.model_validate({"name": name, "agent": "sales", **keys})
        campaign_id = new_id(NOW)
        await campaigns.insert(conn, campaign_id, campaign, NOW)
        await campaigns.insert_version(
            conn, campaign_id, 1, campaign, source="", checksum="", actor="test", now=NOW
        )
        await conn.execute("update campaigns set state = $2 where id = $1", campaign_id, state)
        row = await campaigns.find(conn, name)
        assert row is not None
        return row

    return applied


@pytest.fixture(scope="session")
def people() -> ModuleType:
    """``bench/people.py``."""
    path = Path(__file__).parents[2] / "bench" / "people.py"
    spec = importlib.util.spec_from_file_location("bench_people", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_people"] = module
    spec.loader.exec_module(module)
    return module
