"""One database for all schedules of a worker: emptied between them, never dropped."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from dialer.database.pool import connect

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
async def ground(server: str, admin: asyncpg.Connection, template: str) -> AsyncIterator[asyncpg.Connection]:
    name = f"simulation_{os.getpid()}"
    await admin.execute(f"create database {name} template {template} strategy file_copy")
    head, _, options = server.partition("?")
    conn = await connect(f"{head.rpartition('/')[0]}/{name}?{options}", application_name="simulation")
    yield conn
    await conn.close()
    await admin.execute(f"drop database {name} with (force)")
