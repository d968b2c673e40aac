import asyncio
import os
import shutil
import signal
from pathlib import Path

import asyncpg
import psutil
import pytest

from dialer.domain.errors import DatabaseError


async def value(dsn: str, query: str):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until(condition, seconds: float = 20.0):
    async with asyncio.timeout(seconds):
        while not (result := condition()):
            await asyncio.sleep(0.01)
    return result


async def eventually(dsn: str, query: str, seconds: float = 20.0):
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await value(dsn, query)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)


async def test_the_first_start_makes_a_database_of_utf_8_with_checksums_in_utc(empty):
    async with empty().embedded(settings={}) as dsn:
        assert await value(dsn, "select current_database()") == "dialer"
        assert await value(dsn, "show server_encoding") == "UTF8"
        assert await value(dsn, "show data_checksums") == "on"
        assert await value(dsn, "show timezone") == "UTC"
        assert await value(dsn, "show fsync") == "on"
        assert await value(dsn, "select 'Z' < 'a' and 'z' < 'é' and upper('é') = 'É'")


async def test_it_is_reached_only_by_a_socket_in_a_closed_folder(state):
    async with state.embedded() as dsn:
        assert await value(dsn, "show listen_addresses") == ""
        run = state.home / "run"
        assert str(run) == await value(dsn, "show unix_socket_directories")
        assert run.stat().st_mode & 0o777 == 0o700
        assert (run / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700
        assert state.data.stat().st_mode & 0o777 == 0o700


async def test_what_was_written_is_there_after_stop_and_start(state):
    async with state.embedded() as dsn:
        await value(dsn, "create table kept as select 42 as number")
    assert state.servers() == []
    assert not (state.data / "postmaster.pid").exists()
    async with state.embedded() as dsn:
        assert await value(dsn, "select number from kept") == 42


async def test_start_and_stop_may_be_repeated(state):
    server = state.embedded()
    await server.stop()
    assert await server.start() == await server.start()
    await server.stop()
    await server.stop()
    assert state.servers() == []
    await server.start()
    await server.stop()


async def test_all_users_share_one_server_and_the_last_one_stops_it(state):
    first, second = await state.user(), await state.user()
    assert await first.address() == await second.address()
    postmaster = state.postmaster()
    async with state.embedded() as dsn:
        assert state.servers() == [postmaster]
        await first.leave()
        await second.leave()
        assert state.servers() == [postmaster]
        assert await value(dsn, "select 1") == 1
    assert state.servers() == []


async def test_a_killed_user_does_not_keep_the_server_from_being_stopped(state):
    first = await state.user()
    await first.address()
    server = state.embedded()
    await server.start()
    await first.kill()
    await server.stop()
    assert state.servers() == []


async def test_many_that_begin_at_once_make_one_database_and_one_server(empty):
    state = empty()
    users = [await state.user() for _ in range(4)]
    addresses = {await user.address() for user in users}
    assert len(addresses) == 1
    assert len(state.servers()) == 1
    assert list(state.home.glob("data*")) == [state.data]
    for user in users:
        await user.leave()
    assert state.servers() == []


async def test_many_that_come_and_go_at_once_always_find_a_server(state):
    async def use() -> None:
        for _ in range(4):
            async with state.embedded() as dsn:
                assert await value(dsn, "select 1") == 1
                assert len(state.servers()) == 1

    await asyncio.gather(*(use() for _ in range(4)))
    assert state.servers() == []


async def test_the_server_of_a_killed_dialer_is_adopted_and_stopped(state):
    user = await state.user()
    dsn = await user.address()
    await value(dsn, "create table kept as select 42 as number")
    postmaster = state.postmaster()
    await user.kill()
    assert state.servers() == [postmaster]
    async with state.embedded() as dsn:
        assert state.servers() == [postmaster]
        assert await value(dsn, "select number from kept") == 42
    assert state.servers() == []


async def test_a_killed_server_is_started_again_with_all_that_was_committed(state):
    async with state.embedded() as dsn:
        await value(dsn, "create table kept as select 42 as number")
        killed = state.postmaster()
        os.kill(killed, signal.SIGKILL)
        assert await eventually(dsn, "select number from kept") == 42
        await until(lambda: len(state.servers()) == 1 and state.servers() != [killed])
    assert state.servers() == []


async def test_a_server_killed_again_and_again_is_started_again_and_again(state):
    async with state.embedded() as dsn:
        for _ in range(3):
            killed = state.postmaster()
            os.kill(killed, signal.SIGKILL)
            await until(lambda killed=killed: set(state.servers()) - {killed})
            await eventually(dsn, "select 1")
    assert state.servers() == []


async def test_an_adopted_server_is_watched_too(state):
    user = await state.user()
    await user.address()
    await user.kill()
    async with state.embedded() as dsn:
        killed = state.postmaster()
        os.kill(killed, signal.SIGKILL)
        await eventually(dsn, "select 1")
        assert state.postmaster() != killed
    assert state.servers() == []


async def test_two_that_watch_a_killed_server_start_one(state):
    first, second = await state.user(), await state.user()
    await first.address()
    dsn = await second.address()
    for _ in range(3):
        killed = state.postmaster()
        os.kill(killed, signal.SIGKILL)
        await eventually(dsn, "select 1")
        assert len(state.servers()) == 1
        assert state.postmaster() != killed
    await first.leave()
    await second.leave()
    assert state.servers() == []


async def test_dialer_and_server_killed_together_recover(state):
    user = await state.user()
    dsn = await user.address()
    await value(dsn, "create table kept as select 42 as number")
    os.kill(state.postmaster(), signal.SIGKILL)
    await user.kill()
    async with state.embedded() as dsn:
        assert await value(dsn, "select number from kept") == 42


@pytest.mark.parametrize("sight", ["data.*", "data.*/PG_VERSION", "data/postmaster.pid"])
async def test_killed_at_the_first_start_it_starts_well_the_next_time(empty, sight: str):
    state = empty()
    user = await state.user()
    await until(lambda: list(state.home.glob(sight)))
    await user.kill()
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1
        assert list(state.home.glob("data*")) == [state.data]
        assert len(state.servers()) == 1


async def test_a_start_that_is_cancelled_leaves_nothing_running(empty):
    state = empty()
    task = asyncio.create_task(state.embedded().start())
    await until(lambda: list(state.home.glob("data.*/global")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state.servers() == []
    assert list(state.home.glob("data*")) == []
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1


async def test_a_dead_server_that_nobody_reaps_is_not_taken_for_a_living_one(state):
    user = await state.user()
    await user.address()
    postmaster = state.postmaster()
    # Stopped, its parent can neither reap the server nor start it again; only its lock on the users remains.
    user.process.send_signal(signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    async with state.embedded(patience=20) as dsn:
        assert await value(dsn, "select 1") == 1
        assert state.postmaster() != postmaster
        user.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("name", ["sleep", "postgres"])
async def test_a_number_in_postmaster_pid_that_is_another_process_by_now_does_not_matter(
    state, scratch: Path, name: str
):
    user = await state.user()
    await user.address()
    file = state.data / "postmaster.pid"
    content = file.read_text().split("\n")
    os.kill(state.postmaster(), signal.SIGKILL)
    await user.kill()
    await until(lambda: not state.servers())
    # A process of the very same user, which is the only kind that Postgres itself would stop at.
    program = shutil.copy("/bin/sleep", scratch / name)
    owner = state.data.stat().st_uid
    stranger = await asyncio.create_subprocess_exec(
        program, "60", user=owner if os.geteuid() == 0 else None, cwd="/"
    )
    try:
        file.write_text("\n".join([str(stranger.pid), *content[1:]]))
        async with state.embedded(patience=20) as dsn:
            assert await value(dsn, "select 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_server_that_does_not_answer_is_named_and_no_second_one_is_started(state):
    user = await state.user()
    await user.address()
    await user.kill()
    postmaster = state.postmaster()
    os.kill(postmaster, signal.SIGSTOP)
    try:
        with pytest.raises(DatabaseError, match=r"does not answer within 1 s"):
            await state.embedded(patience=1).start()
        assert state.servers() == [postmaster]
    finally:
        os.kill(postmaster, signal.SIGCONT)
    async with state.embedded():
        assert state.servers() == [postmaster]


async def test_it_runs_under_uvloop(state):
    user = await state.user(loop="uvloop")
    assert await value(await user.address(), "select 1") == 1
    await user.leave()
    assert state.servers() == []


async def test_the_server_is_not_in_our_session_and_knows_nothing_of_our_environment(state):
    user = await state.user()
    await user.address()
    postmaster = state.postmaster()
    assert os.getsid(postmaster) == postmaster
    assert "topsecret" not in str(psutil.Process(postmaster).environ())
    await user.leave()


async def test_its_log_names_no_phone_and_is_closed_to_others(state):
    async with state.embedded() as dsn:
        await value(dsn, "create table people (phone text primary key)")
        await value(dsn, "insert into people values ('+15555550123')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await value(dsn, "insert into people values ('+15555550123')")
    log = state.home / "server.log"
    assert "people_pkey" in log.read_text()
    assert "5555550123" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


async def test_a_log_that_grew_large_is_set_aside_while_the_server_goes_on_writing(state):
    log = state.home / "server.log"
    async with state.embedded():
        pass
    log.write_bytes(b"x" * (17 * 1024 * 1024))
    async with state.embedded():
        assert log.stat().st_size < 1024 * 1024
        assert log.with_name("server.log.1").stat().st_size > 16 * 1024 * 1024
        assert "ready to accept connections" in log.read_text()
