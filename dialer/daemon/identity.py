"""What the settings say of each agent: its line, what signs its tokens, and the mark of its key."""

import hashlib

from dialer.engine.passage import Line
from dialer.engine.purse import Ceilings
from dialer.settings import Agent, Settings


def line(name: str, agent: Agent, settings: Settings) -> Line:
    """An agent as the gate sees it."""
    return Line(
        name,
        agent.calls_per_second,
        agent.max_live_calls,
        token_secrets(name, settings)[0],
        Ceilings(agent.credits_per_day, settings.budget.credits_per_day, settings.budget.timezone),
        key_mark(agent),
        agent.speed_lane,
    )


def token_secrets(name: str, settings: Settings) -> tuple[bytes, ...]:
    """What signs an agent's tokens, the one in use first: ``correlation.secret``, then each webhook secret.

    A token signed with any of them is ours, so that calls under way survive a rotation.
    """
    agent = settings.agents[name]
    bases = [settings.correlation.secret, *agent.webhook_secrets]
    said = [base.get_secret_value() for base in bases if base.get_secret_value()] or [agent.agent_id]
    return tuple(hashlib.sha256(b"dialer token\0" + base.encode()).digest() for base in said)


def key_mark(agent: Agent) -> str:
    """A mark that tells one API key from another and gives neither away."""
    return hashlib.blake2b(
        agent.api_key.get_secret_value().encode(), digest_size=8, person=b"dialer"
    ).hexdigest()
