"""What the settings say of each agent to the two ends of the wire: who calls, and who sends reports."""

from dialer.calldock.signature import Form, Verifier
from dialer.daemon.identity import line
from dialer.engine.dial import Caller
from dialer.settings import Agent, Settings
from dialer.web.webhook import Sender


def caller(name: str, agent: Agent, settings: Settings) -> Caller:
    """An agent's line and credentials."""
    return Caller(line(name, agent, settings), agent.agent_id, agent.api_key.get_secret_value())


def sender(name: str, agent: Agent) -> Sender:
    """An agent as the door knows it."""
    verifier = Verifier(
        [secret.get_secret_value() for secret in agent.webhook_secrets],
        [Form(form) for form in agent.signature_forms],
    )
    return Sender(name, agent.agent_id, None if agent.allow_unsigned else verifier)
