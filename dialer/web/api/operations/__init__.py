"""All operations, in the order in which they are documented."""

from typing import Final

from dialer.web.api.operation import Operation
from dialer.web.api.operations import (
    agents,
    calls,
    campaigns,
    contacts,
    definitions,
    events,
    imports,
    overview,
    persons,
    reports,
    suppressions,
    tokens,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *overview.OPERATIONS,
    *campaigns.OPERATIONS,
    *definitions.OPERATIONS,
    *imports.OPERATIONS,
    *contacts.OPERATIONS,
    *calls.OPERATIONS,
    *reports.OPERATIONS,
    *suppressions.OPERATIONS,
    *persons.OPERATIONS,
    *agents.OPERATIONS,
    *events.OPERATIONS,
    *tokens.OPERATIONS,
)
