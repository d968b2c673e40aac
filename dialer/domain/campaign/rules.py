"""Rule packs: what the law or custom of a place allows, as dated data; and which of them a campaign obeys.

A campaign keeps the packs that were in force when it was applied, so that each attempt's version says under which
rules it was made. They are one reading of the sources that they name, and no legal advice.
"""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints

from dialer.domain.campaign.fields import Day, Section
from dialer.domain.campaign.hours import Window
from dialer.domain.campaign.limits import Calls

Purpose = Literal["marketing", "survey", "service"]
ConsentKind = Literal["written", "express", "customer", "inquiry"]

CONSENTS: Final[tuple[ConsentKind, ...]] = get_args(ConsentKind)
"""In writing; given in words; an existing customer; asked about the offer."""

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
PackName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]


class PackCaps(Section):
    """Calls to one number within so many hours or days back from the call."""

    per_24_hours: Calls | None = None
    per_7_days: Calls | None = None
    per_30_days: Calls | None = None


class Pack(Section):
    """The rules of one place.

    ``regions`` are countries (``US``) or their parts (``US-FL``, ISO 3166-2). ``prefixes`` tell a part by the number
    where no column of the list says it. ``consent``: the kinds that do, for each purpose that needs one.
    """

    name: PackName
    title: Annotated[str, Field(min_length=1)]
    as_of: Day
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,9}$")], ...] = ()
    window: Window
    caps: PackCaps = PackCaps()
    consent: dict[Purpose, Annotated[tuple[ConsentKind, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )

    def holds_for(self, phone: str, region: str | None) -> bool:
        """Whether a number (E.164) of this region is under these rules: by its region or by its prefix.

        Where the list names one part of a country and the number another, the rules of both hold.
        """
        if region is not None and (region in self.regions or region[:2] in self.regions):
            return True
        return bool(self.prefixes) and phone.startswith(self.prefixes)


class Rules(Section):
    """Which packs hold: ``auto`` every one of the contact's region, a list only those, an empty list none.

    ``purpose`` is what the campaign calls for; without one no consent is asked for.
    """

    packs: Literal["auto"] | tuple[PackName, ...] = "auto"
    purpose: Purpose | None = None
