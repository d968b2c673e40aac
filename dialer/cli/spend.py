"""``dialer spend``: what each campaign spent, from the ledger."""

from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, campaign_named, opened, print_json, run, stdout
from dialer.database.store import ledger

SUSPENSE = "(suspense)"
"""The account of authentic reports that belong to no attempt of ours."""


def each(spent: Decimal, times: int) -> Decimal | None:
    """What one of them cost, in credits; None: there is none."""
    return (spent / times).quantize(Decimal("0.0001")) if times else None


def spend(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    campaign: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
) -> None:
    """Credits spent, reserved and budgeted, by campaign, and what is in suspense.

    Contingent is what calls may have cost whose report never came.
    """

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            if campaign is not None:
                await campaign_named(conn, campaign)
            accounts = await ledger.accounts(conn, session.clock.now(), campaign)
            credits_, reports = await ledger.suspense(conn)
        rows: list[dict[str, Any]] = [
            {
                "campaign": account.campaign,
                "spent": account.spent,
                "reserved": account.reserved,
                "unreported": account.unreported,
                "contingent": account.contingent,
                "budget": account.budget,
                "today": account.today,
                "budget_per_day": account.budget_per_day,
                "attempts": account.attempts,
                "answered": account.answered,
                "successes": account.successes,
                "per_answered": each(account.spent, account.answered),
                "per_success": each(account.spent, account.successes),
                "held": account.held,
                "held_until": account.held_until,
            }
            for account in accounts
        ]
        if campaign is None:
            rows.append(
                {
                    "campaign": SUSPENSE,
                    "spent": credits_,
                    "reserved": Decimal(0),
                    "unreported": 0,
                    "contingent": Decimal(0),
                    "budget": None,
                    "today": None,
                    "budget_per_day": None,
                    "attempts": reports,
                    "answered": 0,
                    "successes": 0,
                    "per_answered": None,
                    "per_success": None,
                    "held": "",
                    "held_until": None,
                }
            )
        return rows

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    table = Table(
        "campaign",
        "spent",
        "reserved",
        "contingent",
        "budget",
        "attempts",
        "answered",
        "successes",
        "per answered",
        "per success",
    )
    for row in rows:
        budget = "" if row["budget"] is None else f"{row['budget']:f}"
        numbers = (
            f"{row['spent']:f}", f"{row['reserved']:f}", f"{row['contingent']:f}", budget,
            row["attempts"], row["answered"], row["successes"],
            *("" if row[key] is None else f"{row[key]:f}" for key in ("per_answered", "per_success")),
        )  # fmt: skip
        table.add_row(row["campaign"], *(str(number) for number in numbers))
    stdout.print(table)
