"""Reading a campaign file: TOML to ``Campaign``, or every mistake at once with its line, key and mend.

Numbers are read as Decimal, never as float. Nothing is guessed: an unknown key is a mistake.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dialer.domain.campaign import Campaign, Pack
from dialer.domain.disposition import FINAL
from dialer.domain.errors import ConfigError

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """A campaign as read, its text as written, and the SHA-256 of that text in hex."""

    campaign: Campaign
    source: str
    checksum: str


def read(path: Path) -> CampaignFile:
    """The campaign in ``path``. ConfigError names file, line, key and mend of every mistake, one a line."""
    return parse(_text(path), str(path))


def parse(source: str, name: str) -> CampaignFile:
    """The campaign that a text says; mistakes name it by ``name``. ConfigError as ``read``."""
    document = _document(source, name)
    if "packs" in document:
        line = lines(source).get(("packs",), 1)
        raise ConfigError(f'{name}:{line}: packs: is an unknown key; did you mean "rules.packs"?')
    try:
        campaign = Campaign.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_mistakes(name, source, error)) from None
    return CampaignFile(campaign, source, hashlib.sha256(source.encode()).hexdigest())


def read_pack(path: Path) -> Pack:
    """The rule pack in ``path``; ConfigError as ``read``."""
    source, name = _text(path), str(path)
    try:
        return Pack.model_validate(_document(source, name))
    except ValidationError as error:
        raise ConfigError(_mistakes(name, source, error)) from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start + 1}; save it as UTF-8") from None


def _document(source: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_toml_mistake(name, source, str(error))) from None


def lines(source: str) -> dict[Key, int]:
    """The line, from 1, of every section and key of a valid TOML text; ``[[disposition]]`` counts from 0."""
    found: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    section: Key = ()
    for number, text in _statements(source):
        if text.startswith("[["):
            name = _path(text[2:])
            counts[name] = counts.get(name, -1) + 1
            section = (*name, counts[name])
            found.setdefault(name, number)
            found[section] = number
        elif text.startswith("["):
            section = _path(text[1:])
            found.setdefault(section, number)
        else:
            path = _path(text)
            for depth in range(1, len(path) + 1):
                found.setdefault((*section, *path[:depth]), number)
    return found


_PART: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.)?""")
_QUOTED: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)


def _path(text: str) -> Key:
    """The key that ``text`` begins with: ``a."b c".d`` as its three parts."""
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(next(part for part in match.groups()[:3] if part is not None))
        position = match.end()
        if match[4] is None:
            break
    return tuple(parts)


def _statements(source: str) -> Iterator[tuple[int, str]]:
    """Each header and each ``key = value`` of a valid TOML text with the line on which it begins."""
    position, number, depth, start, first = 0, 1, 0, 0, 0
    while position < len(source):
        letter = source[position]
        step = 1
        if quoted := _QUOTED.match(source, position) if letter in "\"'" else None:
            step = quoted.end() - position
        elif letter == "#":
            step = len(source[position:].split("\n", 1)[0])
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if not first and not letter.isspace() and letter != "#":
            start, first = position, number
        if letter == "\n" and first and depth == 0:
            yield first, source[start:position]
            first = 0
        number += source.count("\n", position, position + step)
        position += step
    if first:
        yield first, source[start:]


def _toml_mistake(path: str, source: str, message: str) -> str:
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return f"{path}: {message}"
    written = source.splitlines() or [""]
    number = int(match[1]) if match[1] else len(written)
    text = written[number - 1] if number <= len(written) else ""
    mend = ""
    if bare := re.match(r"\s*([\w.-]+)\s*=\s*([^\s\"'\[{#][^#]*)", text):
        mend = f'; a text needs quotes: {bare[1]} = "{bare[2].strip()}"'
    return f"{path}:{number}: {message[: match.start()]}{mend}"


def _mistakes(path: str, source: str, error: ValidationError) -> str:
    places = lines(source)
    told = []
    for detail in error.errors():
        key: Key = tuple(detail["loc"])
        near = next((key[:depth] for depth in range(len(key), 0, -1) if key[:depth] in places), None)
        number = places[near] if near else 0
        where = f"{path}:{number}" if number else f"{path}"
        told.append((number, f"{where}: {_name(key)}: {_what(detail, key)}"))
    return "\n".join(text for _, text in sorted(told, key=lambda pair: pair[0]))


