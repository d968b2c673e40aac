"""``dialer check``: everything that is wrong, said at once, before anything is started.

Nothing is changed: no database is made, no migration applied, no call placed. No finding holds a secret.
"""

import asyncio
import errno
import http.client
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from dialer import rulebook, shipped, timezones
from dialer.cli.session import ConfigOption, JsonOption, print_json, stderr, stdout
from dialer.daemon.database import database
from dialer.database.embedded.binaries import find
from dialer.database.migrations import status
from dialer.database.pool import connect
from dialer.domain.errors import ConfigError, DialerError
from dialer.settings import Mistakes, Settings, config_path, is_loopback, load, unknown_environment
from dialer.settings.links import missing

PLACEHOLDER = "replace-with-"
HEALTH_TIMEOUT = 4.0
DATABASE_DEADLINE = 5.0
# What our own /healthz may answer.
OURS = (http.HTTPStatus.OK, http.HTTPStatus.SERVICE_UNAVAILABLE)


class Level(StrEnum):
    """An error keeps the dialer from its work, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, and how to mend it, in one sentence."""

    level: Level
    text: str


def error(text: str) -> Finding:
    """What must be mended."""
    return Finding(Level.ERROR, text)


def warning(text: str) -> Finding:
    """What should be looked at."""
    return Finding(Level.WARNING, text)


