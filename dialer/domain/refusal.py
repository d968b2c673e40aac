"""A wish not to be called, in what the person said: the phrases, and where they are looked for.

Only the summary and the person's own turns are read: an agent that says "I will not call you again" has asked
nothing. In doubt somebody asked: better one call too few. What names a time ("do not call me before noon") asks for
another hour and not for silence. English; other languages by a ``[[disposition]]`` rule with ``~``.
"""

import re
from collections.abc import Mapping
from typing import Final

OURS: Final = frozenset({"agent", "assistant", "ai", "bot", "system", "tool"})
"""Roles of a transcript turn that are not the person called."""

_LATER: Final = (
    r"(?!\W+(?:right\W+)?(?:before|until|till|after|at|on|in|now|today|tonight|tomorrow|while|during|between|this"
    r"\W+(?:morning|afternoon|evening|week)))"
)
_CALL: Final = r"(?:call|calling|contact|contacting|phone|phoning|ring|ringing|dial|dialing|dialling)"
_WHOM: Final = r"(?:me|us|him|her|them|here|this\W+number|my\W+(?:phone|number|cell|house|home))"

SPOKEN: Final = (
    rf"(?<!not )(?<!n't )(?<!nt )\b(?:stop|quit)\W+(?:calling|contacting|phoning|ringing|dialing|dialling)\b{_LATER}",
    rf"\b(?:do\W+not|don\W?t|never|not\W+to)\W+(?:ever\W+)?{_CALL}\W+{_WHOM}\b(?:\W+(?:again|any\W*more|ever))?{_LATER}",
    rf"\b(?:do\W+not|don\W?t|never)\W+(?:ever\W+)?{_CALL}\W+(?:again|any\W*more|ever)\b",
    r"\b(?:take|remove|delete|scrub|get)\W+(?:me|us|my\W+(?:phone\W+)?number|this\W+number|my\W+name)\W+(?:off|from|out\W+of)\b",
    r"\bdo[\W_]+not[\W_]+(?:call|contact)[\W_]+(?:list|registry|register)\b",
    r"\bno\W+more\W+(?:phone\W+)?calls\b",
    r"\b(?:lose|forget)\W+(?:my|this)\W+number\b",
    r"\b(?:unsubscribe|opt\W*(?:me\W+)?out)\b",
)
"""What a person says, in their own turn."""

TOLD: Final = (
    rf"\b(?:asked|requested|demanded|wants?|wanted|wished|wishes|insisted|told\W+us|prefers?|said)\b[^.;]{{0,60}}?\bnot\W+to\W+(?:be\W+)?"
    rf"(?:called|contacted|phoned|call|contact)\b{_LATER}",
    rf"\b(?:does|did)\W*(?:not|n\W?t)\W+(?:want|wish|like)\W+to\W+be\W+(?:called|contacted|phoned)\b{_LATER}",
    r"\b(?:asked|requested|demanded|wants?|wanted)\b[^.;]{0,40}?\b(?:removal|be\W+removed|be\W+taken\W+off|stop\W+calling|no\W+(?:further|more)\W+calls)\b",
    r"\bopted\W+out\b",
)
"""How a summary tells of it."""

_SPOKEN: Final = re.compile("|".join(SPOKEN), re.IGNORECASE)
_TOLD: Final = re.compile("|".join((*TOLD, *SPOKEN)), re.IGNORECASE)


def refused(fields: Mapping[str, object]) -> bool:
    """Whether the report ``fields`` (its whole JSON object) tells that the person asked not to be called."""
    return _TOLD.search(_plain(summary(fields))) is not None or any(
        _SPOKEN.search(_plain(turn)) for turn in turns(fields)
    )


def summary(fields: Mapping[str, object]) -> str:
    """The summary, where the documented payload has it or at the top."""
    metadata = fields.get("metadata")
    for place in (fields, metadata if isinstance(metadata, dict) else {}):
        if isinstance(found := place.get("summary"), str):
            return found
    return ""


def turns(fields: Mapping[str, object]) -> list[str]:
    """What the person said, turn by turn."""
    metadata = fields.get("metadata")
    said = metadata.get("transcript_turns") if isinstance(metadata, dict) else None
    if not isinstance(said, list):
        return []
    return [
        turn["message"]
        for turn in said
        if isinstance(turn, dict)
        and str(turn.get("role", "")).strip().lower() not in OURS
        and isinstance(turn.get("message"), str)
    ]


def _plain(text: str) -> str:
    return text.replace("’", "'")[:100_000]
