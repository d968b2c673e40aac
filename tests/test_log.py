"""What `dialer` writes about itself: one form, no phone number, no secret, and never a wait for the reader."""

import ast
import asyncio
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from dialer.log import Background, configure, formatter, masked

NUMBER = "+14155552671"
F_SETPIPE_SZ = 1031


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def drained(descriptor: int) -> list[str]:
    with open(descriptor) as lines:
        return lines.read().splitlines()


def exists(number: str) -> None:
    raise ValueError(f"key (phone)=({number}) exists") from RuntimeError(number)


@pytest.fixture(params=["json", "text"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_masking_keeps_the_last_two_digits_and_leaves_other_numbers_alone() -> None:
    assert masked(f"calls {NUMBER}, then +4930123456.") == "calls +…71, then +…56."
    assert (
        masked("2026-06-01T12:00:00+00:00 at 12345678 +1234") == "2026-06-01T12:00:00+00:00 at 12345678 +1234"
    )


def test_a_number_is_masked_wherever_it_stands(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Person:
        phone: str

    configure("info", form, threaded=False)
    log = structlog.get_logger()
    log.info(f"to {NUMBER}", reason=NUMBER, nested={"phones": [NUMBER], NUMBER: 1}, person=Person(NUMBER))
    try:
        exists(NUMBER)
    except ValueError:
        log.exception("failed", contact=7)
        logging.getLogger("some.library").exception("library failed for %s", NUMBER)
    logging.getLogger("some.library").warning("%s and %r", NUMBER, {"to": NUMBER}, stack_info=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("+…71") >= 12
    assert NUMBER[:-2] not in said.err
    assert "ValueError: key (phone)" in said.err
    assert "RuntimeError" in said.err


def test_a_traceback_shows_no_variables(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", form, threaded=False)

    def call(api_key: str) -> None:
        raise OSError("refused")

    key = "-".join(("ck", "live", "hidden"))
    try:
        call(key)
    except OSError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("task failed")
    said = capsys.readouterr().err
    assert said.count("OSError: refused") == 2
    assert key not in said


def test_lines_are_json_where_no_terminal_reads_them(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "auto", threaded=False)
    structlog.get_logger().bind(agent="sales").info("dialled", state="placed", at=object)
    logging.getLogger("some.library").warning("odd")
    logging.getLogger("some.library").info("fine")
    structlog.get_logger().debug("not at this level")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "dialled"),
        ("warning", "odd"),
        ("info", "fine"),
    ]
    assert (lines[0]["agent"], lines[0]["state"]) == ("sales", "placed")
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_line_that_cannot_be_formatted_is_said_all_the_same(
    form: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", form, threaded=False)
    logging.getLogger("some.library").warning(f"%d calls of {NUMBER}", "no number")
    said = capsys.readouterr().err
    assert "WARNING some.library: %d calls of +…71 (TypeError in this line)" in said

    class Unsayable:
        def __repr__(self) -> str:
            raise LookupError

    structlog.get_logger().info(f"to {NUMBER}", at=Unsayable())
    assert "info: to +…71 (LookupError in this line)" in capsys.readouterr().err


@pytest.mark.parametrize("once", [True, False])
def test_only_a_process_that_configures_once_keeps_its_loggers(once: bool) -> None:
    log = structlog.get_logger()
    configure("info", "json", once=once)
    log.info("before")
    configure("info", "json", once=once)
    with structlog.testing.capture_logs() as lines:
        log.info("after")
    assert len(lines) == (0 if once else 1)


def test_text_is_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text", threaded=False)
    structlog.get_logger().info("dialled", state="placed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "dialled" in line
    assert "state=placed" in line


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_nobody_reads_blocks_nothing_and_what_is_lost_is_counted(blocking: bool) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, blocking)
    handler = Background(writer, waiting=100)
    handler.setFormatter(formatter("json"))
    log = logging.Logger("pipe")
    log.addHandler(handler)
    for number in range(1300):
        log.warning("line %d", number)
    # Every line above came back though nobody had read a byte; now somebody does, to the end.
    os.close(writer)
    with ThreadPoolExecutor(1) as reading:
        lines = reading.submit(drained, reader)
        handler.stop()
        events = [json.loads(line)["event"] for line in lines.result(10)]
    assert events[:100] == [f"line {number}" for number in range(100)]
    losses = [int(event.removesuffix(" lines lost")) for event in events if event.endswith(" lines lost")]
    assert sum(losses) > 500
    assert len(events) - len(losses) + sum(losses) == 1300


async def test_a_process_whose_log_nobody_reads_still_ends_cleanly() -> None:
    program = (
        "import logging, sys\n"
        "from dialer.log import configure\n"
        "configure('info', 'json')\n"
        "for n in range(2_000): logging.getLogger('x').info('line %d', n)\n"
        "print('done', flush=True)\n"
        "sys.stdin.read()\n"
    )
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"done\n"
            await process.communicate(b"")
        assert process.returncode == 0, "neither a hang nor an abort"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        os.close(reader)


async def test_a_reader_that_goes_away_ends_nothing() -> None:
    program = (
        "import logging\n"
        "from dialer.log import configure\n"
        "configure('info', 'json')\n"
        "print('up', flush=True)\n"
        "input()\n"
        "for n in range(1000): logging.getLogger('x').info('line %d', n)\n"
    )
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    async with asyncio.timeout(30):
        assert process.stdout is not None
        await process.stdout.readline()
        os.close(reader)
        await process.communicate(b"\n")
    assert process.returncode == 0


def test_every_line_speaks_of_the_same_things_by_the_same_five_keys() -> None:
    """campaign, contact, attempt, state, reason; what else a line tells has a name of its own."""
    others = {
        "campaign_id",
        "contact_id",
        "attempt_id",
        "error",
        "why",
        "detail",
        "status_text",
        "id",
        "status",
    }
    spoken: set[str] = set()
    for path in Path("dialer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
                keys = {keyword.arg or "" for keyword in node.keywords}
                assert "reason" in keys or not keys & others, f"{path}:{node.lineno}"
                assert not keys & (others - {"error", "status"}), f"{path}:{node.lineno}"
                spoken |= keys
    assert {"campaign", "contact", "attempt", "state", "reason"} <= spoken
