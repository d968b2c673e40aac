"""Signatures, checked by the documented samples themselves: Node's in node, Python's in Python."""

import hashlib
import hmac
import json
import random
import shutil
import struct
import subprocess

import pytest

from dialer.simulator.signature import sealed, stringify

SECRET = "whsec_simulator"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
VERIFY = """
const crypto = require('crypto');
function verifyWebhook(payload, signature, webhookSecret) {
  const expectedSignature = crypto
    .createHmac('sha256', webhookSecret)
    .update(JSON.stringify(payload))
    .digest('hex');
  return signature === expectedSignature;
}
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n').map(line => JSON.parse(line));
console.log(JSON.stringify(lines.map(l => verifyWebhook(JSON.parse(l.body), l.signature, l.secret))));
"""
STRINGIFY = """
const lines = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(lines.map(text => JSON.stringify(JSON.parse(text)))));
"""


def node(script, text):
    done = subprocess.run([NODE, "-e", script], input=text, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def verified_by_node(sink, secret=SECRET):
    lines = [
        json.dumps({"body": body.decode(), "signature": headers["X-Calldock-Signature"], "secret": secret})
        for body, headers in zip(sink.bodies, sink.headers, strict=True)
    ]
    return node(VERIFY, "\n".join(lines))


def verified_by_python(body, signature, secret=SECRET):
    payload = json.loads(body)
    expected = hmac.new(
        secret.encode("utf-8"), json.dumps(payload).encode("utf-8"), hashlib.sha256
    ).hexdigest()
    return signature == expected


def verified_raw(body, signature):
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest() == signature


async def calls(simulator, call, count=12):
    """Lengths that give whole and broken minutes, names and metadata in many scripts, odd numbers."""
    simulator.scenario.webhook.echo = True
    for n in range(count):
        simulator.scenario.call.seconds = 60 * n if n % 2 else 60 * n + 7
        await call(
            f"+1555000{n:04d}",
            name=["José", "李小龍", "Zoë 😀", 'quote " back \\ slash'][n % 4],
            metadata={"b": 1.0, "2": 2.5, "1": 1e21, "x": [True, None, -0.0, 1e-7], "ü": "\u2028\x01\x7f"},
        )
    await simulator.idle()


@needs_node
@pytest.mark.parametrize("wire", ["signed", "compact", "spaced"])
async def test_the_node_form_passes_the_documented_node_check(simulator, sink, call, wire):
    simulator.scenario.webhook.wire = wire
    await calls(simulator, call)
    assert verified_by_node(sink) == [True] * 12
    assert verified_by_node(sink, "another secret") == [False] * 12
    raw = [
        verified_raw(body, headers["X-Calldock-Signature"])
        for body, headers in zip(sink.bodies, sink.headers, strict=True)
    ]
    assert raw == [wire != "spaced"] * 12


@pytest.mark.parametrize("wire", ["signed", "compact", "spaced"])
async def test_the_python_form_passes_the_documented_python_check(simulator, sink, call, wire):
    simulator.scenario.webhook.signature = "python"
    simulator.scenario.webhook.wire = wire
    await calls(simulator, call)
    signatures = [headers["X-Calldock-Signature"] for headers in sink.headers]
    pairs = list(zip(sink.bodies, signatures, strict=True))
    assert [verified_by_python(*pair) for pair in pairs] == [True] * 12
    assert [verified_raw(*pair) for pair in pairs] == [wire == "signed"] * 12
    if NODE:
        assert verified_by_node(sink) == [False] * 12


async def test_the_raw_form_is_over_exactly_what_is_sent_and_nothing_else(simulator, sink, call):
    simulator.scenario.webhook.signature = "raw"
    await calls(simulator, call)
    for body, headers in zip(sink.bodies, sink.headers, strict=True):
        assert verified_raw(body, headers["X-Calldock-Signature"])
        assert not verified_by_python(body, headers["X-Calldock-Signature"])
    if NODE:
        assert verified_by_node(sink) == [False] * 12


async def test_an_agent_can_sign_in_a_form_of_its_own(simulator, sink, call):
    simulator.scenario.agents[0].signature = "python"
    await calls(simulator, call, 1)
    assert verified_by_python(sink.bodies[0], sink.headers[0]["X-Calldock-Signature"])


@needs_node
async def test_a_forged_report_fails_the_check_and_the_true_one_follows(simulator, sink, call):
    simulator.scenario.webhook.forged = 1
    await call()
    await simulator.idle()
    assert sorted(verified_by_node(sink)) == [False, True]


@needs_node
async def test_a_report_sent_by_hand_is_signed_or_forged(simulator, sink):
    await simulator.send_report({"call_id": "conv_1", "phone_number": "+1", "credits_deducted": 1.0})
    await simulator.send_report({"call_id": "conv_2"}, secret="wrong")
    assert verified_by_node(sink) == [True, False]


@needs_node
def test_stringify_writes_what_node_writes():
    dice = random.Random(7)
    doubles = [struct.unpack("<d", struct.pack("<Q", dice.getrandbits(64)))[0] for _ in range(3000)]
    texts = [json.dumps(number) for number in doubles if number == number and abs(number) != float("inf")]
    texts += [json.dumps(dice.uniform(-1, 1) * 10.0 ** dice.randint(-9, 24)) for _ in range(2000)]
    texts += [
        "0.0",
        "-0.0",
        "1.0",
        "100.0",
        "1e21",
        "1e20",
        "123e18",
        "9007199254740993",
        "1e-6",
        "1e-7",
        "0.1",
    ]
    texts += [
        "5e-324",
        "1.7976931348623157e308",
        "1e400",
        "-1e16",
        "12345678901234567890123",
        "1.5e300",
        "1e22",
    ]
    texts += ['{"b":1,"10":2,"9":3,"01":4,"4294967295":5,"4294967294":6,"a":{"1":1.0}}', "[]", "{}", '""']
    texts += [
        r'"\ud800 \udc00 \ud83d\ude00 \u2028 \u0000\b\f\n\r\t\u001f\u007f\/\"\\"',
        '"é 漢 😀"',
        "[1,[2.50,null]]",
    ]
    assert [stringify(json.loads(text)) for text in texts] == node(STRINGIFY, json.dumps(texts))


def test_a_value_without_a_json_form_is_refused():
    with pytest.raises(TypeError):
        stringify({"1": object()})


def test_the_wire_changes_the_body_and_not_the_signature():
    payload = {"a": 1.0, "name": "é", "n": [1, 2]}
    for form in ("node", "python"):
        sent = [sealed(payload, secret="s", form=form, wire=wire) for wire in ("signed", "spaced")]
        assert sent[0][1] == sent[1][1]
        assert sent[0][0] != sent[1][0]
        assert json.loads(sent[0][0]) == json.loads(sent[1][0]) == payload
