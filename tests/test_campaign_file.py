"""Campaign files: every mistake with file, line, key and mend; the shipped file and the manual."""

import csv
import hashlib
import re
import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from dialer.campaign_file import lines, read
from dialer.domain import duration
from dialer.domain.campaign import Campaign, FollowUp, Notice, Source, Trigger
from dialer.domain.disposition import DispositionRule
from dialer.domain.errors import ConfigError
from dialer.domain.phone import Phone, normalise

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
MANUAL = (CAMPAIGNS / "README.md").read_text()

WRONG = '''\
# a [comment] with = signs
name = "Summer"
agnt = "sales"   # "agent"
max_attempts = 3

[window]
dys = ["mon"]
hours = [
  "09:00-12:00",
  "22:00-06:00",   # [odd
]
timezone = """
America/NewYork"""

[ cadence ]
answered = ["1d"]
no_anser = ["1d"]
no_answer = "2h"
"busy" = [10]
max_attempts = 2.5

[provider]
on_500 = "retry"
retry_tries = 100
on_unknown = "Hold"

[budget]
credits = -5
estimate = "zero"
[contacts]
phone_check = 'possibel'
expires_after = 72
[[disposition]]
when = { intent = "x" }
is = "anwered"
[[disposition]]
when = { intent_confidence = ">= high" }
iss = "busy"
[[follow_up]]
after = "1h"
[[notice]]
to = "slack"
txt = "{{ name"
[[trigger]]
source = "typeform"
phone = "hidden phone"
[pacing]
calls_per_minute = "many"
'''

TOLD = [
    (0, "agent", 'is missing; write agent = "sales"'),
    (2, "name", "small letters"),
    (3, "agnt", 'did you mean "agent"?'),
    (4, "max_attempts", "it belongs under [cadence]"),
    (7, "window.dys", 'did you mean "days"?'),
    (8, "window.hours", 'two ranges: "22:00-24:00" and "00:00-06:00"'),
    (12, "window.timezone", 'did you mean "America/New_York"?'),
    (16, "cadence.answered", "it can have no ladder"),
    (17, "cadence.no_anser", 'did you mean "no_answer"?'),
    (18, "cadence.no_answer", 'is not a list; write ["2h"]'),
    (19, "cadence.busy[1]", '10 has no unit; write "10s"'),
    (20, "cadence.max_attempts", "2.5 is not a whole number"),
    (23, "provider.on_500", "known are backoff, hold, strict"),
    (24, "provider.retry_tries", "it must be less than or equal to 20"),
    (25, "provider.on_unknown", 'did you mean "hold"?'),
    (28, "budget.credits", "it must be greater than or equal to 0"),
    (29, "budget.estimate", '"zero" is not a number'),
    (31, "contacts.phone_check", 'did you mean "possible"?'),
    (32, "contacts.expires_after", 'write "72s"'),
    (35, "disposition[1].is", 'did you mean "answered"?'),
    (36, "disposition[2].is", 'is missing; write is = "answered"'),
    (37, "disposition[2].when.intent_confidence", 'write one as ">= 80"'),
    (38, "disposition[2].iss", 'did you mean "is"?'),
    (39, "follow_up[1].when", 'is missing; write when = { intent = "not_interested" }'),
    (39, "follow_up[1].campaign", 'is missing; write campaign = "reminder"'),
    (43, "notice[1].txt", 'did you mean "text"?'),
    (46, "trigger[1].phone[1]", '"hidden phone" is no way into an event; write its keys with dots'),
    (48, "pacing.calls_per_minute", '"many" is not a number'),
]


