"""A campaign: its definition, as one file in ``campaigns/`` gives it, and its state.

Every key but ``name`` and ``agent`` has a default that rings nobody at a bad hour. An unknown key is refused.
``Campaign.model_validate(campaign.definition()) == campaign``: a stored definition, defaults included, means
for ever what it meant when it was applied.
Validation errors are plain sentences that say the mend; ``dialer.campaign_file`` adds file, line and key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, cast

from pydantic import Field

from dialer.domain.campaign.fields import WEEKDAYS, Section
from dialer.domain.campaign.hours import Schedule, Window, minutes, zone_name
from dialer.domain.campaign.limits import Budget, Caps, Goal, Pacing
from dialer.domain.campaign.links import FollowUp, Notice, Source, Trigger
from dialer.domain.campaign.people import Cadence, Contacts, Provider
from dialer.domain.campaign.rules import Pack, Rules
from dialer.domain.disposition import DispositionRule

__all__ = [
    "MOVES",
    "WEEKDAYS",
    "Budget",
    "Cadence",
    "Campaign",
    "CampaignState",
    "Caps",
    "Change",
    "Contacts",
    "FollowUp",
    "Goal",
    "Notice",
    "Pacing",
    "Pack",
    "Provider",
    "Rules",
    "Schedule",
    "Source",
    "Trigger",
    "Window",
    "diff",
    "minutes",
    "zone_name",
]


class CampaignState(StrEnum):
    """Where a campaign stands; equal to the CHECK in ``sql/migrations``."""

    DRAFT = "draft"
    """Applied and not yet started. Moved by start (by hand, by ``schedule.starts`` or by cron), or stop."""
    ACTIVE = "active"
    """Its due contacts are called. Moved by a person, by a fault that pauses, or by its last contact."""
    PAUSED = "paused"
    """Nobody is called; reports are still booked. Moved by a person."""
    STOPPED = "stopped"
    """The end, by a person."""
    FINISHED = "finished"
    """Every contact is closed. New contacts or a start reopen it."""


MOVES: Final[dict[CampaignState, frozenset[CampaignState]]] = {
    CampaignState.DRAFT: frozenset({CampaignState.ACTIVE, CampaignState.STOPPED}),
    CampaignState.ACTIVE: frozenset({CampaignState.PAUSED, CampaignState.STOPPED, CampaignState.FINISHED}),
    CampaignState.PAUSED: frozenset({CampaignState.ACTIVE, CampaignState.STOPPED}),
    CampaignState.FINISHED: frozenset({CampaignState.DRAFT, CampaignState.ACTIVE}),
    CampaignState.STOPPED: frozenset(),
}
"""The allowed moves; the migration says the same in its comment."""


class Campaign(Section):
    """The whole definition of a campaign. ``agent`` names a section ``[agents.…]`` of the configuration."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    agent: Annotated[str, Field(min_length=1)]
    schedule: Schedule = Schedule()
    window: Window = Window()
    contacts: Contacts = Contacts()
    pacing: Pacing = Pacing()
    cadence: Cadence = Cadence()
    caps: Caps = Caps()
    budget: Budget = Budget()
    goal: Goal = Goal()
    provider: Provider = Provider()
    rules: Rules = Rules()
    disposition: tuple[DispositionRule, ...] = ()
    trigger: tuple[Trigger, ...] = ()
    follow_up: tuple[FollowUp, ...] = ()
    notice: tuple[Notice, ...] = ()
    source: Source | None = None
    packs: tuple[Pack, ...] = ()
    """The packs that ``rules`` names, as they were when the file was applied; no file can say them."""

    @property
    def lasting(self) -> bool:
        """Whether contacts come by themselves, so that it never finishes for want of them."""
        return bool(self.trigger) or self.source is not None

    def definition(self) -> dict[str, Any]:
        """The definition with every default, in JSON's own types: what ``campaign_versions`` keeps."""
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value differs: its dotted path, and both values in JSON's types (None: absent)."""

    key: str
    old: object
    new: object


def diff(old: Campaign, new: Campaign) -> list[Change]:
    """What applying ``new`` over ``old`` changes, key by key, in the order of the file."""
    before, after = dict(_leaves(old.definition())), dict(_leaves(new.definition()))
    keys = dict.fromkeys((*after, *before))
    return [Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def _leaves(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if path == "disposition":
            for number, rule in enumerate(cast(list[object], item), start=1):
                yield f"disposition.{number}", rule
        elif path == "packs":
            for pack in cast(list[dict[str, object]], item):
                yield from (
                    (f"packs.{pack['name']}.{key}", value) for key, value in pack.items() if key != "name"
                )
        elif isinstance(item, dict):
            yield from _leaves(item, f"{path}.")
        else:
            yield path, item
