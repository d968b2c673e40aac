"""Turns what pydantic found into sentences: where, which key, what is wrong, how to mend it.

Pydantic's ``input`` is never read, so no value of a secret can get into a sentence.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dialer.domain.errors import ConfigError
from dialer.settings.environment import NAMED, table
from dialer.settings.model import Settings

Origin = Callable[[Sequence[str]], str]


class Mistakes(ConfigError):
    """All that is wrong with the settings; ``sentences`` has them one by one."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


def _keys_beside(key: Sequence[str]) -> list[str]:
    """The keys that may stand where ``key`` stands."""
    if len(key) == 1:
        return list(Settings.model_fields)
    field = Settings.model_fields.get(key[0])
    section = table(field.annotation) if field is not None else None
    deep = 3 if key[0] in NAMED else 2
    return list(section.model_fields) if section is not None and len(key) == deep else []


def _unknown(key: Sequence[str]) -> str:
    names = _keys_beside(key)
    near = difflib.get_close_matches(key[-1], names, n=1, cutoff=0.6)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here: {', '.join(names)}"


def _sentence(key: Sequence[str], problem: str, origin: Origin) -> str:
    return f"{origin(key)}: {'.'.join(key)}: {problem}" if key else f"{origin(key)}: {problem}"


def _describe(error: ErrorDetails, origin: Origin) -> Iterator[str]:
    key = tuple(str(part) for part in error["loc"])
    match error["type"]:
        case "contradiction":
            for other, problem in error["ctx"]["found"]:
                yield _sentence(other, problem, origin)
        case "extra_forbidden":
            yield _sentence(key, _unknown(key), origin)
        case "missing":
            section = ".".join(key[:-1])
            yield _sentence(key, f'is missing; add {key[-1]} = "…" under [{section}]', origin)
        case "string_pattern_mismatch" if key[-1:] == ("[key]",):
            yield _sentence(
                key[:-1], 'is no name; use a-z, 0-9, "-" and "_", beginning with a letter', origin
            )
        case "model_type" | "dict_type":
            yield _sentence(key, f"is a section; write [{'.'.join(key)}] and its keys below", origin)
        case "value_error":
            yield _sentence(key, str(error["ctx"]["error"]), origin)
        case _:
            yield _sentence(key, error["msg"][:1].lower() + error["msg"][1:], origin)


def describe(error: ValidationError, origin: Origin) -> Mistakes:
    """Every mistake in ``error``; ``origin`` says where a key was set."""
    found = error.errors(include_url=False, include_input=False)
    return Mistakes([sentence for each in found for sentence in _describe(each, origin)])
