"""CSV as programs really write it, read from bytes."""

import codecs
import io
import tracemalloc

import pytest

from dialer.domain.errors import ConfigError
from dialer.intake.delimited import Delimited
from dialer.intake.lines import LIMIT, Lines
from dialer.intake.row import Bad, Raw, Row


def read(data: bytes | str) -> list[Row]:
    raw = data.encode() if isinstance(data, str) else data
    return list(Delimited(Lines(io.BytesIO(raw), "list.csv")))


def phones(data: bytes | str) -> list[str]:
    return [row.phone for row in read(data) if isinstance(row, Raw)]


def refused(data: bytes | str) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in read(data) if isinstance(row, Bad)]


def note(data: bytes) -> str:
    return Lines(io.BytesIO(data), "list.csv").encoding.note


PEOPLE = "Straße,Phone\r\nZoë,+1\r\nMüller,+2\r\n"


@pytest.mark.parametrize(
    "data",
    [
        PEOPLE.encode(),
        codecs.BOM_UTF8 + PEOPLE.encode(),
        PEOPLE.encode("utf-16"),
        codecs.BOM_UTF16_BE + PEOPLE.encode("utf-16-be"),
        PEOPLE.encode("utf-16-le"),
        PEOPLE.encode("utf-16-be"),
        PEOPLE.encode("cp1252"),
        PEOPLE.replace("\r\n", "\n").encode(),
        PEOPLE.replace("\r\n", "\r").encode(),
        PEOPLE.rstrip().encode(),
        PEOPLE.replace(",", ";").encode(),
        PEOPLE.replace(",", "\t").encode("utf-16"),
        PEOPLE.replace(",", "|").encode(),
        b"sep=;\r\n" + PEOPLE.replace(",", ";").encode(),
        b"\r\n\r\n" + PEOPLE.encode() + b"\r\n,\r\n  \r\n",
    ],
)
def test_every_encoding_delimiter_and_line_end_reads_alike(data: bytes) -> None:
    rows = read(data)
    assert [(row.phone, row.metadata) for row in rows if isinstance(row, Raw)] == [
        ("+1", {"Straße": "Zoë"}),
        ("+2", {"Straße": "Müller"}),
    ]
    assert len(rows) == 2


def test_what_was_guessed_of_an_encoding_is_said_aloud() -> None:
    assert "Windows-1252" in note(PEOPLE.encode("cp1252"))
    assert "UTF-16" in note(PEOPLE.encode("utf-16-le"))
    assert note(PEOPLE.encode()) == note(PEOPLE.encode("utf-16")) == ""


def test_a_line_that_is_not_utf8_is_refused_and_the_others_are_read() -> None:
    data = PEOPLE.encode() + b"\xff\xfe\xe9,+3\r\n" + "Anaïs,+4\r\n".encode()
    assert phones(data) == ["+1", "+2", "+4"]
    assert refused(data) == [(4, "holds bytes that are no characters: save the list as UTF-8")]


@pytest.mark.parametrize(
    "header",
    [
        "phone",
        "Phone Number",
        "PHONE_NUMBER",
        "tel.",
        "Telefon",
        "Téléphone",
        "Mobile",
        "Celular",
        "телефон",
        "手机",
    ],
)
def test_a_phone_column_is_known_by_many_names_in_any_place(header: str) -> None:
    assert phones(f"a,{header},b\n1,+49,2\n") == ["+49"]


def test_each_field_is_found_in_any_order_and_the_rest_is_metadata() -> None:
    (row,) = read(
        "Time Zone,Last Name,Country,First Name,E-Mail,phone,Call At,Expires At,note,note,\nz,L,DE,F,e,+1,d,x,n,m,o\n"
    )
    assert isinstance(row, Raw)
    assert (row.name, row.email, row.timezone, row.region) == ("F L", "e", "z", "DE")
    assert (row.due_at, row.expires_at) == ("d", "x")
    assert row.metadata == {"note": "n", "note_2": "m", "column_11": "o"}


def test_a_whole_name_wins_over_its_parts_and_metadata_in_json_is_merged() -> None:
    (row,) = read(
        'name,first name,phone,metadata,plan\nAnn,A,+1,"{""score"": 9, ""deep"": {""x"": [1]}}",gold\n'
    )
    assert isinstance(row, Raw)
    assert row.name == "Ann"
    assert row.metadata == {"plan": "gold", "score": 9, "deep": {"x": [1]}}


