import asyncio
import hashlib
import hmac
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calldock.report import Report, parse
from dialer.calldock.signature import (
    ALL,
    LARGEST_FALLBACK,
    BadSignature,
    Form,
    Verified,
    Verifier,
    verify,
    verify_forms,
    verify_raw,
)
from dialer.domain.errors import ConfigError

SECRET = "whsec_of_sales"


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def stringified(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def test_the_received_bytes_may_be_what_was_signed(sample):
    raw = sample("webhook.json")
    assert verify(raw, sign(raw), [SECRET]) == Verified(Form.RAW, raw)
    assert verify_raw(raw, sign(raw), [SECRET]) == Verified(Form.RAW, raw)


def test_the_node_sample_signs_what_stringify_writes(sample):
    raw = sample("webhook.json")
    compact = stringified(json.loads(raw))
    assert compact != raw
    assert verify(raw, sign(compact), [SECRET]) == Verified(Form.NODE, compact)
    assert verify_forms(raw, sign(compact), [SECRET]) == Verified(Form.NODE, compact)
    assert isinstance(verify_raw(raw, sign(compact), [SECRET]), BadSignature)


def test_the_python_sample_signs_what_dumps_writes(sample):
    raw = sample("webhook.json").replace(b"John", "Jörg".encode())
    dumped = json.dumps(json.loads(raw)).encode()
    assert verify(raw, sign(dumped), [SECRET]) == Verified(Form.PYTHON, dumped)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here to sign with")
def test_the_documented_node_code_signs_and_we_accept(sample):
    program = """
        const crypto = require("crypto");
        const payload = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const hmac = crypto.createHmac("sha256", "whsec_of_sales").update(JSON.stringify(payload));
        process.stdout.write(hmac.digest("hex"));
    """
    raw = (
        sample("webhook.json").replace(b"2.35", b"2.350e-6").replace(b"Hey", "Hé \u2028 \U0001f600".encode())
    )
    signature = subprocess.run(
        ["node", "-e", program], input=raw, capture_output=True, check=True
    ).stdout.decode()
    found = verify(raw, signature, [SECRET])
    assert isinstance(found, Verified)
    assert found.form is Form.NODE


def test_only_what_was_signed_reaches_the_parser():
    signed = b'{"call_id":"conv_2","credits_deducted":2}'
    raw = b'{"call_id":"conv_1","call_id":"conv_2","credits_deducted":2.0}'
    found = verify(raw, sign(signed), [SECRET])
    assert found == Verified(Form.NODE, signed)
    assert isinstance(found, Verified)
    report = parse(found.body)
    assert isinstance(report, Report)
    assert report.call_id == "conv_2"


@pytest.mark.parametrize("dress", [str, str.upper, "sha256={}".format, "SHA256={}".format, "  {} ".format])
def test_a_signature_may_be_dressed_in_the_usual_ways(dress):
    assert isinstance(verify(b"{}", dress(sign(b"{}")), [SECRET]), Verified)


@pytest.mark.parametrize(
    "header",
    [None, "", " ", "sha256=", "0" * 63, "0" * 65, "g" * 64, "é" * 64, "\ud800", "٠" * 64, "sha1=" + "0" * 40,
     "0" * 64 + "\x00", "0" * 100_000, "ſ" * 64, "K" * 64],
)  # fmt: skip
def test_a_header_that_is_no_signature_is_bad_and_nothing_else(header):
    assert isinstance(verify(b"{}", header, [SECRET]), BadSignature)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\xff\xfe", b"NaN", b"[" * 200_000, b'{"a":' * 50_000, b"9" * 5000, b"1e400", b'"\\ud800"',
     b"[1,1e999999999999]", b'{"a":1}{"a":2}'],
)  # fmt: skip
def test_a_hostile_body_that_nobody_signed_is_bad_and_nothing_else(raw):
    assert isinstance(verify(raw, "0" * 64, [SECRET]), BadSignature)


def test_no_bit_may_be_changed(sample):
    raw = sample("webhook.json")
    signature = sign(raw)
    for place in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[place] ^= 1
        assert isinstance(verify(bytes(changed), signature, [SECRET]), BadSignature)
    for place, digit in enumerate(signature):
        other = signature[:place] + ("0" if digit != "0" else "1") + signature[place + 1 :]
        assert isinstance(verify(raw, other, [SECRET]), BadSignature)


