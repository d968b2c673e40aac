"""Vendors: how each signs its events, and how it says them. Pure; the door is ``web/hooks.py``."""

from dialer.intake.vendors.event import Delivery, Event, Read, Refused, Unreadable, Vendor
from dialer.intake.vendors.generic import Generic
from dialer.intake.vendors.hubspot import HubSpot
from dialer.intake.vendors.stripe import Stripe
from dialer.intake.vendors.typeform import Typeform

__all__ = [
    "Delivery", "Event", "Generic", "HubSpot", "Read", "Refused", "Stripe", "Typeform", "Unreadable", "Vendor",
]  # fmt: skip
