"""Phone numbers as people and spreadsheets write them."""

from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain.phone import BadPhone, Phone, PhoneCheck, normalise, region_code


def e164(raw: str, region: str | None = None, check: PhoneCheck = PhoneCheck.POSSIBLE) -> str:
    phone = normalise(raw, check=check, default_region=region)
    assert isinstance(phone, Phone), phone
    return phone.e164


def reason(raw: str, region: str | None = None, check: PhoneCheck = PhoneCheck.POSSIBLE) -> str:
    phone = normalise(raw, check=check, default_region=region)
    assert isinstance(phone, BadPhone), phone
    return phone.reason


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("+14155552671", None, "+14155552671"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("0151/23456789", "DE", "+4915123456789"),
        ("Tel: 0151 23456789", "DE", "+4915123456789"),
        ("tel:+1-415-555-2671", None, "+14155552671"),
        ('="+4915123456789"', None, "+4915123456789"),
        ("'+4915123456789", None, "+4915123456789"),
        ("\u202a+49 151 23456789\u202c", None, "+4915123456789"),
        ("＋４９ １５１ ２３４５６７８９", None, "+4915123456789"),
        ("٠١٠٢٣٤٥٦٧٨٩", "EG", "+201023456789"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("06 12345678", "NL", "+31612345678"),
        ("02 1234 5678", "IT", "+390212345678"),
    ],
)
def test_a_number_is_read_however_it_is_written(raw: str, region: str | None, expected: str) -> None:
    assert e164(raw, region) == expected


@pytest.mark.parametrize(
    ("raw", "region"), [("0044 20 7946 0958", None), ("(0044) 20 7946 0958", "US"), ("00442079460958", "DE")]
)
def test_double_zero_is_the_international_prefix(raw: str, region: str | None) -> None:
    assert e164(raw, region) == "+442079460958"


def test_a_spreadsheet_that_took_the_plus_away_does_not_ring_a_stranger() -> None:
    assert e164("4915123456789", "DE") == "+4915123456789"
    assert e164("4915123456789.0", "DE") == "+4915123456789"
    assert e164("14155552671", "US") == "+14155552671"


def test_a_national_number_that_begins_like_its_country_code_stays_national() -> None:
    assert e164("9198123456", "IN") == "+919198123456"
    assert e164("919812345678", "IN") == "+919812345678"


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("", "US", "is empty"),
        ("  ", "US", "is empty"),
        ("n/a", "US", "is not a phone number"),
        ("+1\x00415", "US", "is not a phone number"),
        ("4915123456789", None, "has no country code"),
        ("+999123456789", None, "country code that does not exist"),
        ("+1 415 555 2671 x5", None, "has an extension"),
        ("+1 415 555 2671 ext. 12", None, "has an extension"),
        ("4.915E+11", "DE", "a spreadsheet has lost its last digits"),
        ("4,915123456789e+12", "DE", "a spreadsheet has lost its last digits"),
        ("+14155552671 / +14155552672", None, "more than one number"),
        ("4155552671;4155552672", "US", "more than one number"),
        ("030 123456\n0151 23456789", "DE", "more than one number"),
        ("030 123456 mobil", "DE", "has words beside the number"),
        ("415-2671 mob", "US", "has words beside the number"),
        ("555-2671", "US", "lacks its area code"),
        ("+1415555267", None, "is too short"),
        ("+141555526711", None, "is too long"),
        ("+49151234567890123", None, "the 15 digits of E.164"),
    ],
)
def test_what_cannot_be_read_without_a_guess_is_refused_with_its_reason(
    raw: str, region: str | None, expected: str
) -> None:
    said = reason(raw, region)
    assert expected in said
    assert "671" not in said
    assert "234567" not in said


def test_the_sample_number_of_the_documentation_passes_only_the_loosest_check() -> None:
    assert e164("+1234567890", check=PhoneCheck.E164) == "+1234567890"
    assert "too short" in reason("+1234567890", check=PhoneCheck.POSSIBLE)


def test_the_loosest_check_takes_a_country_code_that_no_plan_knows() -> None:
    assert normalise("+999 123 456", check=PhoneCheck.E164, default_region=None) == Phone(
        "+999123456", None, ()
    )


def test_an_unassigned_range_passes_possible_and_not_valid() -> None:
    assert e164("+15555550123") == "+15555550123"
    assert "no range" in reason("+15555550123", check=PhoneCheck.VALID)


def test_zones_are_every_place_the_number_may_ring_in() -> None:
    def zones(raw: str) -> tuple[str, ...]:
        phone = normalise(raw, check=PhoneCheck.POSSIBLE, default_region=None)
        assert isinstance(phone, Phone)
        return phone.zones

    assert zones("+14155552671") == ("America/Los_Angeles",)
    assert len(zones("+18003569377")) > 20
    assert zones("+80012345678") == ()
    assert "America/New_York" in zones("+15555550123")


def test_regions_are_iso_codes_in_any_case() -> None:
    assert region_code(" de ") == "DE"
    assert region_code("uk") == "GB"
    assert region_code("Germany") is None
    assert region_code("") is None


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_regions_example_reads_back_from_each_of_its_formats(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for style in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL):
        written = phonenumbers.format_number(number, style)
        phone = normalise(written, check=PhoneCheck.VALID, default_region=region)
        assert isinstance(phone, Phone), (written, phone)
        assert phone.e164 == expected, written
        assert all(ZoneInfo(zone) for zone in phone.zones)


@settings(max_examples=300)
@given(
    raw=st.text(alphabet=st.sampled_from("0123456789+()-. /xeE,;\nab٣４\x00"), max_size=24)
    | st.text(max_size=40),
    region=st.sampled_from([None, "US", "DE", "JP", "IT", "AR", "BR"]),
    check=st.sampled_from(PhoneCheck),
)
def test_any_text_is_a_phone_that_postgres_takes_or_a_reason(
    raw: str, region: str | None, check: PhoneCheck
) -> None:
    phone = normalise(raw, check=check, default_region=region)
    if isinstance(phone, Phone):
        assert phone.e164[0] == "+"
        assert phone.e164[1:].isdecimal()
        assert phone.e164.isascii()
        assert 3 <= len(phone.e164) <= 16
        again = normalise(phone.e164, check=check, default_region=None)
        assert isinstance(again, Phone)
        assert again.e164 == phone.e164
    else:
        assert phone.reason
