"""Templates of notices: Jinja in a sandbox. What is missing is empty; what is told is text, never code.

A template comes from a campaign file and its values from strangers: names, and what was said on the phone.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST: Final = 4000
"""Characters of a template."""

MOST: Final = 20_000
"""Characters of what it makes."""


class BadTemplateError(ValueError):
    """The template is wrong, or makes too much; the message says where."""


def check(text: str) -> str:
    """The template, if it can be read. Raises BadTemplateError."""
    if len(text) > LONGEST:
        raise BadTemplateError(f"is longer than {LONGEST} characters")
    try:
        _ENVIRONMENTS[None].from_string(text)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise BadTemplateError(f"is no template{f', line {line}' if line else ''}: {error.message}") from None
    return text


def render(text: str, values: Mapping[str, Any], escape: Callable[[str], str] | None = None) -> str:
    """The text with its values; each value that is put in is given through ``escape``. Raises BadTemplateError."""
    try:
        made: str = _compiled(text, escape).render(values)
    except Exception as error:  # a template may do anything that an expression can: divide by nothing, say
        raise BadTemplateError(f"{type(error).__name__}: {error}"[:200]) from None
    if len(made) > MOST:
        raise BadTemplateError(f"makes more than {MOST} characters")
    return made


def slack(value: str) -> str:
    """Text as Slack's mrkdwn shows it: nobody's name may be a link or a mention of the channel."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _environment(escape: Callable[[str], str] | None) -> ImmutableSandboxedEnvironment:
    def finalize(value: Any) -> Any:
        if value is None:
            return ""
        return escape(str(value)) if escape is not None else value

    return ImmutableSandboxedEnvironment(
        undefined=ChainableUndefined, autoescape=False, finalize=finalize, keep_trailing_newline=True
    )


_ENVIRONMENTS: Final[dict[Callable[[str], str] | None, ImmutableSandboxedEnvironment]] = {
    escape: _environment(escape) for escape in (None, slack)
}


@lru_cache(maxsize=1024)
def _compiled(text: str, escape: Callable[[str], str] | None) -> Any:
    return _ENVIRONMENTS[escape].from_string(text)
