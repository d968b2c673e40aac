"""``dialer run`` and ``dialer migrate``."""

import errno
import json
import socket
import sys
from typing import Annotated

import typer
import uvloop

from dialer import shipped
from dialer.cli import garbage
from dialer.cli.session import ConfigOption, JsonOption, fail, run, stderr
from dialer.daemon.database import database
from dialer.daemon.run import Daemon
from dialer.database import migrations
from dialer.database.pool import connect
from dialer.database.schema import generate
from dialer.domain.errors import DialerError
from dialer.log import configure
from dialer.settings import Settings, load
from dialer.telemetry import telling


def run_daemon(
    config: ConfigOption = None,
    accept_restore: Annotated[
        bool,
        typer.Option("--accept-restore", help="Call again in a database that was restored from a backup."),
    ] = False,
) -> None:
    """Run the daemon: call due contacts, take reports, until SIGTERM."""
    try:
        settings = load(config)
    except DialerError as error:
        fail(str(error))
    if not settings.agents:
        fail("no agent is configured: add a section [agents.NAME] to the settings; see config.example.toml")
    configure(settings.log.level, settings.log.format, once=True)

    async def serve() -> None:
        daemon = Daemon(settings, accept_restore=accept_restore, reread=lambda: load(config))
        daemon.handle_signals()
        await daemon.run()

    try:
        with telling(settings.telemetry):
            garbage.settle()
            uvloop.run(serve())
    except DialerError as error:
        fail(str(error))
    except OSError as error:
        fail(_why(error, settings))


def _why(error: OSError, settings: Settings) -> str:
    """What keeps the daemon from starting, and the mend."""
    door = f"the webhook door cannot be opened at {settings.webhook.host}:{settings.webhook.port}"
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{door}: another program has the port; stop it, or set webhook.port"
        case errno.EADDRNOTAVAIL:
            return f"{door}: this machine has no such address; set webhook.host"
        case errno.EACCES:
            return f"{door}: ports below 1024 are not for everyone; set webhook.port"
        case _ if isinstance(error, socket.gaierror):
            return f"{door}: no such host; set webhook.host"
        case _:
            return f"{type(error).__name__}: {error}"


def migrate(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    dump: Annotated[bool, typer.Option("--dump", help="Print the schema that the migrations make.")] = False,
) -> None:
    """Bring the database to this program's schema; say where it stands."""

    async def work() -> None:
        folder = shipped.folder("sql") / "migrations"
        async with database(load(config)) as dsn:
            conn = await connect(dsn, application_name="dialer migrate")
            try:
                done = {migration.version for migration in await migrations.migrate(conn, folder)}
                steps = await migrations.status(conn, folder)
            finally:
                await conn.close()
        rows = [
            {
                "version": step.migration.version,
                "file": step.migration.file,
                "new": step.migration.version in done,
            }
            for step in steps
        ]
        if as_json:
            sys.stdout.write(json.dumps(rows, indent=2) + "\n")
            return
        for row in rows:
            stderr.print(f"{row['file']}  {'applied now' if row['new'] else 'applied'}", highlight=False)

    if dump:
        sys.stdout.write(run(generate(shipped.folder("sql") / "migrations")))
        return
    run(work())
