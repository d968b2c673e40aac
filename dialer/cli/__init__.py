"""The command line: one module a command, each a thin reading of arguments over the parts below.

Only the module of the command that is asked for is loaded: all of them take a second, most of it for parts that the
command does not use.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer

from dialer import timezones
from dialer.log import configure

COMMANDS: Final = {
    "demo": "demo:demo", "run": "run:run_daemon", "migrate": "run:migrate", "check": "check:check",
    "audit": "audit:audit", "doctor": "doctor:doctor", "top": "top:top", "campaign": "campaign:app",
    "contacts": "contacts:app", "suppress": "suppress:app", "person": "person:app", "rules": "rules:app",
    "agent": "agent:app", "inbox": "inbox:app", "review": "review:app", "events": "events:app",
    "source": "source:app", "trigger": "trigger:app", "outbox": "outbox:app", "console": "console:app",
    "token": "token:app", "call": "call:call", "spend": "spend:spend", "report": "report:report",
    "export": "export:app", "simulator": "simulator:simulator",
}  # fmt: skip
"""Each command, its module here, and what of it is the command: a function, or an app of more commands."""


def say_version(asked: bool) -> None:
    """Say it, and end."""
    if asked:
        typer.echo(f"dialer {version('dialer')}")
        raise typer.Exit


def prepare(
    _: Annotated[
        bool,
        typer.Option("--version", help="Say which this is, and end.", is_eager=True, callback=say_version),
    ] = False,
) -> None:
    """A campaign dialer for the Calldock voice API."""
    # Else structlog would write on stdout, where the data goes.
    configure("warning", "text")


def program(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program with these commands."""
    made = typer.Typer(
        help="A campaign dialer for the Calldock voice API.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(prepare)
    for name in names:
        module, _, attribute = COMMANDS[name].partition(":")
        command: Any = getattr(import_module(f"dialer.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name)(command)
    return made


def main() -> None:
    """The console script ``dialer``."""
    timezones.choose()
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        # Help, completion and what is mistyped want to know all of them.
        known = [asked] if asked in COMMANDS else COMMANDS
        program([] if asked == "--version" else known)()
    except BrokenPipeError:
        # The reader of our output went away; that is its right.
        sys.stderr.close()
        sys.exit(0)
