"""Structured lines on stderr; those of the daemon are written by a thread, so that a full pipe never blocks the loop.

The same five keys everywhere: campaign, contact, attempt, state, reason. What looks like a phone number is masked in
every finished line, whoever wrote it, exceptions too; keys and secrets are never given to the log, and a traceback
shows no variables, for they would hold both.
"""

import atexit
import logging
import os
import queue
import re
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from threading import Thread
from typing import Final, Literal

import structlog
from structlog.types import Processor

WAITING: Final = 10_000
"""Lines that may wait for the pipe; further ones are dropped and counted: the log is poorer, but the calls go on."""

LINGER: Final = 0.01
"""Seconds that a line waits for others: a thread that wakes for each costs a call as much as what it writes."""

LAST_WORDS: Final = 2.0
"""Seconds at the end of the process in which waiting lines may still be written."""

_PHONE: Final = re.compile(r"\+\d{5,13}(?=\d{2})")

Form = Literal["auto", "json", "text"]


def masked(text: str) -> str:
    """Phone numbers with all but their last two digits hidden."""
    return _PHONE.sub("+…", text)


def configure(level: str, form: Form, *, threaded: bool = True, once: bool = False) -> None:
    """Send structlog and the libraries' own logging through one format.

    ``threaded``: never wait for the reader. ``once``: this process configures no other way later; a logger made anew
    for each line costs a thirtieth of a call, level or no level.
    """
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=once,
    )
    handler: logging.Handler = Stderr()
    if threaded:
        with suppress(OSError, ValueError):  # a stderr without a descriptor is no pipe either
            handler = Background(sys.stderr.fileno())
    handler.setFormatter(formatter(form))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("apscheduler", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # While Postgres is away its pool writes tracebacks several times a second; our own lines say so once.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)


def formatter(form: Form) -> logging.Formatter:
    """One record as one masked line; in text, a traceback follows it."""
    if form == "text" or (form == "auto" and sys.stderr.isatty()):
        last: list[Processor] = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return Masked(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


class Masked(structlog.stdlib.ProcessorFormatter):
    """Masks the finished text, so that nothing inside an event is overlooked."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return masked(super().format(record))
        except Exception as error:  # a line that cannot be written is not worth a call
            return masked(
                f"{record.levelname} {record.name}: {record.msg} ({type(error).__name__} in this line)"
            )


class Stderr(logging.Handler):
    """Writes to what ``sys.stderr`` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class Background(logging.Handler):
    """Formats at once, for what an event holds may change, and lets a thread write to the descriptor.

    Not through ``sys.stderr``: a thread that waits in its buffer when the process ends would make Python abort.
    """

    def __init__(self, descriptor: int, waiting: int = WAITING) -> None:
        super().__init__()
        self._descriptor = os.dup(descriptor)
        self._waiting = waiting
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= self._waiting:
            self._lost += 1
            return
        self._tell_loss()
        self._lines.put(self.format(record))

    def stop(self) -> None:
        """Write what waits, for at most ``LAST_WORDS`` seconds."""
        self._tell_loss()
        self._lines.put(None)
        self._thread.join(LAST_WORDS)

    def _tell_loss(self) -> None:
        if self._lost:
            said = ("dialer.log", logging.WARNING, "", 0, "%d lines lost", (self._lost,), None)
            self._lines.put(self.format(logging.LogRecord(*said)))
            self._lost = 0

    def _write(self) -> None:
        with suppress(OSError):  # the reader went away: that is its right
            ending = False
            while not ending:
                lines = [self._lines.get()]
                select.select([], [], [], LINGER)  # faketime never lets sleep end
                lines += [self._lines.get() for _ in range(self._lines.qsize())]
                ending = None in lines
                for rest in _together(line for line in lines if line is not None):
                    self._put(rest)
        os.close(self._descriptor)

    def _put(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])


def _together(lines: Iterable[str]) -> Iterator[bytes]:
    """Whole lines in as few writes as a pipe takes in one piece, for other processes may write into it too."""
    text = b""
    for line in lines:
        encoded = (line + "\n").encode(errors="backslashreplace")
        if text and len(text) + len(encoded) > select.PIPE_BUF:
            yield text
            text = b""
        text += encoded
    if text:
        yield text


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
