"""Where the embedded server lives.

    <state_dir>/postgres/      or, as root with a state folder the server's account cannot enter,
                               a link to <fallback>/<digest of the state folder's path>/
        data/                  the database
        run/                   its socket, or a short folder in /tmp when the path would be too long for one
        server.log             what the server said; server.log.1 before that
        gate.lock              held while the server is started or stopped
        users.lock             held in common by every process that uses the server
        binaries-<version>/    a copy of the programs, when the account cannot reach the installed ones

The link is the truth once it is there: opening or closing the state folder later never leads to another,
empty database.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import structlog

from dialer.database.embedded.account import Account, choose
from dialer.domain.errors import DatabaseError

FALLBACK = Path("/var/lib/dialer")
PORT = 5432
NAME = "dialer"

# sun_path holds 108 bytes on Linux and 104 on macOS.
SOCKET_LIMIT = 100
PLAIN = re.compile(r"[A-Za-z0-9._/+-]+")

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one server and the account it runs as."""

    home: Path
    run: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def gate(self) -> Path:
        return self.home / "gate.lock"

    @property
    def users(self) -> Path:
        return self.home / "users.lock"

    def dsn(self, database: str = NAME) -> str:
        """The address of `database` for asyncpg and libpq; leaves nothing to the PG… variables."""
        return f"postgresql://{NAME}@/{quote(database, safe='')}?host={self.run}&port={PORT}"


def settle(state_dir: Path, fallback: Path = FALLBACK) -> Place:
    """Find or make the folders for the server of `state_dir`.

    Raises DatabaseError when they cannot be made, or belong to someone else, or the database is gone.
    """
    try:
        home, account = _home(state_dir, fallback)
        return Place(home, _run(home, account), account)
    except OSError as error:
        raise DatabaseError(
            f"the embedded Postgres cannot use {state_dir}: {error}; "
            "set state_dir to a folder this user may write to, or set database.url"
        ) from error


def _home(state_dir: Path, fallback: Path) -> tuple[Path, Account]:
    root = os.geteuid() == 0
    state_dir.parent.mkdir(parents=True, exist_ok=True)
    _make(state_dir, 0o711 if root else 0o700)
    state_dir = state_dir.resolve()
    link = state_dir / "postgres"
    account = choose(link / "data")
    if not link.is_symlink():
        if account.reaches(state_dir):
            _make(link, 0o711 if root else 0o700)
            return link, account
        _link(link, fallback / hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12], account)
    if not link.exists():
        raise DatabaseError(
            f"{link} points to {link.readlink()}, which is gone, and the database with it: "
            f"bring it back, or remove the link to begin with an empty database"
        )
    return link.resolve(), account


def _link(link: Path, home: Path, account: Account) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    if not account.reaches(home.parent.resolve()):
        raise DatabaseError(
            f"the server runs as uid {account.uid}, which may enter neither {link.parent} nor {home.parent}: "
            f"chmod o+x the folders on the way, set another state_dir, or run the dialer as an ordinary user"
        )
    _make(home, 0o711)
    try:
        link.symlink_to(home)
    except FileExistsError:
        return
    log.warning(
        "embedded_postgres_elsewhere",
        path=str(home),
        reason=f"uid {account.uid}, which runs the server, may not enter {link.parent}",
    )


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir():
            return
        raise
    folder.chmod(mode)


def _run(home: Path, account: Account) -> Path:
    run = home / "run"
    # asyncpg and Postgres both read a comma as a second host.
    plain = PLAIN.fullmatch(str(run))
    if not plain or len(os.fsencode(run / f".s.PGSQL.{PORT}")) > SOCKET_LIMIT:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        # Not TMPDIR: every process that uses the server must come to the same path.
        run = Path("/tmp") / f"dialer-{digest}"  # noqa: S108 (the owner and the mode are checked below)
    try:
        run.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        account.own(run)
    found = run.lstat()
    # In /tmp anyone may have made it first; a process killed before it gave the folder away left it to root.
    if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 == os.geteuid():
        account.own(run)
        found = run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
        raise DatabaseError(
            f"{run}, the folder for the socket, is not a folder of mode 0700 of uid {account.uid}: "
            f"remove it, or set state_dir to a shorter path"
        )
    return run