def check(
    config: ConfigOption = None,
    json: JsonOption = False,
    no_database: Annotated[bool, typer.Option("--no-database", help="Leave the database out.")] = False,
    health: Annotated[
        bool, typer.Option("--health", help="Ask the running daemon: 0 healthy, 1 not.")
    ] = False,
) -> None:
    """Name every mistake in settings, environment, campaigns and database; exit code 2 for any."""
    if health:
        _health(config)
    settings, findings = examine_settings(config)
    if settings is not None:
        findings += [
            *agents(settings),
            *addresses(settings),
            *campaigns(settings),
            *folder(settings),
            *door(settings),
            *zones(),
        ]
        if not no_database:
            findings += asyncio.run(examine_database(settings))
    failed = any(finding.level is Level.ERROR for finding in findings)
    if json:
        print_json({"ok": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            stdout.print(f"{finding.level}: {finding.text}", markup=False, highlight=False, soft_wrap=True)
        stderr.print("not ready" if failed else "ready", style="red" if failed else "green")
    raise typer.Exit(2 if failed else 0)


def examine_settings(config: Path | None) -> tuple[Settings | None, list[Finding]]:
    """The settings, unless they are wrong, and what is wrong with them and with the environment."""
    settings, sentences = None, []
    try:
        settings = load(config)
    except Mistakes as mistakes:
        sentences = list(mistakes.sentences)
    except ConfigError as mistake:
        sentences = [str(mistake)]
    # A mistyped key inside a section was named by load already, with its variable in front.
    told = {sentence.split(":", 1)[0] for sentence in sentences}
    sentences += [text for text in unknown_environment(os.environ) if text.split(":", 1)[0] not in told]
    findings = [error(sentence) for sentence in sentences]
    if settings is not None:
        findings += _open_file(config_path(config))
    return settings, findings


def _open_file(path: Path | None) -> Iterator[Finding]:
    if path is not None and path.stat().st_mode & 0o044 and "api_key" in path.read_text(encoding="utf-8-sig"):
        yield warning(f"{path}: others on this machine may read the keys in it; chmod 600 {path}")


def agents(settings: Settings) -> Iterator[Finding]:
    """Whether there is an agent, and each is filled in."""
    if not settings.agents:
        yield warning("agents: there is none, so nothing can be called; add [agents.NAME] to the settings")
    for name, agent in settings.agents.items():
        values = {
            "agent_id": [agent.agent_id],
            "api_key": [agent.api_key.get_secret_value()],
            "webhook_secrets": [secret.get_secret_value() for secret in agent.webhook_secrets],
        }
        for key, texts in values.items():
            if any(text.startswith(PLACEHOLDER) for text in texts):
                yield error(
                    f"agents.{name}.{key}: still holds the example's text; put Calldock's in its place"
                )
        if agent.allow_unsigned:
            yield warning(f"agents.{name}.allow_unsigned: anyone on this machine can send false reports")


def zones() -> Iterator[Finding]:
    """Whether the time zone data is young enough for the windows."""
    if told := timezones.stale(timezones.choose(), datetime.now(UTC).date()):
        yield warning(told)


def addresses(settings: Settings) -> Iterator[Finding]:
    """Whether keys and reports travel encrypted."""
    base = urlsplit(settings.calldock.base_url)
    if base.scheme != "https" and not is_loopback(base.hostname or ""):
        yield error(
            f"calldock.base_url: {settings.calldock.base_url} sends the API key unencrypted; write https://"
        )
    public = urlsplit(settings.webhook.public_url)
    if settings.webhook.public_url and public.scheme != "https" and not is_loopback(public.hostname or ""):
        yield warning("webhook.public_url: reports hold what people said; give Calldock an https:// address")
    if settings.webhook.public_url and not public.path.endswith(settings.webhook.path):
        yield warning(
            f"webhook.public_url: does not end with webhook.path ({settings.webhook.path}); "
            "right only if a proxy rewrites it"
        )


def campaigns(settings: Settings) -> Iterator[Finding]:
    """Whether each campaign file can be read, has a name of its own, and names an agent that there is."""
    place = settings.campaigns_dir
    if not place.is_dir():
        yield warning(f"campaigns_dir: there is no folder {place}; make it, or set campaigns_dir")
        return
    names: dict[str, Path] = {}
    for path in sorted(place.glob("*.toml")):
        try:
            campaign = rulebook.read(path, place).campaign
        except DialerError as mistake:
            yield from (error(line) for line in str(mistake).splitlines())
            continue
        if campaign.agent not in settings.agents:
            known = ", ".join(settings.agents) or "none"
            yield error(
                f'{path}: agent = "{campaign.agent}": the settings have no such agent; they have: {known}'
            )
        for text in missing(campaign, settings):
            yield warning(f"{path}: {text}")
        first = names.setdefault(campaign.name, path)
        if first is not path:
            yield error(f'{path}: name = "{campaign.name}": is the name in {first} too; give each its own')


def folder(settings: Settings) -> Iterator[Finding]:
    """Whether state_dir can be written to, or made."""
    place = settings.state_dir
    # os.path: what lies behind a closed folder counts as not there, where Path would raise.
    there = next(path for path in (place, *place.parents) if os.path.exists(path))
    if not there.is_dir():
        yield error(f"state_dir: {there} is not a folder; set state_dir to one")
    elif not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        yield error(f"state_dir: this user may not write to {there}; chown it, or set state_dir to another")


def door(settings: Settings) -> Iterator[Finding]:
    """Whether the webhook's address can be listened at, or the dialer does so already."""
    host, port = settings.webhook.host, settings.webhook.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        yield error(f"webhook.host: {host} is no address of this machine; write 0.0.0.0 for all of them")
        return
    with socket.socket(family, kind, protocol) as probe:
        # As a server does: connections of an earlier one that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as refused:
            if refused.errno == errno.EADDRINUSE:
                if _answers(settings) not in OURS:
                    yield error(
                        f"webhook.port: {port} is taken by another program; stop it, or set another port"
                    )
            elif refused.errno == errno.EACCES:
                yield error(
                    f"webhook.port: {port} is not for this user; set one above 1023 and let a proxy pass on"
                )
            else:
                yield error(
                    f"webhook.host: {host}: {os.strerror(refused.errno or 0).lower()}; write 0.0.0.0 for all"
                )


async def examine_database(settings: Settings, deadline: float = DATABASE_DEADLINE) -> list[Finding]:
    """Whether the database can be reached and fits the program; an embedded one is not made."""
    try:
        if not settings.database.url.get_secret_value():
            find()
            if not _made(settings.state_dir):
                return []
        async with database(settings) as dsn:
            connection = await connect(dsn, application_name="dialer check", deadline=deadline)
            try:
                steps = await status(connection, shipped.folder("sql") / "migrations")
            finally:
                await connection.close()
    except DialerError as mistake:
        return [error(str(mistake))]
    waiting = [step.migration.file for step in steps if step.applied_at is None]
    if waiting:
        return [
            warning(
                f"database: {len(waiting)} migrations wait, from {waiting[0]}; dialer migrate applies them"
            )
        ]
    return []


def _made(state_dir: Path) -> bool:
    return os.path.exists(state_dir / "postgres" / "data")


def _health(config: Path | None) -> NoReturn:
    # Docker knows 0 and 1 only.
    try:
        settings = load(config)
    except DialerError as mistake:
        stderr.print(str(mistake), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    answer = _answers(settings)
    stderr.print("nobody answers" if answer is None else f"HTTP {answer}")
    raise typer.Exit(0 if answer == http.HTTPStatus.OK else 1)


def _answers(settings: Settings) -> int | None:
    """The status of the daemon's /healthz; None when whoever is there speaks no HTTP, or nobody is."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    host = everywhere.get(settings.webhook.host, settings.webhook.host)
    connection = http.client.HTTPConnection(host, settings.webhook.port, timeout=HEALTH_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
