"""The post-call payload: every field of the documented sample, in its order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .call import Call
from .scenario import Webhooks

_TURNS = (
    ("agent", "Hey, is this {name}?"),
    ("user", "Yes, speaking."),
    ("agent", "I'm calling about your request — do you have a minute?"),
    ("user", "Sure, but quickly, I'm at the café… 😀"),
    ("agent", "Great. Shall I note “{intent}” for you?"),
    ("user", "Yes, thank you."),
    ("agent", "Done. Grüße, and have a nice day!"),
)


def zulu(moment: datetime) -> str:
    """``2024-01-15T10:30:00Z``: whole seconds, as documented."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def payload(call: Call, cost: Decimal, sent: datetime, webhook: Webhooks) -> dict[str, Any]:
    """The report of ``call`` that states ``cost`` credits; ``sent`` becomes ``webhook_timestamp``."""
    lead = call.lead
    phone, from_phone = _numbers(lead.phone, call.agent.from_number, webhook)
    talk = call.seconds > 0
    turns = _turns(call) if talk else []
    metadata: dict[str, Any] = {
        "summary": f"{lead.name or 'The contact'}: {call.intent}, {call.seconds} s — {call.outcome.status}.",
        "transcript": "\n".join(f"{turn['role'].capitalize()}: {turn['message']}" for turn in turns),
        "transcript_turns": turns,
    }
    if webhook.echo and lead.metadata:
        metadata = {**lead.metadata, **metadata}
    return {
        "webhook_version": "v1",
        "webhook_timestamp": zulu(sent),
        "webhook_type": "post_call",
        "call_id": call.conv_id,
        "agent_id": call.agent.agent_id,
        "phone_number": phone,
        "from_phone_number": from_phone,
        "status": call.outcome.status,
        "intent": call.intent,
        "intent_confidence": call.confidence,
        "lead_data": {"name": lead.name, "email": lead.email, "phone": lead.phone},
        "duration_minutes": round(call.seconds / 60, 2),
        "duration_seconds": call.seconds,
        "start_time": zulu(call.start),
        "end_time": zulu(call.start.replace(microsecond=0) + timedelta(seconds=call.seconds)),
        "call_successful": call.outcome.call_successful,
        "language": call.language,
        "credits_deducted": float(cost),
        "metadata": metadata,
        "recording_url": f"https://www.calldock.co/api/recordings/{call.conv_id}" if talk else None,
    }


def _turns(call: Call) -> list[dict[str, Any]]:
    name = call.lead.name or "there"
    step = max(call.seconds // len(_TURNS), 1)
    return [
        {
            "role": role,
            "message": text.format(name=name, intent=call.intent),
            "time_in_call_secs": index * step,
        }
        for index, (role, text) in enumerate(_TURNS)
        if index * step <= call.seconds
    ]


def _numbers(phone: str, from_phone: str, webhook: Webhooks) -> tuple[str, str]:
    match webhook.numbers:
        case "as_sent":
            return phone, from_phone
        case "digits":
            return phone.lstrip("+"), from_phone.lstrip("+")
        case "spaced":
            return f"{phone[:2]} {phone[2:5]} {phone[5:]}", from_phone
        case "swapped":
            return from_phone, phone
