import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest

from dialer.database.embedded import Binaries
from dialer.database.embedded.binaries import PACKAGE, find
from dialer.domain.errors import DatabaseError

ROOT = os.geteuid() == 0
NOBODY = 65534

as_root = pytest.mark.skipif(not ROOT, reason="only root may change its user")


async def value(dsn: str, query: str):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def socket_folder(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


@pytest.mark.parametrize("name", ["x" * 120, "a, b", "it's naïve"])
async def test_a_path_that_cannot_hold_a_socket_gets_a_short_one_that_all_users_agree_on(empty, name: str):
    state = empty(name)
    state.fill()
    user = await state.user()
    dsn = await user.address()
    run = socket_folder(dsn)
    try:
        async with state.embedded() as other:
            assert other == dsn
            assert await value(dsn, "select 1") == 1
            assert len(state.servers()) == 1
        assert run.parent == Path("/tmp")
        assert run.stat().st_mode & 0o777 == 0o700
        await user.leave()
    finally:
        shutil.rmtree(run)


@pytest.mark.parametrize("trap", ["folder", "link", "file"])
async def test_a_short_socket_folder_that_somebody_else_made_first_is_refused(
    empty, tmp_path: Path, trap: str
):
    state = empty("y" * 120)
    state.fill()
    async with state.embedded() as dsn:
        run = socket_folder(dsn)
    shutil.rmtree(run)
    try:
        if trap == "folder":
            run.mkdir()
            run.chmod(0o777)
        elif trap == "link":
            run.symlink_to(tmp_path)
        else:
            run.touch()
        with pytest.raises(DatabaseError, match="remove it, or set state_dir to a shorter path"):
            await state.embedded().start()
    finally:
        shutil.rmtree(run) if trap == "folder" else run.unlink()


async def test_a_database_of_another_major_version_is_refused_with_the_way_out(state):
    (state.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(DatabaseError, match=r"made by Postgres 14.*pg_dump"):
        await state.embedded().start()
    assert state.servers() == []


async def test_a_folder_that_is_no_database_is_left_alone(state):
    shutil.rmtree(state.data)
    state.data.mkdir()
    (state.data / "letters.txt").write_text("dear")
    if ROOT:
        os.chown(state.data, NOBODY, NOBODY)
    with pytest.raises(DatabaseError, match="is not a Postgres database: move it away"):
        await state.embedded().start()
    assert (state.data / "letters.txt").read_text() == "dear"


async def test_an_empty_data_folder_is_filled(state):
    shutil.rmtree(state.data)
    state.data.mkdir()
    if ROOT:
        os.chown(state.data, NOBODY, NOBODY)
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1


async def test_a_wrong_setting_is_an_error_that_says_what_the_server_said(state):
    with pytest.raises(
        DatabaseError, match=r'does not start: .*invalid value for parameter "shared_buffers"'
    ):
        await state.embedded(settings={"shared_buffers": "plenty"}).start()
    assert state.servers() == []


async def test_a_platform_without_the_programs_is_told_to_use_its_own_database(
    empty, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    state = empty()
    state.binaries = None
    with pytest.raises(DatabaseError, match=r"no embedded Postgres on this platform.*set database\.url"):
        await state.embedded().start()


async def test_a_state_folder_that_cannot_be_made_is_an_error_that_names_it(empty):
    state = empty()
    state.path.touch()
    state.path = state.path / "below"
    with pytest.raises(DatabaseError, match="below"):
        await state.embedded().start()


@pytest.fixture
def small(empty) -> Iterator:
    """A state folder on a disk of 24 MB, and a way to make the disk bigger."""
    state = empty()
    state.path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=711", "tmpfs", state.path]
    if not ROOT or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    yield state, lambda: subprocess.run(["mount", "-o", "remount,size=200m", state.path], check=True)
    subprocess.run(["umount", "-l", state.path], check=True)


async def test_a_disk_that_fills_at_the_first_start_is_told_and_recovers_with_space(small):
    state, grow = small
    with pytest.raises(DatabaseError, match=r"No space left on device.*free some space"):
        await state.embedded().start()
    assert list(state.home.glob("data*")) == []
    grow()
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1


@pytest.fixture
def closed(empty) -> tuple[Path, Path]:
    """A folder that only root may enter, as /root is; and another that all may."""
    shut, open_ = empty("shut").path, empty("open").path
    shut.mkdir(mode=0o700)
    open_.mkdir()
    open_.chmod(0o755)
    return shut, open_


@as_root
async def test_root_with_a_closed_home_keeps_the_database_elsewhere_and_opens_no_folder(empty, closed):
    shut, fallback = closed
    state = empty("shut/state/dialer")
    async with state.embedded(fallback=fallback) as dsn:
        await value(dsn, "create table kept as select 42 as number")
        assert (state.path / "postgres").is_symlink()
        assert state.home.parent == fallback
        assert len(state.servers()) == 1
    assert shut.stat().st_mode & 0o777 == 0o700
    # Opened later, or with another fallback: the same database, never a new one.
    shut.chmod(0o755)
    async with state.embedded() as dsn:
        assert await value(dsn, "select number from kept") == 42


@as_root
async def test_root_with_a_link_to_a_database_that_is_gone_does_not_begin_an_empty_one(empty, closed):
    _, fallback = closed
    state = empty("shut/state")
    async with state.embedded(fallback=fallback):
        pass
    shutil.rmtree(state.home)
    with pytest.raises(DatabaseError, match="which is gone"):
        await state.embedded(fallback=fallback).start()


@as_root
async def test_root_with_nowhere_to_go_is_told_the_ways_out(empty, closed):
    shut, _ = closed
    with pytest.raises(DatabaseError, match=r"chmod o\+x"):
        await empty("shut/state").embedded(fallback=shut / "fallback").start()


@as_root
async def test_root_runs_a_database_as_the_user_it_belongs_to(state):
    for path in (state.data, *state.data.rglob("*"), state.home / "run"):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1
        assert psutil.Process(state.postmaster()).uids().effective == 12345


@as_root
async def test_programs_that_the_servers_user_cannot_reach_are_copied_once(empty, closed):
    shut, _ = closed
    package = find().bin.parents[1]
    shutil.copytree(package / "pginstall18", shut / PACKAGE / "pginstall18", symlinks=True)
    shutil.copytree(package.with_name(f"{PACKAGE}.libs"), shut / f"{PACKAGE}.libs")
    hidden = Binaries(shut / PACKAGE / "pginstall18" / "bin", 18)
    state = empty()
    state.binaries = hidden
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1
    (copy,) = state.home.glob("binaries-*")
    made = copy.stat().st_ctime_ns
    async with state.embedded() as dsn:
        assert await value(dsn, "select 1") == 1
    assert copy.stat().st_ctime_ns == made
    assert shut.stat().st_mode & 0o777 == 0o700


@as_root
async def test_an_ordinary_user_runs_it_as_himself(empty):
    state = empty()
    state.path.parent.chmod(0o777)
    user = await state.user(uid=NOBODY)
    assert await value(await user.address(), "select 1") == 1
    assert state.data.stat().st_uid == NOBODY
    assert state.path.stat().st_mode & 0o777 == 0o700
    await user.leave()
    assert state.servers() == []


@as_root
async def test_a_user_without_a_name_is_told_to_take_one(empty):
    state = empty()
    state.path.parent.chmod(0o777)
    user = await state.user(uid=12345)
    assert "uid 12345 has no entry in /etc/passwd" in await user.complaint()


@as_root
async def test_another_users_database_is_refused(state):
    state.path.chmod(0o777)
    user = await state.user(uid=1)
    complaint = await user.complaint()
    assert (
        "belongs to uid 65534, and this process runs as uid 1" in complaint
        or "Permission denied" in complaint
    )
