"""The numbering plans of the world, compiled from the data of ``phonenumbers`` to be asked a million times.

Every answer here equals that of the library, from the same data: a test compares them over every region. What the
plan cannot tell from the digits alone (national prefixes, punctuation beyond the usual) is left to the library.
The library takes 40 to 140 µs for what is 5 to 10 µs here.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberType,
    is_number_type_geographical,
)
from phonenumbers.timezone import UNKNOWN_TIMEZONE as _UNKNOWN_ZONE
from phonenumbers.tzdata import TIMEZONE_DATA

_KINDS: Final = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
    "fixed_line", "mobile",
)  # fmt: skip
"""In the order in which the library asks; the first that fits is the kind of the number."""
_CODES: Final = {str(code): code for code in COUNTRY_CODE_TO_REGION_CODE}
_ZONES: Final = {
    prefix: tuple(zone for zone in zones if zone != _UNKNOWN_ZONE) for prefix, zones in TIMEZONE_DATA.items()
}
_USUAL: Final = str.maketrans("", "", " -()./")
_DIGITS: Final = re.compile("[0-9]{4,17}")
_PLAIN: Final = re.compile(r"\+([1-9][0-9]{4,18})")


class Number(NamedTuple):
    """A calling code and a national significant number, leading zeros included."""

    code: int
    national: str


@dataclass(frozen=True, slots=True)
class _NationalPlan:
    code: int
    international: str
    foreign: re.Pattern[str]
    """What may be a calling code or an international prefix."""
    prefix: re.Pattern[str] | None
    general: re.Pattern[str]
    rewrites: bool
    """The prefix may carry more than digits to take away: then the library rewrites the number."""
    lengths: frozenset[int]
    longest: int


class Place(NamedTuple):
    """Where a number belongs. ``region``: ISO 3166 alpha-2, ``001`` or None. ``kind``: None in no assigned range."""

    region: str | None
    kind: str | None


def read_plain(text: str) -> Number | None:
    """A number with a plus and the usual punctuation, or None where the library must read it."""
    if not text.startswith("+"):
        return None
    match = _PLAIN.fullmatch(text) or _PLAIN.fullmatch(text.translate(_USUAL))
    if match is None:
        return None
    digits = match[1]
    for end in (1, 2, 3):
        if (code := _CODES.get(digits[:end])) is not None:
            break
    else:
        return None
    national = digits[end:]
    if not 4 <= len(national) <= 17:
        return None
    prefix = _national_prefix(code)
    return None if prefix is not None and prefix.match(national) else Number(code, national)


def read_national(text: str, region: str) -> Number | None:
    """A number as its country writes it, or None where the library must read it.

    Left to the library are: a number that may begin with the country's own calling code or with an international
    prefix, and every national prefix that is more than digits to take away.
    """
    digits = text.translate(_USUAL)
    plan = _national_plan(region)
    if plan is None or not _DIGITS.fullmatch(digits) or plan.foreign.match(digits):
        return None
    if plan.prefix is None or (prefix := plan.prefix.match(digits)) is None:
        return Number(plan.code, digits)
    if plan.rewrites and prefix.group(prefix.re.groups) is not None:
        return None
    rest = digits[prefix.end() :]
    if plan.general.fullmatch(digits) and not plan.general.fullmatch(rest):
        return Number(plan.code, digits)
    fits = len(rest) in plan.lengths or len(rest) > plan.longest
    return Number(plan.code, rest if fits else digits)


def dials_00(region: str) -> bool:
    """Whether ``00`` is the one international prefix of a region."""
    plan = _national_plan(region)
    return plan is not None and plan.international == "00"


def number_of(parsed: PhoneNumber) -> Number:
    """What the library has read."""
    assert parsed.country_code is not None
    return Number(parsed.country_code, phonenumbers.national_significant_number(parsed))


def place(number: Number) -> Place:
    """The region and the kind of a number."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(number.code, ())
    if len(regions) == 1:
        return Place(regions[0], _kind(number.code, regions[0], number.national))
    for region in regions:
        leading = _leading_digits(region)
        if leading is None:
            if kind := _kind(number.code, region, number.national):
                return Place(region, kind)
        elif leading.match(number.national):
            return Place(region, _kind(number.code, region, number.national))
    return Place(None, None)


