"""README.md and the demo name only what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from dialer.cli import program
from dialer.cli.demo.command import EXPLORE

app = program()

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
COMMANDS = sorted(
    {
        *re.findall(r"`dialer ([^`\n]+)`", TEXT),
        *(line.split(" #")[0].strip() for line in re.findall(r"^dialer (.+)$", BLOCKS, re.MULTILINE)),
        *EXPLORE,
    }
)
TARGETS = sorted(set(re.findall(r"\bmake ([a-z]+)", TEXT)))


def test_it_is_no_longer_than_a_reader_bears() -> None:
    assert len(TEXT.splitlines()) <= 120


def test_commands_are_found_in_it() -> None:
    assert len(COMMANDS) > 15
    assert {"demo", "test", "install"} <= set(TARGETS)


@pytest.mark.parametrize("said", COMMANDS)
def test_each_command_exists_and_takes_these_options(said: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in said.split():
        if hasattr(command, "commands"):
            assert word in command.commands, f"dialer has no command {said!r}"
            command = command.commands[word]
        elif word.startswith("--"):
            assert word in {option for param in command.params for option in param.opts}, word
    assert not hasattr(command, "commands"), f"{said!r} is no whole command"


@pytest.mark.parametrize("target", TARGETS)
def test_each_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_file_of_the_map_exists() -> None:
    map_ = TEXT.split("## The map")[1]
    named = re.findall(r"\b[a-z_.]+\.(?:py|toml|md|sql)\b|\b[a-z_]+/|\bDockerfile\b", map_)
    assert len(named) > 20
    for name in named:
        assert any(
            list((ROOT / top).glob(name.strip("/")))
            for top in (".", "dialer", "docs", "sql", "campaigns", "tests")
        ), name