def _name(key: Key) -> str:
    """``disposition[2].when.intent`` counts rules and list items from 1, as a reader does."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_SENTENCES: Final[Mapping[str, str]] = {
    "string_pattern_mismatch": "{value} is refused; begin with a small letter or a digit, then small letters,"
    " digits, - and _, at most 63 in all",
    "string_too_short": "is empty",
    "string_type": "{value} is not a text; put it in quotes",
    "tuple_type": "is not a list; write [{value}]",
    "decimal_parsing": "{value} is not a number; write it in digits, as 500 or 0.5",
    "decimal_type": "{value} is not a number; write it in digits, as 500 or 0.5",
    "decimal_max_digits": "{value} is too exact; at most 12 digits before the point and 6 after it",
    "decimal_max_places": "{value} is too exact; at most 12 digits before the point and 6 after it",
    "decimal_whole_digits": "{value} is too exact; at most 12 digits before the point and 6 after it",
    "int_type": "{value} is not a whole number",
    "bool_type": "{value} is neither true nor false",
    "path": "{value} is no way into an event; write its keys with dots between, as form_response.hidden.phone",
    "table": "{value} is no name of a table; write it as leads or crm.leads",
    "too_short": "is empty; write at least one",
    "dict_type": '{value} is not a table of fields; write when = {{ intent = "not_interested" }}',
}


def _what(detail: ErrorDetails, key: Key) -> str:
    """What is wrong and its mend."""
    value = _toml(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(key)
        case "string_pattern_mismatch" if key[0] in ("trigger", "source"):
            return _SENTENCES["table" if key[-1] == "table" else "path"].format(value=value)
        case "missing":
            return f"is missing; write {_EXAMPLES.get(key[-1], key[-1])}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "literal_error" | "enum":
            return f"{value} is not known{_choose(str(detail['input']), str(detail['ctx']['expected']))}"
        case "model_type" | "tuple_type" if len(key) < 3 and (model := _LISTS.get(str(key[0]))) is not None:
            needed = " and ".join(
                field.alias or name for name, field in model.model_fields.items() if field.is_required()
            )
            return f"is not a list of rules; write [[{key[0]}]] and below it {needed}"
        case "model_type":
            return f"is not a section; write [{key[0]}] on a line of its own and its keys below"
        case kind if kind in _SENTENCES:
            return _SENTENCES[kind].format(value=value)
        case _:
            return f"{value} is refused: {detail['msg'].replace('Input should', 'it must')}"


def _section(annotation: object) -> type[BaseModel] | None:
    """The model of a section: one, several, or one that may be left out."""
    candidates = (annotation, *get_args(annotation))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


_SECTIONS: Final = {
    name: section
    for name, field in Campaign.model_fields.items()
    if (section := _section(field.annotation)) is not None
}
_LISTS: Final = {
    name: section
    for name, section in _SECTIONS.items()
    if get_origin(Campaign.model_fields[name].annotation) is tuple
}

_EXAMPLES: Final[Mapping[str | int, str]] = {
    "name": 'name = "summer-promo"',
    "agent": 'agent = "sales", the name of a section [agents.…] of the configuration',
    "when": 'when = { intent = "not_interested" }',
    "is": 'is = "answered"',
    "source": 'source = "typeform", the name of a section [sources.…] of the configuration',
    "phone": 'phone = "hidden.phone", the way into the event to the number',
    "campaign": 'campaign = "reminder", the name of a campaign',
    "to": 'to = "slack", the name of a section [targets.…] of the configuration',
    "table": 'table = "public.leads"',
}


def _choose(written: str, expected: str) -> str:
    words = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(written.lower(), words, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(words)}"


def _unknown(key: Key) -> str:
    *inside, last = key
    model = _SECTIONS[str(inside[0])] if inside else Campaign
    known = [field.alias or name for name, field in model.model_fields.items()]
    if inside == ["cadence"] and last in set(FINAL):
        return f"{last} ends the calls to a contact, so it can have no ladder; remove it"
    close = difflib.get_close_matches(str(last), known, n=1)
    if close:
        return f'is an unknown key; did you mean "{close[0]}"?'
    for name, section in _SECTIONS.items():
        if name not in _LISTS and last in section.model_fields:
            return f"is an unknown key here; it belongs under [{name}]"
    return f"is an unknown key; known are {', '.join(known)}"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case _:
            return str(value)
