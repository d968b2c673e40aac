"""Which names of the environment are read, and which only look as if they were.

A mistyped name is no error for the library that reads settings: it is silently not read.
So it is looked for here.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args, get_origin

from pydantic import BaseModel

from dialer.settings.model import Settings

PREFIX = "DIALER_"
FILE = "_FILE"
_CONTROLS = frozenset({"DIALER_CONFIG", "DIALER_SECRETS_DIR"})
# Kubernetes sets these for every Service; one named "dialer" is to be expected.
_SERVICE = re.compile(
    r"DIALER_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
NAMED: Final = frozenset(
    field for field, info in Settings.model_fields.items() if get_origin(info.annotation) is dict
)
"""Sections whose keys are names that the user gives: agents, and the like."""
_NAME = re.compile(
    rf"DIALER_(?P<section>{'|'.join(sorted(NAMED)).upper()})__(?P<name>.+?)(?:__(?P<field>.*))?"
)
Given = frozenset[tuple[str, str]]


def table(annotation: object) -> type[BaseModel] | None:
    """The model that ``annotation`` holds: a section, or what each value of a dictionary is."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def known_environment(given: Given) -> Iterator[str]:
    """Every name that is read, without its ``_FILE`` twin; ``given`` are sections, and names in them in upper case."""
    yield from sorted(_CONTROLS)
    for field, info in Settings.model_fields.items():
        name = PREFIX + field.upper()
        yield name
        section = table(info.annotation)
        if field in NAMED:
            for own in sorted(own for of, own in given if of == field):
                yield f"{name}__{own}"
                yield from (
                    f"{name}__{own}__{key.upper()}" for key in (section.model_fields if section else ())
                )
        elif section is not None:
            yield from (f"{name}__{key.upper()}" for key in section.model_fields)


def unknown_environment(environ: Mapping[str, str]) -> list[str]:
    """One message for each ``DIALER_`` name that no setting reads, with the nearest one that is read."""
    names = {name: name.upper() for name in environ if name.upper().startswith(PREFIX)}
    found = (_NAME.fullmatch(name) for name in names.values())
    known = set(
        known_environment(frozenset((each["section"].lower(), each["name"]) for each in found if each))
    )
    messages = []
    for name, upper in sorted(names.items()):
        if upper in known or _SERVICE.fullmatch(upper):
            continue
        if upper.endswith(FILE) and upper.removesuffix(FILE) in known - _CONTROLS:
            continue
        near = difflib.get_close_matches(upper, sorted(known), n=1, cutoff=0.7)
        mend = f"did you mean {near[0]}?" if near else "unset it, or see config.example.toml for the names"
        messages.append(f"{name}: no setting has this name; {mend}")
    return messages
