"""The command line: one module a command, each a thin reading of arguments over the parts below."""

import sys

import typer

from dialer import timezones
from dialer.cli import (
    agent,
    audit,
    call,
    campaign,
    console,
    contacts,
    doctor,
    events,
    export,
    inbox,
    outbox,
    person,
    report,
    review,
    rules,
    run,
    source,
    spend,
    suppress,
    token,
    top,
    trigger,
)
from dialer.cli.check import check
from dialer.cli.demo import demo
from dialer.cli.simulator import simulator
from dialer.log import configure

app = typer.Typer(
    help="A campaign dialer for the Calldock voice API.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def prepare() -> None:
    """A campaign dialer for the Calldock voice API."""
    # Else structlog would write on stdout, where the data goes.
    configure("warning", "text")


app.command()(demo)
app.command("run")(run.run_daemon)
app.command()(run.migrate)
app.command()(check)
app.command()(audit.audit)
app.command()(doctor.doctor)
app.command()(top.top)
app.add_typer(campaign.app, name="campaign")
app.add_typer(contacts.app, name="contacts")
app.add_typer(suppress.app, name="suppress")
app.add_typer(person.app, name="person")
app.add_typer(rules.app, name="rules")
app.add_typer(agent.app, name="agent")
app.add_typer(inbox.app, name="inbox")
app.add_typer(review.app, name="review")
app.add_typer(events.app, name="events")
app.add_typer(source.app, name="source")
app.add_typer(trigger.app, name="trigger")
app.add_typer(outbox.app, name="outbox")
app.add_typer(console.app, name="console")
app.add_typer(token.app, name="token")
app.command()(call.call)
app.command()(spend.spend)
app.command()(report.report)
app.add_typer(export.app, name="export")
app.command()(simulator)


def main() -> None:
    """The console script ``dialer``."""
    timezones.choose()
    try:
        app()
    except BrokenPipeError:
        # The reader of our output went away; that is its right.
        sys.stderr.close()
        sys.exit(0)
