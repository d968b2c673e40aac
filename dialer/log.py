"""Structured lines on stderr; those of the daemon are written by a thread, so that a full pipe never blocks the loop.

The same five keys everywhere: campaign, contact, attempt, state, reason. What looks like a phone number is masked in
every finished line, whoever wrote it, exceptions too; keys and secrets are never given to the log, and a traceback
shows no variables, for they would hold both.
"""

import atexit
import json
import logging
import os
import queue
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

WAITING: Final = 10_000
"""Lines that may wait for the pipe; further ones are dropped and counted: the log is poorer, but the calls go on."""

LINGER: Final = 0.01
"""Seconds that a line waits for others: a thread that wakes for each costs a call as much as what it writes."""

LAST_WORDS: Final = 2.0
"""Seconds at the end of the process in which waiting lines may still be written."""

_LOGGERS: Final = structlog.stdlib.LoggerFactory(ignore_frame_names=["dialer.log"])

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
    handler: Written = Stderr()
    if threaded:
        with suppress(OSError, ValueError):  # a stderr without a descriptor is no pipe either
            handler = Background(sys.stderr.fileno())
    handler.setFormatter(formatter(form))
    structlog.configure(
        processors=[*_shared(), Ordinary(form)],
        logger_factory=lambda *names: Lines(_LOGGERS(*names), handler.write),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=once,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("apscheduler", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # While Postgres is away its pool writes tracebacks several times a second; our own lines say so once.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)


def formatter(form: Form) -> logging.Formatter:
    """One record as one masked line; in text, a traceback follows it."""
    return Masked(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(form)],
    )


class Ordinary:
    """The last processor: what is ordinary becomes a line here; from a warning on it takes the way of the libraries.

    Through ``logging`` a line costs three times as much, two lines a fifth of what a call costs. Who listens there, as
    Sentry does, listens for what went wrong.
    """

    def __init__(self, form: Form) -> None:
        self._last = _last(form)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> Any:
        if name not in ("debug", "info"):
            return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, name, event)
        said: Any = event
        words = event.get("event")
        try:
            for processor in self._last:
                said = processor(logger, name, said)
            return masked(str(said))
        except Exception as error:  # a line that cannot be written is not worth a call
            return masked(f"{name}: {words} ({type(error).__name__} in this line)")


class Lines:
    """What structlog writes through, a method a level: an ordinary line is finished, the others are events."""

    def __init__(self, logger: logging.Logger, write: Callable[[str], None]) -> None:
        self.debug = self.info = write
        self.warning, self.error, self.critical = logger.warning, logger.error, logger.critical


class Masked(structlog.stdlib.ProcessorFormatter):
    """Masks the finished text, so that nothing inside an event is overlooked."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return masked(super().format(record))
        except Exception as error:  # a line that cannot be written is not worth a call
            return masked(
                f"{record.levelname} {record.name}: {record.msg} ({type(error).__name__} in this line)"
            )


class Written(logging.Handler):
    """A record, as it is formatted, is a line to be written."""

    def emit(self, record: logging.LogRecord) -> None:
        self.write(self.format(record))

    def write(self, line: str) -> None:
        """Write a finished line."""
        raise NotImplementedError


class Stderr(Written):
    """Writes to what ``sys.stderr`` is at that moment."""

    def write(self, line: str) -> None:
        """Write a line."""
        with suppress(OSError, ValueError):  # nobody reads it any more
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


class Background(Written):
    """Formats at once, for what an event holds may change, and lets a thread write to the descriptor.

    Not through ``sys.stderr``: a thread that waits in its buffer when the process ends would make Python abort.
    """

    def __init__(self, descriptor: int, waiting: int = WAITING) -> None:
        super().__init__()
        self._descriptor = os.dup(descriptor)
        self._waiting = waiting
        self._lines: queue.SimpleQueue[str | Event | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def write(self, line: str) -> None:
        """Let the thread write a line, or count it as lost."""
        if self._lines.qsize() >= self._waiting:
            self._lost += 1
            return
        self._tell_loss()
        self._lines.put(line)

    def flush(self) -> None:
        """Return when what came before is written, or nobody reads it for ``LAST_WORDS`` seconds."""
        if self._thread.is_alive():
            written = Event()
            self._lines.put(written)
            written.wait(LAST_WORDS)

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
                for rest in _together(line for line in lines if isinstance(line, str)):
                    self._put(rest)
                for waiting in lines:
                    if isinstance(waiting, Event):
                        waiting.set()
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


def _last(form: Form) -> list[Processor]:
    """What makes a line of an event."""
    if form == "text" or (form == "auto" and sys.stderr.isatty()):
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    encode = json.JSONEncoder(default=str).encode
    return [structlog.processors.format_exc_info, lambda _logger, _name, event: encode(event)]


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
