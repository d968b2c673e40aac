"""The server as a process: started, adopted, watched, started again, and stopped by its last user.

- Starting and stopping happen with the gate held, so there is never a second server nor a second initdb.
- It is a child in a session of its own: Ctrl-C does not reach it, and it survives our being killed.
- Whoever finds it dead starts it again, whether it was its child or not.
"""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import asyncpg
import structlog

from dialer.database.embedded import binaries as programs
from dialer.database.embedded import cluster, journal, lock
from dialer.database.embedded.binaries import Binaries
from dialer.database.embedded.place import FALLBACK, NAME, PORT, Place, settle
from dialer.domain.errors import DatabaseError

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
    "log_destination": "stderr",
    # The log names no phone: an error's detail and its statement can.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}

# Raised by a server that is up but will not have us now; every other error of the server's is an answer.
NOT_YET = (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, OSError, TimeoutError)

log = structlog.stdlib.get_logger()


class Embedded:
    """The embedded Postgres of one state folder, shared with every other process that uses the folder.

        async with Embedded(state_dir) as dsn: ...

    `settings` are Postgres settings for a server that this process starts (`{"fsync": "off"}` in tests).
    `patience` is how many seconds a start may take; recovery after a crash can be long.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        binaries: Binaries | None = None,
        fallback: Path = FALLBACK,
        patience: float = 300.0,
    ) -> None:
        self._state_dir = state_dir.expanduser()
        self._settings = {**SETTINGS, **(settings or {})}
        self._binaries = binaries
        self._fallback = fallback
        self._patience = patience
        self._place: Place | None = None
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def place(self) -> Place:
        """Where the server lives; known once it was started."""
        if self._place is None:
            raise RuntimeError("the embedded Postgres was not started")
        return self._place

    async def start(self) -> str:
        """Start the server or join the one that runs, keep watch over it, and give its address for asyncpg.

        Raises DatabaseError, naming the mend, when there can be no server here.
        """
        if self._users is not None:
            return self.place.dsn()
        place = self._place = settle(self._state_dir, self._fallback)
        async with lock.held(place.gate, self._patience) as gate:
            self._users = lock.share(place.users)
            try:
                await self._bring_up(place, gate)
            except BaseException:
                await asyncio.shield(self._leave(place, adopted=False))
                raise
        self._watcher = asyncio.create_task(self._watch(place), name="embedded-postgres")
        return place.dsn()

    async def stop(self) -> None:
        """Leave the server; the last of its users shuts it down, and every transaction still open with it."""
        if self._users is None:
            return
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        async with lock.held(self.place.gate, self._patience):
            await self._leave(self.place, adopted=True)

    async def _bring_up(self, place: Place, gate: int) -> None:
        binaries = programs.within_reach(self._binaries or programs.find(), place.account, place.home)
        sync = self._settings.get("fsync") != "off"
        deadline = asyncio.get_running_loop().time() + self._patience
        launches = 0
        seen = 0
        pause = 0.01
        while True:
            left = deadline - asyncio.get_running_loop().time()
            trouble = await _knock(place, timeout=min(max(left, 0.1), 10.0))
            if trouble is None:
                return
            said = journal.tail(place.log, seen)
            if left <= 0:
                raise DatabaseError(
                    f"the embedded Postgres does not answer within {self._patience:.0f} s "
                    f"({trouble}); its last words: {cluster.last_words(said)}; see {place.log}"
                )
            if self._process is not None and self._process.poll() is not None:
                self._process = None
                # Sessions of a killed server may take a moment to notice; Postgres does not start before.
                if launches >= 3 and "pre-existing shared memory block" not in said:
                    raise DatabaseError(
                        f"the embedded Postgres does not start: {cluster.last_words(said)}"
                        f"{cluster.mend(said)}; see {place.log}"
                    )
                pause = min(0.1 * 2**launches, 2.0)
            elif self._process is None:
                holder = cluster.postmaster(place)
                if holder is None or not holder.alive:
                    await cluster.ensure(place, binaries, gate, sync=sync)
                    # Its number, too, may be that of another process by now; nobody else uses this folder.
                    (place.run / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
                    seen = journal.rotate(place.log)
                    self._process = self._launch(place, binaries, stale=holder.pid if holder else None)
                    launches += 1
                    pause = 0.01
            await asyncio.sleep(pause)

    def _launch(self, place: Place, binaries: Binaries, *, stale: int | None) -> subprocess.Popen[bytes]:
        settings = {**self._settings, "unix_socket_directories": str(place.run), "port": str(PORT)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        environment = dict(cluster.ENVIRONMENT)
        if stale is not None:
            # The number in postmaster.pid is no server of ours, yet it may be some living process's. This is
            # how pg_ctl tells Postgres to pass over a number; it still looks for sessions left behind.
            environment["PG_GRANDPARENT_PID"] = str(stale)
        with journal.append(place.log) as output:
            try:
                process = subprocess.Popen(  # noqa: S603 (our own binaries, no shell)
                    [binaries.bin / "postgres", "-D", place.data, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=place.home,
                    env=environment,
                    start_new_session=True,
                    **place.account.drop,
                )
            except OSError as error:
                raise DatabaseError(
                    f"the embedded Postgres cannot be run: {error.strerror}{cluster.mend(str(error))}"
                ) from error
        # A dead child that nobody reaps looks alive to the next server, and to other processes that share it.
        threading.Thread(target=process.wait, name="embedded-postgres", daemon=True).start()
        return process

    async def _watch(self, place: Place) -> None:
        """Hold a session open; when it ends, look, and start the server again if it is gone."""
        pause = 0.1
        while True:
            try:
                session = await asyncpg.connect(place.dsn(), timeout=10)
            except NOT_YET as error:
                log.error("embedded_postgres_lost", reason=_reason(error))  # noqa: TRY400
                try:
                    async with lock.held(place.gate, self._patience) as gate:
                        await self._bring_up(place, gate)
                except (DatabaseError, OSError) as failure:
                    reason = str(failure)
                    log.error("embedded_postgres_not_restarted", reason=reason, again_in=pause)  # noqa: TRY400
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10.0)
                else:
                    log.warning("embedded_postgres_back")
            except asyncpg.PostgresError as error:
                log.warning("embedded_postgres_unwatched", reason=_reason(error))
                await asyncio.sleep(5)
            else:
                pause = 0.1
                await _until_lost(session, place)

    async def _leave(self, place: Place, *, adopted: bool) -> None:
        """Let go of the server, and shut it down when nobody uses it; one that we only found, if `adopted`."""
        users, self._users = self._users, None
        process, self._process = self._process, None
        if users is None:
            return
        try:
            if lock.alone(users) and (adopted or process is not None):
                await self._shut_down(place, process)
        finally:
            os.close(users)

    async def _shut_down(self, place: Place, process: subprocess.Popen[bytes] | None) -> None:
        holder = cluster.postmaster(place)
        if process is not None and process.poll() is None:
            for sign, seconds in ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
                process.send_signal(sign)
                if await _ended(process, seconds):
                    return
                log.error("embedded_postgres_slow_to_stop", signal=sign.name, seconds=seconds)
        elif holder is not None and holder.alive:
            binaries = programs.within_reach(self._binaries or programs.find(), place.account, place.home)
            # As the server's account: a number in a file that it may write is not to be signalled by root.
            try:
                await cluster.run(
                    place, [binaries.bin / "pg_ctl", "stop", "-D", place.data, "-m", "fast", "-w", "-t", "60"]
                )
            except DatabaseError as error:
                log.error("embedded_postgres_not_stopped", reason=str(error))  # noqa: TRY400


async def _knock(place: Place, *, timeout: float) -> str | None:
    """None when the server answers and has our database, made here if need be; else why not."""
    try:
        try:
            session = await asyncpg.connect(place.dsn(), timeout=timeout)
        except asyncpg.InvalidCatalogNameError:
            session = await asyncpg.connect(place.dsn("postgres"), timeout=10)
            try:
                await session.execute(f"create database {NAME}")
            finally:
                session.terminate()
        else:
            session.terminate()
    except NOT_YET as error:
        return _reason(error)
    return None


async def _until_lost(session: asyncpg.Connection, place: Place) -> None:
    lost = asyncio.Event()
    session.add_termination_listener(lambda _: lost.set())
    try:
        while not session.is_closed() and not lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), 60)
            journal.rotate(place.log)
    finally:
        session.terminate()


async def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while process.poll() is None:  # noqa: ASYNC110 (no event: a thread of Popen's own reaps it)
                await asyncio.sleep(0.005)
            return True
    return False


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
