"""Finds the line of a TOML text where a key is set; a help for messages, never a parser.

What it does not understand (inline tables, keys inside multi-line strings) is answered with the nearest line
above, or with none.
"""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(_NAME)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def line_of(text: str, key: Sequence[str]) -> int | None:
    """The line, from 1, of ``key`` or else of the longest leading part of it; None if no part is there."""
    best: tuple[int, int] | None = None
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = here = _parts(header[1])
        elif pair := _KEY.match(line):
            here = section + _parts(pair[1])
        else:
            continue
        if tuple(key[: len(here)]) == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None
