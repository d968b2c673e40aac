"""Commands as an operator gives them: the whole program in this process, on a real database, its streams apart."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from dialer.cli import program

app = program()


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What ``--format jsonl`` printed."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def settings_file(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings with two agents and the test's database; the environment has none."""
    for name in ("DIALER_CONFIG", "DIALER_SECRETS_DIR", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        state_dir = "{tmp_path / "state"}"
        [database]
        url = "{database}"
        [agents.sales]
        agent_id = "agent_01"
        api_key = "ck_hidden"
        webhook_secrets = ["whsec_hidden"]
        [agents.care]
        agent_id = "agent_02"
        api_key = "ck_hidden_too"
        webhook_secrets = ["whsec_hidden_too"]
        """
    )
    return path


@pytest.fixture
def command(settings_file: Path) -> Iterator[Run]:
    """Run one command to its end, in a thread, for it has a loop of its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    async def run(*arguments: object, code: int | None = 0) -> Ran:
        given = [str(argument) for argument in arguments]
        result = await asyncio.to_thread(CliRunner().invoke, app, [*given, "--config", str(settings_file)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        assert not re.search(r"hidden(?!\")", result.output), "secrets of the settings are named so"
        assert "Traceback" not in result.output
        return Ran(result.exit_code, result.stdout, result.stderr)

    structlog.reset_defaults()
    yield run
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


Write = Callable[..., Path]


@pytest.fixture
def campaign_file(tmp_path: Path) -> Write:
    """Write a campaign file; further lines of TOML may be given."""

    def write(name: str = "promo", text: str = "", *, agent: str = "sales", file: str | None = None) -> Path:
        path = tmp_path / f"{file or name}.toml"
        path.write_text(f'name = "{name}"\nagent = "{agent}"\n{text}\n')
        return path

    return write
