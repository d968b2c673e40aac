"""``dialer audit``: what must always be so, looked at now.

Exit code 0: no fault. 1: at least one. 2: it could not look.
"""

from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stdout
from dialer.domain.errors import DatabaseError
from dialer.engine.audit import LIMIT, WHOLE_LIMIT, Finding, look


def audit(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    most: Annotated[int, typer.Option(min=1, help="Faults of one invariant that are shown.")] = 20,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read all rows, not the latest: as long as the tables are large.")
    ] = False,
) -> None:
    """Look for contradictions in the database; safe and fast while daemons run."""
    limit = WHOLE_LIMIT if whole else LIMIT

    async def work() -> list[Finding]:
        async with opened(config) as session:
            try:
                return await look(session.pool, session.clock.now(), most=most, whole=whole, limit=limit)
            except asyncpg.QueryCanceledError as error:
                raise DatabaseError(
                    f"a look lasted longer than {limit:.0f} s: try again when it is calmer"
                ) from error

    findings = run(work())
    if as_json:
        print_json(
            [
                {
                    "invariant": finding.invariant,
                    "meaning": finding.meaning,
                    "faults": [{"what": fault.what, "why": fault.why} for fault in finding.faults],
                    "seconds": finding.seconds,
                }
                for finding in findings
            ]
        )
    else:
        table = Table("", "meaning", "faults", "seconds")
        for finding in findings:
            number = len(finding.faults)
            said = f"{number} or more" if number == most else str(number)
            table.add_row(
                finding.invariant,
                finding.meaning,
                said,
                f"{finding.seconds:.3f}",
                style="red" if number else None,
            )
        stdout.print(table)
        for finding in findings:
            for fault in finding.faults:
                stdout.print(f"{finding.invariant} {fault.what}: {fault.why}", markup=False, highlight=False)
    if any(finding.faults for finding in findings):
        raise typer.Exit(1)
