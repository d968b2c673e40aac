"""JSONL: one object a line."""

import io
from typing import Any

import pytest

from dialer.domain.errors import ConfigError
from dialer.intake.lines import Lines
from dialer.intake.objects import Objects
from dialer.intake.row import Bad, Raw, Row


def read(data: str) -> list[Row]:
    return list(Objects(Lines(io.BytesIO(data.encode()), "list.jsonl")))


def one(data: str) -> Raw:
    (row,) = read(data)
    assert isinstance(row, Raw), row
    return row


def test_keys_are_read_as_columns_are_and_the_rest_is_metadata_nested_or_not() -> None:
    row = one(
        '{"Phone Number": "+1", "firstName": "Ann", "last_name": "Lee", "E-Mail": "a@b.co", "deal": {"id": 7},'
        ' "tags": ["x"], "none": null, "metadata": {"plan": "gold", "deal": {"id": 8}}}'
    )
    assert (row.phone, row.name, row.email) == ("+1", "Ann Lee", "a@b.co")
    assert row.metadata == {"deal": {"id": 8}, "tags": ["x"], "plan": "gold"}


def test_a_number_may_be_a_number_if_it_kept_its_digits() -> None:
    assert one('{"phone": 4915123456789}').phone == "4915123456789"
    assert one('{"phone": 4.915E+11}').phone == "4.915E+11"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ('{"phone": "+1", "x": NaN}', "is not JSON (NaN is not JSON)"),
        ('{"phone": "+1", "x": 1e400}', "a number is too large"),
        ('{"phone": "+1", "x": ' + "[" * 50_000 + "]" * 50_000 + "}", "is not JSON"),
        ('["+1"]', "is no object"),
        ('{"phone": true}', '"phone" is no text'),
        ('{"phone": {"value": "+1"}}', '"phone" is no text'),
        ('{"phone": "+1", "x": "a\\u0000b"}', "NUL"),
        ('{"phone": "+1", "x": "\\ud800"}', "no characters"),
        ('{"phone": "+1", "x": "' + "y" * 200_000 + '"}', "is longer than"),
    ],
)
def test_a_bad_line_is_refused_and_the_next_is_read(line: str, said: str) -> None:
    first, second, third = read('{"phone": "+1"}\n' + line + '\n{"phone": "+2"}')
    assert isinstance(first, Raw)
    assert isinstance(third, Raw)
    assert isinstance(second, Bad)
    assert said in second.reason
    assert (second.line, third.line) == (2, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "is empty"),
        ('[{"phone": "+1"}]', "line 1: a JSON array: write one object a line instead"),
        ('{"name": "Ann"}\n{"city": 1}\n', 'line 1: no key is a phone among "name", "city"'),
    ],
)
def test_a_list_without_phones_says_the_mend(data: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(data)
    assert said in str(caught.value)


def test_surrogate_pairs_are_characters() -> None:
    metadata: dict[str, Any] = one('{"phone": "+1", "mood": "\\ud83d\\ude00"}').metadata
    assert metadata == {"mood": "😀"}
