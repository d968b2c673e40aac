"""Phone numbers: from what a person wrote to E.164, its region and its candidate time zones.

A number is read by ``phonenumbers`` and its data alone. What cannot be read without a guess (an extension,
two numbers in one cell, a word after the number, a spreadsheet's rounded number) is refused with a reason
that says the mend, for a guess rings a stranger. A reason never holds the number.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, ValidationResult

from dialer.domain import numbering
from dialer.domain.numbering import Number


class PhoneCheck(StrEnum):
    """How much a number must prove before it may be called."""

    E164 = "e164"
    """A plus and at most fifteen digits (ITU-T E.164); no numbering plan is asked."""
    POSSIBLE = "possible"
    """The length fits the numbering plan of its country."""
    VALID = "valid"
    """The digits fit a range that its country has assigned."""


class Phone(NamedTuple):
    """A number that can be called.

    ``e164``: ``+`` and 2 to 15 digits. ``region``: ISO 3166 alpha-2, or None where the number belongs
    to none (+800) or to no assigned range. ``zones``: IANA names of every zone it may ring in, empty where
    none is known.
    """

    e164: str
    region: str | None
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadPhone:
    """Why a text is no number to call, with the mend; never holds the text itself."""

    reason: str


_LONGEST: Final = 16
"""Characters of a number: a plus and the fifteen digits of E.164."""

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_ROUNDED: Final = re.compile(r"\s*[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+\s*")
# 4915123456789.0: a whole number that went through a float and kept every digit
_FLOATED: Final = re.compile(r"\s*\+?\d{7,15}[.,]0+\s*")
_TWO_NUMBERS: Final = re.compile(r"\+[^+]*\d[^+]*\+|\d[^\d]*[\r\n][^\d]*\d")
_LETTERS: Final = re.compile(r"\d.*[A-Za-z]")
_ZERO_ZERO: Final = re.compile(r"[^\w+]*00[\s().-]*(?=[1-9])")

_MISSING: Final = BadPhone("is empty")
_NOT_A_NUMBER: Final = BadPhone("is not a phone number")
_NO_COUNTRY: Final = BadPhone(
    "has no country code: write it as +<country code><number>, add a country column, "
    "or set contacts.default_region"
)
_BAD_COUNTRY: Final = BadPhone("begins with a country code that does not exist")
_EXTENSION: Final = BadPhone(
    "has an extension, which cannot be dialled: leave it out, or keep it in another column"
)
_SCIENTIFIC: Final = BadPhone(
    "is a rounded number (such as 4.915E+11): a spreadsheet has lost its last digits; "
    "format that column as text and export it again"
)
_SEVERAL: Final = BadPhone("holds more than one number: keep one in each row")
_WORDS: Final = BadPhone("has words beside the number: keep them in another column")
_TOO_SHORT: Final = BadPhone("is too short for its country")
_TOO_LONG: Final = BadPhone("is too long for its country")
_LOCAL: Final = BadPhone("lacks its area code")
_LENGTH: Final = BadPhone("has a length that its country does not use")
_BEYOND_E164: Final = BadPhone("is longer than the 15 digits of E.164")
_NOT_ASSIGNED: Final = BadPhone('is in no range that its country has assigned (phone_check = "valid")')

_SPELT: Final = frozenset({"toll_free", "shared_cost", "premium_rate", "uan"})
_IMPOSSIBLE: Final = {
    ValidationResult.TOO_SHORT: _TOO_SHORT,
    ValidationResult.TOO_LONG: _TOO_LONG,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: _LOCAL,
    ValidationResult.INVALID_LENGTH: _LENGTH,
    ValidationResult.INVALID_COUNTRY_CODE: _BAD_COUNTRY,
}
_UNREADABLE: Final = {
    NumberParseException.INVALID_COUNTRY_CODE: _BAD_COUNTRY,
    NumberParseException.NOT_A_NUMBER: _NOT_A_NUMBER,
    NumberParseException.TOO_SHORT_AFTER_IDD: _TOO_SHORT,
    NumberParseException.TOO_SHORT_NSN: _TOO_SHORT,
    NumberParseException.TOO_LONG: _TOO_LONG,
}


def normalise(raw: str, *, check: PhoneCheck, default_region: str | None) -> Phone | BadPhone:
    """Read ``raw`` as a person, a spreadsheet or an export wrote it.

    ``default_region`` (ISO 3166 alpha-2, upper case) is the country of a number without a country code.
    Full-width and other digits, ``tel:``, every punctuation that ``phonenumbers`` knows, and the letters of
    service numbers (1-800-FLOWERS) are read.
    """
    text = raw.strip() if raw.isascii() else unicodedata.normalize("NFKC", raw).strip()
    if (plain := _read_plain(text, default_region)) is not None:
        return _judge(plain, check, letters=False)
    if refusal := _refuse(text):
        return refusal
    if _FLOATED.fullmatch(text):
        text = re.split("[.,]", text)[0]
    number = _parse(text, default_region)
    if isinstance(number, Number):
        return _judge(number, check, letters=_LETTERS.search(text) is not None)
    digits = "+" + re.sub(r"[^0-9]", "", text)
    if (
        number is _BAD_COUNTRY
        and text.startswith("+")
        and check is PhoneCheck.E164
        and _E164.fullmatch(digits)
    ):
        return Phone(digits, None, ())
    return number


def region_code(text: str) -> str | None:
    """The ISO 3166 alpha-2 code that ``text`` is, in any case (``UK`` is ``GB``), or None if it is none."""
    code = text.strip().upper()
    code = "GB" if code == "UK" else code
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


def _refuse(text: str) -> BadPhone | None:
    if not text:
        return _MISSING
    if _ROUNDED.fullmatch(text):
        return _SCIENTIFIC
    if _TWO_NUMBERS.search(text):
        return _SEVERAL
    return None


def _read_plain(text: str, region: str | None) -> Number | None:
    if text.startswith("00") and (region is None or numbering.dials_00(region)):
        return numbering.read_plain("+" + text[2:].lstrip())
    if (number := numbering.read_plain(text)) is not None or region is None:
        return number
    return numbering.read_national(text, region)


def _parse(text: str, region: str | None) -> Number | BadPhone:
    written = _read(text, region)
    if "+" in text:
        return written
    if region is not None:
        # A spreadsheet takes the plus away, and in Germany's loose plan 4915123456789 is a number as well.
        # It is +49 151 23456789 all the same, for that other number would be written with its 0.
        if (without_plus := _read_without_plus(text, region)) is not None:
            return without_plus
        # "00" is the international prefix of most of the world, yet begins national numbers in Japan (0077).
        if isinstance(written, Number) and numbering.place(written).kind is not None:
            return written
    prefix = _ZERO_ZERO.match(text)
    return written if prefix is None else _read("+" + text[prefix.end() :], None)


def _read_without_plus(text: str, region: str) -> Number | None:
    code = str(phonenumbers.country_code_for_region(region))
    digits = re.sub(r"\D", "", text)
    if not digits.startswith(code) or phonenumbers.ndd_prefix_for_region(region, True) in (None, code):
        return None
    number = _read("+" + digits, None)
    return number if isinstance(number, Number) and numbering.place(number).kind is not None else None


def _read(text: str, region: str | None) -> Number | BadPhone:
    try:
        parsed = phonenumbers.parse(text, region)
    except NumberParseException as wrong:
        if wrong.error_type == NumberParseException.INVALID_COUNTRY_CODE and "+" not in text:
            return _NO_COUNTRY
        return _UNREADABLE.get(wrong.error_type, _NOT_A_NUMBER)
    if parsed.extension:
        return _SEVERAL if len(parsed.extension) >= 7 else _EXTENSION
    return numbering.number_of(parsed)


def _judge(number: Number, check: PhoneCheck, *, letters: bool) -> Phone | BadPhone:
    place = numbering.place(number)
    # "030 123456 mobil" would be dialled as 030 123456 66245, somebody's: only service numbers are spelt.
    if letters and place.kind not in _SPELT:
        return _WORDS
    if check is not PhoneCheck.E164:
        length = numbering.length(number.code, len(number.national))
        if length != ValidationResult.IS_POSSIBLE:
            return _IMPOSSIBLE.get(length, _LENGTH)
    if check is PhoneCheck.VALID and place.kind is None:
        return _NOT_ASSIGNED
    e164 = f"+{number.code}{number.national}"
    if len(e164) > _LONGEST:
        return _BEYOND_E164
    if number.national.startswith("0") and _read(e164, None) != number:
        # Another zero is left where the country's trunk prefix was: no number, and read otherwise the next time.
        return _NOT_A_NUMBER
    return Phone(e164, None if place.region == "001" else place.region, numbering.zones(number, place))
