"""`dialer run` and `dialer migrate` as processes: what keeps the daemon from starting, and that it ends cleanly."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import psutil
import pytest

PATIENCE = 60.0

Process = asyncio.subprocess.Process
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start `dialer …` with these settings; what still runs at the end is killed."""
    processes: list[Process] = []

    async def started(settings_file: Path, *arguments: str) -> Process:
        processes.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dialer", *arguments, "--config", str(settings_file),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )
        )  # fmt: skip
        return processes[-1]

    yield started
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(process: Process) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    assert "hidden" not in err.decode()
    return process.returncode, out.decode(), err.decode()


async def said(process: Process, event: str) -> None:
    """Return when the daemon has logged this."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while json.loads(line := await process.stderr.readline())["event"] != event:
            assert line


def port(settings_file: Path, number: int) -> None:
    settings_file.write_text(
        settings_file.read_text() + f'\n[webhook]\nhost = "127.0.0.1"\nport = {number}\n'
    )


@pytest.fixture
def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def test_without_an_agent_there_is_nothing_to_run(command, settings_file: Path, database: str) -> None:
    settings_file.write_text(f'[database]\nurl = "{database}"\n')
    ran = await command("run", code=2)
    assert ran.err == (
        "no agent is configured: add a section [agents.NAME] to the settings; see config.example.toml\n"
    )


async def test_a_port_that_is_taken_is_named_with_its_mend(start: Start, settings_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        port(settings_file, number)
        code, out, err = await ended(await start(settings_file, "run"))
    assert (code, out) == (2, "")
    assert err.endswith(
        f"the webhook door cannot be opened at 127.0.0.1:{number}: another program has the port; stop it, or set"
        " webhook.port\n"
    )


async def test_a_database_that_is_newer_is_refused(
    start: Start, settings_file: Path, conn: asyncpg.Connection
) -> None:
    await conn.execute(
        "insert into schema_migrations (version, name, checksum)"
        " select max(version) + 1, 'later', 'x' from schema_migrations"
    )
    code, out, err = await ended(await start(settings_file, "run"))
    assert (code, out) == (2, "")
    assert "the database is newer than this program" in err
    assert err.count("\n") == 1, err


async def test_sigterm_at_once_ends_it_cleanly_and_a_later_one_too(
    start: Start, settings_file: Path, free_port: int
) -> None:
    port(settings_file, free_port)
    process = await start(settings_file, "run")
    async with asyncio.timeout(PATIENCE):
        while not catches(process.pid, signal.SIGTERM):
            await asyncio.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert (await ended(process))[:2] == (0, "")
    process = await start(settings_file, "run")
    await said(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, out, err = await ended(process)
    assert (code, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[0]["event"] == "stopping: no further call is begun; a second signal ends at once"
    assert lines[-1]["event"] == "stopped"
    assert {line["level"] for line in lines} == {"info"}


async def test_the_embedded_server_starts_with_the_daemon_and_leaves_nothing_behind(
    start: Start, scratch: Path, free_port: int
) -> None:
    folder = scratch / "run"
    folder.mkdir()
    settings_file = folder / "config.toml"
    settings_file.write_text(
        f'state_dir = "{folder / "state"}"\n[agents.sales]\nagent_id = "a"\napi_key = "ck_hidden"\n'
        'webhook_secrets = ["whsec_hidden"]\n'
    )
    port(settings_file, free_port)
    process = await start(settings_file, "run")
    await said(process, "ready")
    assert servers(folder)
    process.send_signal(signal.SIGTERM)
    assert (await ended(process))[0] == 0
    assert servers(folder) == []


async def test_migrate_says_on_stdout_as_json_and_on_stderr_in_words_where_the_database_stands(
    command, settings_file: Path, blank: str, database: str
) -> None:
    settings_file.write_text(settings_file.read_text().replace(database, blank))
    first = await command("migrate", "--json")
    assert first.err == ""
    assert all(row["new"] for row in first.data)
    assert first.data[0]["file"] == "0001_campaigns.sql"
    again = await command("migrate")
    assert again.out == ""
    assert again.err.splitlines()[0] == "0001_campaigns.sql  applied"


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def servers(folder: Path) -> list[psutil.Process]:
    """Processes that have to do with the folder, the daemon's own apart."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
        and "dialer" not in (process.info["cmdline"] or [])
    ]