def refused(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as error:
        read(path)
    return str(error.value)


def test_every_mistake_is_told_at_once_with_file_line_key_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "promo.toml"
    told = refused(path, WRONG).splitlines()
    assert len(told) == len(TOLD)
    for text, (number, key, mend) in zip(told, TOLD, strict=True):
        where = f"{path}:{number}" if number else f"{path}"
        assert text.startswith(f"{where}: {key}: ")
        assert mend in text


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_line_number_is_that_of_the_key(ending: str) -> None:
    text = ending.join(
        [
            'a.b = 1 # "',
            "c = [",
            "  [1, 2], # ]",
            "  { d = '#[x]' },",
            "]",
            "'quoted key' = '''",
            "[not.a.section]",
            "no = 1'''''",
            '[section."with.dot"]',
            'text = """',
            'e = 1 \\"""',
            '[x]"""',
            "f = 1",
            "[[list]]",
            "g = { h = 1, i = [",
            "2] }",
            "[[list]]",
            "",
            "  g = 2",
            "[list.under]",
            "j = 1",
        ]
    )
    tomllib.loads(text)
    assert lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("c",): 2,
        ("quoted key",): 6,
        ("section", "with.dot"): 9,
        ("section", "with.dot", "text"): 10,
        ("section", "with.dot", "f"): 13,
        ("list",): 14,
        ("list", 0): 14,
        ("list", 0, "g"): 15,
        ("list", 1): 17,
        ("list", 1, "g"): 19,
        ("list", "under"): 20,
        ("list", "under", "j"): 21,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "a"\n[provider]\nretry_first = 2m\n', ':3: .*; a text needs quotes: retry_first = "2m"'),
        ('name = "a"\nagent = sales # me\n', ':2: .*; a text needs quotes: agent = "sales"'),
        ('name = "a"\nname = "b"\n', ":2: Cannot overwrite a value"),
        ('name = "a"\n[window\n', ":2: Expected ']'"),
        ('name = "a"\nagent = [\n', ":2: "),
        ("nam", ":1: Expected '='"),
        (b'name = "\xff"\n', ": is not UTF-8 at byte 9; save it as UTF-8"),
        ("window = 3", r":1: window: is not a section; write \[window\]"),
        ("disposition = 3", r":1: disposition: is not a list of rules; write \[\[disposition\]\]"),
        ("disposition = ['x']", r":1: disposition\[1\]: is not a list of rules"),
        (
            "[[disposition]]\nwhen = 'x'\nis='busy'",
            r":2: disposition\[1\].when: .x. is not a table of fields",
        ),
        ("[budget]\ncredits = 0.1234567", r":2: budget.credits: 0.1234567 is too exact"),
        ("[budget]\ncredits = true", r":2: budget.credits: is not an exact number"),
        ("agent = 7", ":1: agent: 7 is not a text; put it in quotes"),
        ("window.always = 'yes'", ':1: window.always: "yes" is neither true nor false'),
        ("[window]\nalways = true\ndays = ['mon']", ':1: window: "always = true" excludes days'),
    ],
)
def test_a_mistake_is_told_in_plain_words(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = tmp_path / "promo.toml"
    assert re.search(re.escape(str(path)) + told, refused(path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=re.escape(f"{path}: cannot be read: ")):
            read(path)


def test_the_shipped_campaign_is_read_with_its_source_and_checksum() -> None:
    path = CAMPAIGNS / "summer_promo.toml"
    found = read(path)
    assert (found.campaign.name, found.campaign.agent) == ("summer-promo", "sales")
    assert found.campaign.schedule.starts is None, "works as shipped, whatever the date"
    assert found.source == path.read_text()
    assert found.checksum == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_lines_that_the_shipped_campaign_leaves_out_are_right_too(tmp_path: Path) -> None:
    text = (CAMPAIGNS / "summer_promo.toml").read_text()
    whole = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    (tmp_path / "whole.toml").write_text(whole)
    assert read(tmp_path / "whole.toml").campaign.schedule.cron == "0 9 * * mon-fri"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "promo.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "a"\r\nagent = "b"\r\n[budget]\r\ncredits = 0.30\r\n')
    assert read(path).campaign.budget.credits == Decimal("0.30")


def test_every_person_of_the_sample_list_can_be_called_and_is_there_once() -> None:
    campaign = read(CAMPAIGNS / "summer_promo.toml").campaign
    with (CAMPAIGNS / "summer_promo.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    phones = [
        normalise(
            row["phone"], check=campaign.contacts.phone_check, default_region=campaign.contacts.default_region
        )
        for row in rows
    ]
    assert all(isinstance(phone, Phone) and row["name"] for phone, row in zip(phones, rows, strict=True))
    assert len({phone.e164 for phone in phones if isinstance(phone, Phone)}) == len(rows) == 20


LISTS: dict[str, type[BaseModel]] = {
    "disposition": DispositionRule,
    "trigger": Trigger,
    "follow_up": FollowUp,
    "notice": Notice,
    "source": Source,
}
"""The sections that a file may leave out, or have several times."""


def keys() -> dict[str, object]:
    """Every key of the model with its default; ... where it must be given."""
    found: dict[str, object] = {}
    models: list[tuple[str, type[BaseModel]]] = [("", Campaign)]
    models += [(f"{name}.", model) for name, model in LISTS.items()]
    for prefix, model in models:
        for name, field in model.model_fields.items():
            section = field.annotation
            if isinstance(section, type) and issubclass(section, BaseModel):
                models.append((f"{name}.", section))
            elif prefix or name not in LISTS:
                default = ... if field.is_required() else field.get_default(call_default_factory=True)
                found[f"{prefix}{field.alias or name}"] = default
    return found


def written(default: object) -> str:
    match default:
        case None:
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case timedelta():
            return f'`"{duration.write(default)}"`'
        case str():
            return f'`"{default}"`'
        case dict():
            pairs = ", ".join(f'{key} = "{value}"' for key, value in default.items())
            return f"`{{ {pairs} }}`" if pairs else "none"
        case tuple():
            return f"`[{', '.join(written(item).strip('`') for item in default)}]`"
        case _:
            return "required" if default is ... else f"`{default}`"


def test_the_manual_explains_every_key_with_its_default_and_no_other() -> None:
    explained: dict[str, str] = {}
    for section, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", MANUAL, re.MULTILINE | re.DOTALL):
        prefix = f"{name[1]}." if (name := re.fullmatch(r"`\[+(\w+)\]+`", section)) else ""
        for key, default in re.findall(r"^\| `(\w+)` \| (.*?) \| .{10,} \|$", text, re.MULTILINE):
            explained[f"{prefix}{key}"] = default
    assert explained == {key: written(default) for key, default in keys().items() if key != "packs"}


def test_every_example_of_the_manual_is_right(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)
    assert len(examples) == 16
    for example in examples:
        head = "" if "agent =" in example else 'name = "a"\nagent = "b"\n'
        (tmp_path / "example.toml").write_text(head + example)
        read(tmp_path / "example.toml")


def test_the_mistake_that_the_manual_shows_is_the_one_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "promo.toml"
    told = refused(path, '\n\nname = "a"\nagent = "b"\n\n[window]\ndys = []\n')
    assert told.replace(str(path), "campaigns/summer_promo.toml") in MANUAL
