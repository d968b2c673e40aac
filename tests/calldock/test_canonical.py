"""The canonical forms against their models: node itself where there is one, what node once wrote, and ``json``.

Run as a program, this writes ``samples/node_vectors.json`` again.
"""

import json
import math
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from dialer.calldock import canonical

HERE = Path(__file__).parent
VECTORS = HERE / "samples" / "node_vectors.json"

HAND = [
    "0", "-0", "-0.0", "0.0", "1.0", "2.00", "-1.50", "10", "1e0", "1E5", "1e+5", "100e-2", "1e-0",
    "0.1", "0.30000000000000004", "0.527", "2.35", "0.9", "1e20", "1e21", "1.5e21", "123456789012345678901",
    "999999999999999999999", "1000000000000000000000", "147573952589676412928", "9007199254740991",
    "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551616", "4.35", "0.000001",
    "0.0000015", "1e-5", "1.5e-5", "1e-6", "1.25e-6", "1e-7", "-1e-7", "1.5e-7", "1e-8", "1e-9", "9.99e-9",
    "1e-10", "1.5e-10", "1e-100", "5e-324", "2e-324", "1e-400", "1.7976931348623157e308", "1e308", "1e309", "-1e400",
    "1" * 25, "9" * 400, "0." + "1" * 50, "1e-00007", "4294967295", "0.1e1", "123e-20", "-5e-7",
    "true", "false", "null", '""', "[]", "{}", " \t\n\r[ 1 , 2 ] ", '[[],{},[{}]]',
    r'"\u0000\u0001\u001f\b\t\n\f\r\"\\\/"', '"/"', '"\x7f"', '"\u2028\u2029"', '"é李\U0001f600"', r'"\u00e9\u00E9"',
    r'"\ud83d\ude00"', r'"\uD83D\uDE00"', r'"\ud800"', r'"\uDFFF"', r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"',
    r'"x\ud800\u0061y"', r'"\ud800é"', r'"\\ud800"', r'{"\ud800":1}', '"\ufeff"', '"<\u00a0&>"',
    '{"b":1,"a":2}', '{"2":1,"b":2,"1":3,"a":4}', '{"10":0,"9":0,"01":0,"-1":0,"1.5":0,"0":0}',
    '{"4294967294":1,"4294967295":2,"4294967296":3,"0":4}', '{"99999999999":1,"x":2,"7":3}',
    '{"a":1,"a":2,"b":3,"a":4}',
    '{"1":"x","a":0,"1":"y"}', '{"__proto__":1,"constructor":2,"toString":3}', '{"__proto__":{"x":1},"a":2}',
    '{"":1,"0":2}', '{"٣":1,"1":2}', '{"a":{"2":{"1":0,"0":0},"1":[{"5":0,"4":0}]}}', '{"1e3":1,"2":2}',
    '{" 1":1,"1":2}',
    '"x-1e-7"', '{"1e-7":1e-7}', '[1e-7,"1e-7",0.00001,"0.00001"]', "[" * 100 + "]" * 100,
    "", " ", "01", "1.", ".5", "+1", "--1", "1e", "0x1", "NaN", "Infinity", "-Infinity", "nul", "[1,]", '{"a":1,}',
    "'a'", '"a', '"\n"', '"\t"', r'"\x41"', r'"\u12"', "[1 2]", "{1:2}", "\ufeff1", "1 2", "٣", "1_000", "[", '{"a"}',
]  # fmt: skip


def doubles(rng: random.Random) -> float:
    """Of any size and sort: random bits, few digits at any exponent, powers of two and their neighbours."""
    match rng.randrange(4):
        case 0:
            (value,) = struct.unpack("<d", rng.randbytes(8))
        case 1:
            value = float(f"{rng.randrange(10 ** rng.randrange(1, 17))}e{rng.randrange(-330, 310)}")
        case 2:
            value = math.nextafter(2.0 ** rng.randrange(-1074, 1023), rng.choice([0.0, math.inf]))
        case _:
            value = rng.randrange(10**6) / 10 ** rng.randrange(12)
    return value if math.isfinite(value) else 0.5


