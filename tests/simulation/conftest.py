"""One database for all schedules of a worker: emptied between them, never dropped."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.database.pool import connect

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
async def ground(
    admin: asyncpg.Connection, template: str, databases: Any
) -> AsyncIterator[asyncpg.Connection]:
    name = f"simulation_{os.getpid()}"
    await admin.execute(f"create database {name} template {template} strategy file_copy")
    conn = await connect(databases.address(name), application_name="simulation")
    yield conn
    await conn.close()
    await admin.execute(f"drop database {name} with (force)")