@cache
def length(code: int, digits: int) -> int:
    """Whether the country uses numbers of so many digits: a ``ValidationResult``."""
    sample = PhoneNumber(country_code=code, national_number=int("2" * digits))
    result: int = phonenumbers.is_possible_number_with_reason(sample)
    return result


def zones(number: Number, place: Place) -> tuple[str, ...]:
    """Every zone a number may ring in: of its area where its kind has one, else of its country.

    A number in no assigned range still has a prefix, and the prefix a place: that keeps its window strict.
    """
    code = str(number.code)
    geographic = place.kind in (None, "fixed_line") or (
        place.kind == "mobile" and _mobile_has_area(number.code)
    )
    if not geographic:
        return _ZONES.get(code, ())
    digits = code + number.national
    for end in _prefixes(code):
        if (found := _ZONES.get(digits[:end])) is not None:
            return found
    return ()


@cache
def _prefixes(code: str) -> list[int]:
    """How long those are that begin with a calling code and have zones, the longest first."""
    return sorted({len(prefix) for prefix in _ZONES if prefix.startswith(code)}, reverse=True)


@cache
def _mobile_has_area(code: int) -> bool:
    return bool(is_number_type_geographical(PhoneNumberType.MOBILE, code))


@cache
def _national_prefix(code: int) -> re.Pattern[str] | None:
    prefix = _metadata(code, phonenumbers.region_code_for_country_code(code)).national_prefix_for_parsing
    return re.compile(prefix) if prefix else None


@cache
def _national_plan(region: str) -> _NationalPlan | None:
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.country_code is None or metadata.general_desc is None:
        return None
    general = metadata.general_desc
    prefix = (
        re.compile(metadata.national_prefix_for_parsing) if metadata.national_prefix_for_parsing else None
    )
    international = metadata.international_prefix or "(?!)"
    lengths = general.possible_length
    return _NationalPlan(
        code=metadata.country_code,
        international=international,
        foreign=re.compile(f"00|{metadata.country_code}|(?:{international})"),
        prefix=prefix,
        general=re.compile(general.national_number_pattern or "(?!)"),
        rewrites=bool(metadata.national_prefix_transform_rule),
        lengths=frozenset(lengths) - frozenset(general.possible_length_local_only),
        longest=lengths[-1],
    )


@cache
def _leading_digits(region: str) -> re.Pattern[str] | None:
    metadata = PhoneMetadata.metadata_for_region(region, None)
    return re.compile(metadata.leading_digits) if metadata is not None and metadata.leading_digits else None


def _kind(code: int, region: str, national: str) -> str | None:
    match = _kinds(code, region).fullmatch(national)
    return match.lastgroup if match else None


@cache
def _kinds(code: int, region: str) -> re.Pattern[str]:
    """One pattern for a region: the general description, then each kind in order, each with its lengths."""
    metadata = _metadata(code, region)
    kinds = [(kind, _pattern(getattr(metadata, kind))) for kind in _KINDS]
    general = _pattern(metadata.general_desc) or "(?!)"
    return re.compile(
        f"(?={general}\\Z)(?:{'|'.join(f'(?P<{kind}>{text})' for kind, text in kinds if text)})"
    )


def _pattern(description: phonenumbers.PhoneNumberDesc | None) -> str | None:
    if description is None or not description.national_number_pattern:
        return None
    lengths = "|".join(f"[0-9]{{{length}}}" for length in description.possible_length)
    return f"(?=(?:{lengths or '.*'})\\Z)(?:{description.national_number_pattern})"


def _metadata(code: int, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    assert metadata is not None, region
    return metadata