def test_both_secrets_count_during_a_rotation_and_no_other():
    old, new = sign(b"{}", "old"), sign(b"{}", "new")
    assert isinstance(verify(b"{}", old, ["old", "new"]), Verified)
    assert isinstance(verify(b"{}", new, ["old", "new"]), Verified)
    assert isinstance(verify(b"{}", old, ["new"]), BadSignature)


def test_no_secret_and_an_empty_secret_match_nothing():
    assert isinstance(verify(b"{}", sign(b"{}", ""), []), BadSignature)
    assert isinstance(verify(b"{}", sign(b"{}", ""), [""]), BadSignature)
    for secrets in ([], [""], ["good", ""]):
        with pytest.raises(ConfigError, match="webhook_secrets"):
            Verifier(secrets)


def test_a_body_too_large_to_write_again_counts_only_as_received():
    raw = b'{"a": "' + b"x" * LARGEST_FALLBACK + b'"}'
    compact = stringified(json.loads(raw))
    assert isinstance(verify(raw, sign(compact), [SECRET]), BadSignature)
    assert isinstance(verify(raw, sign(raw), [SECRET]), Verified)


def test_a_form_that_is_not_allowed_does_not_count():
    raw, compact = b'{"a": 1}', b'{"a":1}'
    assert isinstance(verify(raw, sign(compact), [SECRET], (Form.RAW, Form.PYTHON)), BadSignature)
    assert isinstance(verify(compact, sign(compact), [SECRET], (Form.PYTHON,)), BadSignature)
    assert isinstance(verify_forms(raw, sign(raw), [SECRET], ALL), Verified)  # for raw is what Python writes
    assert isinstance(verify_forms(b'{ "a":1}', sign(b'{ "a":1}'), [SECRET], ALL), BadSignature)


async def test_a_verifier_remembers_the_form_and_still_takes_the_others(sample):
    raw = sample("webhook.json").replace(b"John", "Jörg".encode())
    verifier = Verifier([SECRET])
    assert verifier.learned is None
    for form, signed in [
        (Form.PYTHON, json.dumps(json.loads(raw)).encode()),
        (Form.NODE, stringified(json.loads(raw))),
        (Form.RAW, raw),
    ]:
        assert await verifier.verify(raw, sign(signed)) == Verified(form, signed)
        assert verifier.learned is form
        assert isinstance(await verifier.verify(raw, sign(signed, "other")), BadSignature)
        assert isinstance(await verifier.verify(raw, "nonsense"), BadSignature)
        assert verifier.learned is form


async def test_a_verifier_keeps_to_the_forms_it_was_given():
    raw, compact = b'{"a": 1}', b'{"a":1}'
    assert isinstance(await Verifier([SECRET], (Form.NODE,)).verify(raw, sign(raw)), BadSignature)
    assert isinstance(await Verifier([SECRET], (Form.NODE,)).verify(raw, sign(compact)), Verified)
    assert isinstance(await Verifier([SECRET], (Form.RAW,)).verify(raw, sign(compact)), BadSignature)


async def test_the_loop_turns_while_a_large_body_is_written_again():
    raw = json.dumps({"turns": [{"message": "x" * 20, "at": n / 8} for n in range(5000)]}).encode()
    assert len(raw) < LARGEST_FALLBACK
    turns = 0

    async def tick():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    found = await Verifier([SECRET]).verify(raw, "0" * 64)
    ticking.cancel()
    assert isinstance(found, BadSignature)
    assert turns > 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(json_values, st.booleans(), st.booleans())
def test_whatever_a_python_signer_sends_however_it_was_written_is_accepted(value, ascii_only, spaced):
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=2 if spaced else None).encode()
    dumped = json.dumps(value).encode()
    found = verify(raw, sign(dumped), [SECRET])
    assert isinstance(found, Verified)
    assert found.body == dumped


@given(st.binary(max_size=200), st.text(max_size=80))
def test_no_bytes_and_no_header_can_hurt(raw, header):
    assert isinstance(verify(raw, header, [SECRET]), BadSignature)
