"""Reads a scenario from TOML; every mistake is told with the file, the key and the mend."""

import tomllib
import typing
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError

from .scenario import Scenario


class ScenarioError(Exception):
    """The scenario is wrong; the message has one line for each mistake."""


def read_scenario(path: Path) -> Scenario:
    """The scenario in ``path`` (shape: docs/simulator.md). Raises ScenarioError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: is not TOML: {error}") from None
    try:
        return Scenario.model_validate(table)
    except ValidationError as error:
        raise ScenarioError(explain(error, str(path))) from None


def explain(error: ValidationError, source: str) -> str:
    """One line for each mistake: source, key, what is wrong, and the keys there are."""
    lines = []
    for mistake in error.errors(include_url=False, include_input=False):
        loc = mistake["loc"]
        key = ".".join(str(part) for part in loc)
        if mistake["type"] == "extra_forbidden":
            known = _keys(Scenario, loc[:-1])
            near = get_close_matches(str(loc[-1]), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            lines.append(f"{source}: {key}: unknown key; {hint}")
        else:
            message = mistake["msg"].removeprefix("Value error, ")
            lines.append(f"{source}: {key}: {message}" if key else f"{source}: {message}")
    return "\n".join(lines)


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        if isinstance(part, int):
            continue
        model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in typing.get_args(annotation):
        if found := _model_in(part):
            return found
    return None


def setting(source: str, table: BaseModel, key: str, value: object) -> None:
    """Set one key of a scenario, checked as the file would be. Raises ScenarioError naming ``source``."""
    try:
        setattr(table, key, value)
    except ValidationError as error:
        raise ScenarioError(explain(error, source)) from None