def number(rng: random.Random) -> str:
    value = doubles(rng)
    return rng.choice(
        [
            repr(value),
            f"{value:.17e}",
            f"{value:.3E}",
            str(rng.randrange(-(10**25), 10**25)),
            str(rng.randrange(99)),
        ]
    )


def string(rng: random.Random) -> str:
    ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x2020, 0x2030), (0x4E00, 0x4F00), (0x1F600, 0x1F640)]
    parts = []
    for _ in range(rng.randrange(6)):
        if rng.random() < 0.3:
            parts.append(f"\\u{rng.choice([rng.randrange(0x10000), rng.randrange(0xD700, 0xE100)]):04x}")
        else:
            character = chr(rng.randrange(*rng.choice(ranges)))
            parts.append({'"': '\\"', "\\": "\\\\"}.get(character, character))
    return '"' + "".join(parts) + '"'


def key(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return (
            f'"{rng.choice([rng.randrange(12), rng.randrange(2**32 - 3, 2**32 + 3), rng.randrange(10**12)])}"'
        )
    return string(rng)


def payload(rng: random.Random, depth: int = 0) -> str:
    space = rng.choice(["", "", " ", "\n\t"])
    match rng.randrange(5 if depth < 4 else 3):
        case 0:
            return number(rng)
        case 1:
            return string(rng)
        case 2:
            return rng.choice(["true", "false", "null"])
        case 3:
            inner = [payload(rng, depth + 1) for _ in range(rng.randrange(5))]
            return f"[{space}{f',{space}'.join(inner)}{space}]"
        case _:
            inner = [f"{key(rng)}{space}:{payload(rng, depth + 1)}" for _ in range(rng.randrange(6))]
            return f"{{{f'{space},'.join(inner)}{space}}}"


def payloads(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [payload(rng) for _ in range(count)]


def ask_node(texts: list[str]) -> list[str | None]:
    asked = subprocess.run(
        ["node", str(HERE / "canonical.mjs")],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
    )
    return json.loads(asked.stdout)


def ours(text: str) -> str | None:
    try:
        return canonical.node(text.encode()).decode()
    except (ValueError, RecursionError):
        return None


def test_what_node_once_wrote_is_what_we_write():
    vectors = json.loads(VECTORS.read_bytes())
    assert len(vectors) > 300
    for text, written in vectors:
        assert ours(text) == written, text


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node here to compare with")


@needs_node
def test_the_node_at_hand_still_writes_the_vectors():
    vectors = json.loads(VECTORS.read_bytes())
    assert ask_node([text for text, _ in vectors]) == [written for _, written in vectors]


@needs_node
def test_thousands_of_random_payloads_are_written_as_node_writes_them():
    texts = payloads(8000, seed=random.SystemRandom().randrange(2**32)) + [
        number(random.Random(n)) for n in range(8000)
    ]
    for text, written in zip(texts, ask_node(texts), strict=True):
        assert ours(text) == written, text


@needs_node
def test_the_documented_webhook_is_written_as_node_writes_it(sample):
    text = sample("webhook.json").decode()
    assert [ours(text)] == ask_node([text])


def test_the_python_form_is_json_dumps_of_json_loads(sample):
    for text in [sample("webhook.json").decode(), *payloads(500, seed=7), "1.0", "1e-07", "9" * 400, '"é"']:
        assert canonical.python(text.encode()) == json.dumps(json.loads(text)).encode()


@pytest.mark.parametrize("form", [canonical.node, canonical.python])
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"NaN", b"[Infinity]", b"\xff", b'"\xc3"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}",
        '"é"'.encode("utf-16"),
        b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_nobody_can_have_signed_is_refused(form, raw):
    with pytest.raises((ValueError, RecursionError)):
        form(raw)


def test_numbers_without_end_are_refused_or_written_as_their_model_does():
    assert canonical.node(b"9" * 5000) == b"null"
    with pytest.raises(ValueError, match="digits"):
        canonical.python(b"9" * 5000)
    with pytest.raises(ValueError, match="float"):
        canonical.python(b"1e400")


if __name__ == "__main__":
    texts = HAND + payloads(200, seed=1)
    VECTORS.write_text(json.dumps(list(zip(texts, ask_node(texts), strict=True)), indent=0) + "\n")
