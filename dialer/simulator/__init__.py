"""A Calldock to run against, with its own record of what was really placed.

Written from the provider's documentation alone, it shares no code with the daemon it tests.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .call import Call
    from .scenario import Agent, Answers, Calls, Limits, Outcome, RetryAfter, Rule, Scenario, Webhooks
    from .scenario_file import ScenarioError, read_scenario
    from .server import Simulator
    from .truth import read_truth

_HOMES = {
    "Call": "call",
    "Agent": "scenario",
    "Answers": "scenario",
    "Calls": "scenario",
    "Limits": "scenario",
    "Outcome": "scenario",
    "RetryAfter": "scenario",
    "Rule": "scenario",
    "Scenario": "scenario",
    "Webhooks": "scenario",
    "ScenarioError": "scenario_file",
    "read_scenario": "scenario_file",
    "Simulator": "server",
    "read_truth": "truth",
}

__all__ = [  # noqa: RUF022 - the order of use
    "Simulator",
    "Scenario",
    "Agent",
    "Answers",
    "Calls",
    "Limits",
    "Outcome",
    "RetryAfter",
    "Rule",
    "Webhooks",
    "Call",
    "ScenarioError",
    "read_scenario",
    "read_truth",
]


def __getattr__(name: str) -> Any:
    # The command line reads the options of `dialer simulator` at every start: aiohttp is loaded at first use.
    from importlib import import_module  # noqa: PLC0415

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
