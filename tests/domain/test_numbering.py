"""The compiled numbering plans say what the library says."""

import random

import phonenumbers
import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, PhoneNumberType, ValidationResult
from phonenumbers import timezone as library_zones

from dialer.domain import numbering
from dialer.domain.numbering import Number

KINDS = {
    None: {PhoneNumberType.UNKNOWN},
    "premium_rate": {PhoneNumberType.PREMIUM_RATE},
    "toll_free": {PhoneNumberType.TOLL_FREE},
    "shared_cost": {PhoneNumberType.SHARED_COST},
    "voip": {PhoneNumberType.VOIP},
    "personal_number": {PhoneNumberType.PERSONAL_NUMBER},
    "pager": {PhoneNumberType.PAGER},
    "uan": {PhoneNumberType.UAN},
    "voicemail": {PhoneNumberType.VOICEMAIL},
    "fixed_line": {PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE},
    "mobile": {PhoneNumberType.MOBILE},
}
MORE = 30
"""Numbers by chance for each calling code; 2,000 were tried."""
CODES = sorted(COUNTRY_CODE_TO_REGION_CODE)


def samples(code: int) -> list[PhoneNumber]:
    """Every example of the library for a calling code, each with its neighbours, and digits by chance."""
    dice = random.Random(code)
    numbers: list[PhoneNumber] = []
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        for kind in PhoneNumberType.values():
            example = (
                phonenumbers.example_number_for_non_geo_entity(code)
                if region == "001"
                else phonenumbers.example_number_for_type(region, kind)
            )
            if example is not None:
                numbers.append(example)
    texts = [phonenumbers.national_significant_number(number) for number in numbers]
    for text in list(texts):
        for _ in range(2):
            i = dice.randrange(len(text))
            texts.append(text[:i] + dice.choice("0123456789") + text[i + 1 :])
        texts += [text[:-1], text + "0"]
    texts += ["".join(dice.choices("0123456789", k=dice.randrange(4, 15))) for _ in range(MORE)]
    for text in texts:
        try:
            numbers.append(phonenumbers.parse(f"+{code}{text}"))
        except phonenumbers.NumberParseException:
            continue
    return numbers


@pytest.mark.parametrize("code", CODES)
def test_region_kind_length_and_zones_are_those_of_the_library(code: int) -> None:
    for number in samples(code):
        ours = numbering.number_of(number)
        place = numbering.place(ours)
        assert place.region == phonenumbers.region_code_for_number(number), number
        kind = phonenumbers.number_type(number)
        assert kind in KINDS[place.kind], number
        assert (place.kind is not None) == phonenumbers.is_valid_number(number), number
        assert numbering.length(ours.code, len(ours.national)) == (
            phonenumbers.is_possible_number_with_reason(number)
        ), number
        expected = (
            library_zones.time_zones_for_geographical_number(number)
            if kind == PhoneNumberType.UNKNOWN
            else library_zones.time_zones_for_number(number)
        )
        assert numbering.zones(ours, place) == tuple(z for z in expected if z != "Etc/Unknown"), number


@pytest.mark.parametrize("code", CODES)
def test_what_is_read_at_once_is_what_the_library_reads(code: int) -> None:
    dice = random.Random(code)
    read = 0
    texts = [
        phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.INTERNATIONAL) for n in samples(code)
    ]
    texts += [f"+{code}({t[3:5]}) {t[5:]}" for t in texts]
    texts += [
        f"+{code}" + "".join(dice.choices("0123456789 -.()", k=dice.randrange(2, 22))) for _ in range(MORE)
    ]
    for text in texts:
        number = numbering.read_plain(text)
        if number is not None:
            read += 1
            parsed = phonenumbers.parse(text)
            assert parsed.extension is None, text
            assert number == numbering.number_of(parsed), text
            e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            assert f"+{number.code}{number.national}" == e164
    # every Argentine number may begin with its national prefix, so the library reads them all
    assert read > 5 or code == 54


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_what_is_read_as_its_country_writes_it_is_what_the_library_reads(region: str) -> None:
    code = phonenumbers.country_code_for_region(region)
    dice = random.Random(region)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    texts = [phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.NATIONAL) for n in samples(code)]
    for start in ("", trunk, "0"):
        texts += [
            start + "".join(dice.choices("0123456789 -.()/", k=dice.randrange(2, 22))) for _ in range(MORE)
        ]
        texts += [start + phonenumbers.national_significant_number(n) for n in samples(code)[:MORE]]
    for text in texts:
        number = numbering.read_national(text, region)
        if number is not None:
            parsed = phonenumbers.parse(text, region)
            assert parsed.extension is None, text
            assert number == numbering.number_of(parsed), text


def test_most_countries_need_no_library() -> None:
    for text, region in [
        ("(415) 555-2671", "US"),
        ("0151/23456789", "DE"),
        ("020 7946 0958", "GB"),
        ("06 12345678", "FR"),
    ]:
        assert numbering.read_national(text, region) is not None


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("4915123456789", "DE"),
        ("004915123456789", "DE"),
        ("1 415 555 2671", "US"),
        ("911", "US"),
        ("011 15 2345-6789", "AR"),
    ],
)
def test_what_a_country_may_mean_otherwise_is_left_to_the_library(text: str, region: str) -> None:
    assert numbering.read_national(text, region) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "14155552671",
        "+0123456",
        "+44 (0)20 7946 0958",
        "+1415555267x",
        "++14155552671",
        "+1415,5552671",
    ],
)
def test_what_is_not_plain_is_left_to_the_library(text: str) -> None:
    assert numbering.read_plain(text) is None


def test_a_length_is_possible_or_says_why_not() -> None:
    assert numbering.length(1, 10) == ValidationResult.IS_POSSIBLE
    assert numbering.length(1, 9) == ValidationResult.TOO_SHORT
    assert numbering.place(Number(1, "4155552671")).region == "US"
