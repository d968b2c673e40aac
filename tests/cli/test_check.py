"""`dialer check` on real files, sockets and databases: what it names, how it ends, what it never says."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import pytest
import typer
from typer.testing import CliRunner

from dialer import shipped
from dialer.cli.check import check, examine_database, folder
from dialer.settings import load

APP = typer.Typer()
APP.command()(check)

CONFIG = """
state_dir = "state"
[agents.sales]
agent_id = "agent-1"
api_key = "hunter2-key"
webhook_secrets = ["hunter2-hook"]
[webhook]
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings without a mistake, and no other."""
    for name in ("DIALER_CONFIG", "DIALER_SECRETS_DIR", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "campaigns").mkdir()
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(port=free_port))
    path.chmod(0o600)
    return path


def ran(config: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and findings; all that was said is looked through for secrets."""
    result = CliRunner().invoke(APP, ["--config", str(config), "--json", *arguments])
    assert "hunter2" not in result.output
    said: dict[str, Any] = json.loads(result.stdout)
    assert said["ok"] is (result.exit_code == 0)
    return result.exit_code, [f"{each['level']}: {each['text']}" for each in said["findings"]]


@contextmanager
def answering(port: int, status: int) -> Iterator[None]:
    """A server that answers each GET on 127.0.0.1:port with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_settings_without_a_mistake_are_ready_and_nothing_is_made(config: Path) -> None:
    before = sorted(config.parent.rglob("*"))
    assert ran(config) == (0, [])
    assert sorted(config.parent.rglob("*")) == before


def test_people_read_one_finding_a_line_and_a_verdict_on_stderr(config: Path) -> None:
    (config.parent / "campaigns").rmdir()
    result = CliRunner().invoke(APP, ["--config", str(config)])
    assert result.exit_code == 0
    assert result.stdout.startswith("warning: campaigns_dir: there is no folder ")
    assert result.stdout.count("\n") == 1
    assert result.stderr == "ready\n"


def test_every_mistake_of_settings_and_environment_is_an_error(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text().replace("port = ", "prot = "))
    monkeypatch.setenv("DIALER_DATABASE_URL", "postgresql://me:hunter2@db/x")
    monkeypatch.setenv("DIALER_AGENTS__SALES__APIKEY", "hunter2")
    code, findings = ran(config)
    assert code == 2
    assert findings == [
        "error: DIALER_AGENTS__SALES__APIKEY: agents.sales.apikey: unknown key; did you mean api_key?",
        f"error: {config}:9: webhook.prot: unknown key; did you mean port?",
        "error: DIALER_DATABASE_URL: no setting has this name; did you mean DIALER_DATABASE__URL?",
    ]


def test_an_unreadable_secrets_folder_is_an_error(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_SECRETS_DIR", "/nowhere/at/all")
    assert ran(config) == (
        2,
        ["error: DIALER_SECRETS_DIR: /nowhere/at/all: no such file or directory; name a readable folder"],
    )


def test_the_example_is_not_ready_until_its_placeholders_are_replaced(config: Path) -> None:
    config.write_text(shipped.file("config.example.toml").read_text())
    code, findings = ran(config, "--no-database")
    assert code == 2
    told = [each.split(": ")[1] for each in findings if "still holds the example's text" in each]
    assert told == [f"agents.sales.{key}" for key in ("agent_id", "api_key", "webhook_secrets")]


def test_keys_that_others_may_read_are_a_warning(config: Path) -> None:
    config.chmod(0o644)
    assert ran(config) == (
        0,
        [f"warning: {config}: others on this machine may read the keys in it; chmod 600 {config}"],
    )


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (
            '[calldock]\nbase_url = "http://api.calldock.co"',
            "error: calldock.base_url: http://api.calldock.co sends",
        ),
        ('[calldock]\nbase_url = "http://127.0.0.1:9000"', None),
        ('[calldock]\nbase_url = "http://[::1]:9000/x"', None),
    ],
)
def test_the_key_travels_unencrypted_to_this_machine_only(config: Path, extra: str, says: str | None) -> None:
    config.write_text(config.read_text() + extra + "\n")
    code, findings = ran(config, "--no-database")
    assert (code, [each[: len(says or "")] for each in findings]) == ((2, [says]) if says else (0, []))


def test_a_public_address_is_looked_at_when_it_is_given(config: Path) -> None:
    config.write_text(config.read_text() + 'public_url = "http://calls.example.com/hook"\n')
    code, findings = ran(config, "--no-database")
    assert code == 0
    assert [each.split(";")[0] for each in findings] == [
        "warning: webhook.public_url: reports hold what people said",
        "warning: webhook.public_url: does not end with webhook.path (/webhook)",
    ]


def test_campaigns_are_read_and_their_agents_and_names_compared(config: Path) -> None:
    place = config.parent / "campaigns"
    (place / "a.toml").write_text('name = "one"\nagent = "sales"\n')
    (place / "b.toml").write_text('name = "two"\nagent = "sails"\n')
    (place / "c.toml").write_text('name = "one"\nagent = "sales"\n')
    (place / "d.toml").write_text('name = "four"\nagent = "sales"\npase = 1\n')
    code, findings = ran(config)
    assert code == 2
    assert (
        findings[0]
        == f'error: {place}/b.toml: agent = "sails": the settings have no such agent; they have: sales'
    )
    assert (
        findings[1]
        == f'error: {place}/c.toml: name = "one": is the name in {place}/a.toml too; give each its own'
    )
    assert findings[2].startswith(f"error: {place}/d.toml:3")
    assert len(findings) == 3


def test_a_port_that_another_program_has_is_an_error(config: Path, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)) as other:

        def hang_up() -> None:
            other.accept()[0].close()

        closing = Thread(target=hang_up)
        closing.start()
        code, findings = ran(config)
        closing.join()
    assert code == 2
    assert findings == [
        f"error: webhook.port: {free_port} is taken by another program; stop it, or set another port"
    ]


def test_a_port_where_the_dialer_already_listens_is_fine(config: Path, free_port: int) -> None:
    with answering(free_port, 503):
        assert ran(config) == (0, [])


def test_a_host_that_is_not_of_this_machine_is_an_error(config: Path) -> None:
    # 192.0.2.0/24 is for documentation: nobody has it. Nothing is sent, it is only bound.
    config.write_text(config.read_text().replace("127.0.0.1", "192.0.2.1"))
    code, findings = ran(config)
    assert code == 2
    assert len(findings) == 1
    assert findings[0].startswith("error: webhook.host: 192.0.2.1: ")


def test_a_state_dir_in_place_of_a_file_is_an_error(config: Path) -> None:
    (config.parent / "state").write_text("")
    code, findings = ran(config, "--no-database")
    assert code == 2
    assert findings == [f"error: state_dir: {config.parent}/state is not a folder; set state_dir to one"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_state_dir_that_this_user_may_not_enter_is_an_error(config: Path) -> None:
    closed = config.parent / "closed"
    closed.mkdir(mode=0o700)
    settings = load(config, {"DIALER_STATE_DIR": str(closed / "state")})
    config.parent.chmod(0o755)
    os.seteuid(65534)
    try:
        findings = [finding.text for finding in folder(settings)]
    finally:
        os.seteuid(0)
    assert len(findings) == 1
    assert findings[0].startswith("state_dir: this user may not write to ")


async def test_a_migrated_database_is_fine_and_a_blank_one_waits_for_its_migrations(
    config: Path, database: str, blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIALER_DATABASE__URL", database)
    assert await asyncio.to_thread(ran, config) == (0, [])
    monkeypatch.setenv("DIALER_DATABASE__URL", blank)
    code, findings = await asyncio.to_thread(ran, config)
    assert code == 0
    assert len(findings) == 1
    assert findings[0].endswith("migrations wait, from 0001_campaigns.sql; dialer migrate applies them")
    connection = await asyncpg.connect(blank)
    assert await connection.fetchval("select to_regclass('schema_migrations')") is None
    await connection.close()


async def test_a_database_that_does_not_answer_is_an_error_without_its_password(
    config: Path, free_port: int
) -> None:
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port}/calls"
    findings = await examine_database(load(config, {"DIALER_DATABASE__URL": url}), deadline=0.1)
    assert [finding.level for finding in findings] == ["error"]
    assert findings[0].text.startswith(f"Postgres at 127.0.0.1:{free_port}/calls cannot be reached")
    assert "hunter2" not in findings[0].text


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_health_is_what_the_running_daemon_says(config: Path, free_port: int, status: int, code: int) -> None:
    with answering(free_port, status):
        result = CliRunner().invoke(APP, ["--config", str(config), "--health"])
    assert result.exit_code == code
    assert f"HTTP {status}" in result.stderr


def test_health_is_bad_when_nobody_answers_or_the_settings_are_wrong(config: Path) -> None:
    assert CliRunner().invoke(APP, ["--config", str(config), "--health"]).exit_code == 1
    config.write_text("[")
    assert CliRunner().invoke(APP, ["--config", str(config), "--health"]).exit_code == 1