def test_the_next_phone_column_stands_in_for_an_empty_one_but_no_customers_number() -> None:
    assert phones("mobile,phone,number\n+2,,77\n+2,+1,77\n,,77\n") == ["+2", "+1", ""]


def test_newlines_in_quotes_belong_to_the_cell_and_lines_stay_those_of_an_editor() -> None:
    rows = read('phone,note\n+1,"a\nb ""c"""\n,,,\n+2\n+3,x\n')
    assert isinstance(rows[0], Raw)
    assert rows[0].metadata == {"note": 'a\nb "c"'}
    assert [row.line for row in rows] == [2, 5, 6]
    assert refused('phone,note\n+1,"a\nb"\n+2\n') == [
        (4, "has 1 cells where the header has 2: is the row cut, or a quote missing?")
    ]


def test_a_quote_that_is_never_closed_costs_its_row_alone() -> None:
    data = 'phone,note\n+1,"never closed\n' + "".join(f"+{i},x\n" for i in range(2, 30_000))
    assert len(data) > LIMIT
    assert phones(data) == [f"+{i}" for i in range(2, 30_000)]
    assert refused(data) == [(2, "opens a quote that is not closed: close it, or double the quotes inside")]


def test_a_quote_that_closes_rows_later_gives_those_rows_back() -> None:
    data = 'phone,note\n+1,"open\n+2,x\n+3,"fine"\n+4,y\n'
    assert phones(data) == ["+2", "+3", "+4"]
    assert [line for line, _ in refused(data)] == [2]


def test_a_quote_in_a_cell_that_is_not_quoted_is_a_character() -> None:
    assert phones('phone,note\n+1,5" pipe\n+2,x\n') == ["+1", "+2"]
    assert phones('phone,note\n+1,"5" pipe"\n+2,x\n') == ["+1", "+2"]


def test_a_field_of_ten_megabytes_is_refused_in_little_memory_and_the_rest_is_read() -> None:
    file = io.BytesIO(b"phone,note\n+1,a\n+2," + b"x" * 10_000_000 + b"\n+3,c\n")
    tracemalloc.start()
    rows = list(Delimited(Lines(file, "list.csv")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.phone for row in rows if isinstance(row, Raw)] == ["+1", "+3"]
    assert [(row.line, row.reason[:14]) for row in rows if isinstance(row, Bad)] == [(3, "is longer than")]
    assert peak < 8_000_000


def test_a_field_that_is_too_long_inside_quotes_gives_back_the_lines_around_it() -> None:
    data = 'phone,note\n+1,"open\n+2,' + "x" * (LIMIT + 5) + "\n+3,c\n"
    assert phones(data) == ["+3"]
    assert [line for line, _ in refused(data)] == [2, 3]


def test_nul_bytes_and_ragged_rows_are_refused_with_their_line() -> None:
    data = "phone,note\n+1,a\x00b\n+2\n+3,x,y\n+4,x,\n+5,z\n"
    assert phones(data) == ["+4", "+5"]
    assert refused(data) == [
        (2, "holds a NUL byte: save the list as text again"),
        (3, "has 1 cells where the header has 2: is the row cut, or a quote missing?"),
        (4, "has 3 cells where the header has 2: quote cells that hold the delimiter"),
    ]


def test_a_mended_reject_file_is_a_list_again() -> None:
    (row,) = read("line,reason,phone,plan\n7,phone is empty,'+49151,gold\n")
    assert isinstance(row, Raw)
    assert row.metadata == {"plan": "gold"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "list.csv is empty: its first line must name the columns"),
        (b"\r\n  \r\n", "list.csv is empty"),
        (
            b"name,city\nAnn,Ulm\n",
            'list.csv, line 1: no column is a phone among "name", "city": rename the column',
        ),
        (b"\n+14155552671\n", 'list.csv, line 2: no column is a phone among "+14155552671"'),
        (b'phone,"name\n+1,x\n', "list.csv, line 1: the header cannot be read: opens a quote"),
        (b"PK\x03\x04....", "list.csv is a spreadsheet workbook or a zip archive: save the sheet as CSV"),
        (b"\x1f\x8b....", "list.csv is compressed: unpack it first"),
        ("phone\n".encode("utf-32"), "list.csv is UTF-32: save it as UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_says_file_line_and_mend(data: bytes, said: str) -> None:
    with pytest.raises(
        ConfigError, match="^" + "".join(f"[{c}]" if c not in "^\\[]" else "\\" + c for c in said)
    ):
        read(data)
