"""Numbers as requests write them."""

from dialer.domain.phone import BadPhone, Phone, PhoneCheck, normalise
from dialer.intake.triggers import plain
from dialer.web.api.problem import Fault, Problem


def number(text: str) -> Phone:
    """The number of a body's ``phone``, with its country code. Raises Problem: 400, with what is wrong."""
    phone = normalise(plain(text.strip()), check=PhoneCheck.POSSIBLE, default_region=None)
    if isinstance(phone, BadPhone):
        raise Problem(400, "the number cannot be read", [Fault(at="body.phone", detail=f"it {phone.reason}")])
    return phone
