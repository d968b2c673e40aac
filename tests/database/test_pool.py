import time
from datetime import UTC, datetime

import asyncpg
import pytest

from dialer.database.pool import connect, create_pool
from dialer.domain.errors import DatabaseError


async def test_json_travels_as_python_values(conn):
    assert await conn.fetchval("select $1::jsonb", {"a": [1, "é", None]}) == {"a": [1, "é", None]}
    assert await conn.fetchval("select '[1.5]'::json") == [1.5]


async def test_not_a_number_is_refused_before_it_reaches_postgres(conn):
    with pytest.raises((ValueError, asyncpg.DataError)):
        await conn.fetchval("select $1::jsonb", {"credits": float("nan")})


async def test_a_pooled_connection_is_in_utc_has_its_limits_and_bears_our_name(pool):
    for name, expected in {
        "timezone": "UTC",
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
        "application_name": "dialer",
    }.items():
        assert await pool.fetchval("select current_setting($1)", name) == expected
    assert (await pool.fetchval("select now()")).tzinfo is UTC
    assert isinstance(await pool.fetchval("select now()"), datetime)


async def test_a_generic_session_plans_for_all_values_and_anew_when_it_is_twice_as_old(database, conn):
    pool = await create_pool(database, min_size=1, max_size=1, generic=True)

    async def last_after(query: str) -> str:
        """What the session was last told, after it was given back."""
        async with pool.acquire() as session:
            await session.execute(query)
            pid = session.get_server_pid()
        return await conn.fetchval("select query from pg_stat_activity where pid = $1", pid)

    try:
        assert await pool.fetchval("show plan_cache_mode") == "force_generic_plan"
        assert await last_after("select pg_sleep(1)") == "discard plans"
        assert await last_after("select 1") == "select 1"
        assert await last_after("select pg_sleep(1.5)") == "discard plans"
    finally:
        await pool.close()
    assert await conn.fetchval("show plan_cache_mode") == "auto"


async def test_a_server_that_is_not_there_is_an_error_after_the_deadline_and_names_no_password(tmp_path):
    began = time.monotonic()
    with pytest.raises(DatabaseError, match=r"database\.url") as caught:
        await create_pool(f"postgresql://me:topsecret@/shop?host={tmp_path}", deadline=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert "topsecret" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_an_error_at_once(server):
    began = time.monotonic()
    with pytest.raises(DatabaseError, match="nowhere"):
        await connect(server.replace("/dialer?", "/nowhere?"), deadline=60)
    assert time.monotonic() - began < 10
