"""Who runs the server: Postgres refuses to run as root, so root drops to an ordinary account.

An existing database decides: its owner runs it.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from dialer.domain.errors import DatabaseError

CANDIDATES = ("dialer", "nobody")


class Drop(TypedDict, total=False):
    """The arguments of Popen that change the account; empty when it need not change."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group id."""

    uid: int
    gid: int

    @property
    def drop(self) -> Drop:
        """What Popen needs to become this account."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path`, which must be new and ours, to this account."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, path: Path) -> bool:
        """Whether this account may enter the folder `path`, by the mode bits of it and of all above it.

        Access lists are not read: a folder opened by one counts as closed, which only costs a detour.
        """
        return all(self._enters(folder.stat()) for folder in (path, *path.parents))

    def _enters(self, folder: os.stat_result) -> bool:
        if self.uid == 0:
            return True
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & 0o100)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & 0o010)
        return bool(folder.st_mode & 0o001)


def choose(data: Path) -> Account:
    """The account for the database in `data`, which need not exist yet.

    Raises DatabaseError when the data belongs to someone this process cannot become.
    """
    me = os.geteuid()
    try:
        owner = data.stat()
    except FileNotFoundError:
        return _candidate() if me == 0 else Account(me, os.getegid())
    if owner.st_uid == 0 or me not in (0, owner.st_uid):
        raise DatabaseError(
            f"{data} belongs to uid {owner.st_uid}, and this process runs as uid {me}: "
            f"run the dialer as the user that owns it, or chown it to an ordinary user"
        )
    return Account(owner.st_uid, owner.st_gid)


def check_known(account: Account) -> None:
    """Raises DatabaseError for a uid without a passwd entry, which initdb does not accept."""
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise DatabaseError(
            f"uid {account.uid} has no entry in /etc/passwd, which the embedded Postgres needs: "
            "run the dialer as a named user, or set database.url to a Postgres of your own"
        ) from None


def _candidate() -> Account:
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise DatabaseError(
        "Postgres does not run as root, and there is neither a user dialer nor nobody: "
        "make one (useradd --system dialer), run the dialer as an ordinary user, or set database.url"
    )
