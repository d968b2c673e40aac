"""Sequence: where follow-ups lead, over all campaigns: to whom there is, and to an end."""

from collections.abc import Iterable, Mapping
from typing import Final

from dialer.domain.campaign.links import FollowUp

Links = Mapping[str, Iterable[FollowUp]]
"""The follow-ups of each campaign, by its name."""

_PLACE: Final = "follow_up[{}]: campaign {!r}"


def mistakes(links: Links, names: Iterable[str]) -> list[str]:
    """What is wrong with the follow-ups of the campaigns ``names``: an unknown campaign, or a ring without an end.

    A person goes round a ring as often as the ``times`` of its follow-ups let them; a ring in which none has a
    ``times`` would call them for ever.
    """
    told = []
    for name in names:
        for number, rule in enumerate(links[name], 1):
            if rule.campaign not in links:
                known = ", ".join(sorted(links))
                told.append(
                    f"{name}: {_PLACE.format(number, rule.campaign)} is not applied; known are: {known}"
                )
        if (ring := _ring(links, name)) is not None:
            said = " → ".join(ring)
            told.append(
                f"{name}: follow_up: {said} is a ring without an end; give one of them times = 1 or more"
            )
    return told


def _ring(links: Links, start: str) -> list[str] | None:
    """A way from a campaign back to itself over follow-ups that have no ``times``."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for rule in links.get(way[-1], ()):
            if rule.times is not None:
                continue
            if rule.campaign == start:
                return [*way, start]
            if rule.campaign not in seen:
                seen.add(rule.campaign)
                ways.append([*way, rule.campaign])
    return None
