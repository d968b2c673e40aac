"""What the settings say of each agent, in the words of the parts: caller, sender, token secrets, mark of its key."""

import hashlib

from dialer.calldock.signature import Form, Verifier
from dialer.engine.dial import Caller
from dialer.engine.passage import Line
from dialer.engine.purse import Ceilings
from dialer.settings import Agent, Settings
from dialer.web.webhook import Sender


def caller(name: str, agent: Agent, settings: Settings) -> Caller:
    """An agent's line and credentials."""
    return Caller(
        Line(
            name,
            agent.calls_per_second,
            agent.max_live_calls,
            token_secrets(name, settings)[0],
            Ceilings(agent.credits_per_day, settings.budget.credits_per_day, settings.budget.timezone),
            key_mark(agent),
            agent.speed_lane,
        ),
        agent.agent_id,
        agent.api_key.get_secret_value(),
    )


def token_secrets(name: str, settings: Settings) -> tuple[bytes, ...]:
    """What signs an agent's tokens, the one in use first: ``correlation.secret``, then each webhook secret.

    A token signed with any of them is ours, so that calls under way survive a rotation.
    """
    agent = settings.agents[name]
    bases = [settings.correlation.secret, *agent.webhook_secrets]
    said = [base.get_secret_value() for base in bases if base.get_secret_value()] or [agent.agent_id]
    return tuple(hashlib.sha256(b"dialer token\0" + base.encode()).digest() for base in said)


def sender(name: str, agent: Agent) -> Sender:
    """An agent as the door knows it."""
    verifier = Verifier(
        [secret.get_secret_value() for secret in agent.webhook_secrets],
        [Form(form) for form in agent.signature_forms],
    )
    return Sender(name, agent.agent_id, None if agent.allow_unsigned else verifier)


def key_mark(agent: Agent) -> str:
    """A mark that tells one API key from another and gives neither away."""
    return hashlib.blake2b(
        agent.api_key.get_secret_value().encode(), digest_size=8, person=b"dialer"
    ).hexdigest()
