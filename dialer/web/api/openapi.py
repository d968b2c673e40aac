"""The OpenAPI 3.1 document, made from the table of operations."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dialer.web.api.operation import NAME, File, Nothing, Operation
from dialer.web.api.problem import TYPE, ProblemDetail

REF: Final = "#/components/schemas/{model}"
COMMON: Final = (400, 401, 403, 404, 405, 413, 429, 503)
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "name": {"type": "string", "pattern": NAME},
}


def document(operations: Iterable[Operation], prefix: str) -> dict[str, Any]:
    """The whole document."""
    operations = list(operations)
    models: list[type[BaseModel]] = [ProblemDetail]
    for operation in operations:
        said = (operation.answer, operation.query, operation.body)
        models += [model for model in said if model is not None and model is not File]
    modes = [
        (model, "validation" if model.__name__.startswith("Ask") else "serialization")
        for model in dict.fromkeys(models)
    ]
    references, schemas = models_json_schema(modes, ref_template=REF)  # type: ignore[arg-type]
    named = {model: references[(model, mode)] for model, mode in modes}  # type: ignore[index]
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, named, schemas["$defs"]
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dialer",
            "version": version("dialer"),
            "description": "Campaigns, contacts, calls and what they cost. Credits are decimal texts, times are UTC.",
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    operation: Operation, named: dict[type[BaseModel], dict[str, Any]], schemas: dict[str, Any]
) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": PARAMETERS[operation.parameters[name]]}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    if operation.query is not Nothing:
        query = schemas[operation.query.__name__]
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in query.get("required", []),
                "schema": {key: value for key, value in schema.items() if key != "title"},
            }
            for name, schema in query["properties"].items()
        ]
    if operation.repeatable:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A repeated request of the same key does nothing, and is answered as the first.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
            }
        )
    unread = {415} if operation.body or operation.takes else set()
    said: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs the role {operation.role}.",
        "parameters": parameters,
        "responses": {
            str(operation.status): {
                "description": HTTPStatus(operation.status).phrase,
                "content": {
                    operation.gives: {
                        "schema": {"type": "string"} if operation.answer is File else named[operation.answer]
                    }
                },
            },
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {TYPE: {"schema": named[ProblemDetail]}},
                }
                for status in sorted({*COMMON, *operation.problems, *unread})
            },
        },
    }
    if operation.body is not None:
        said["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": named[operation.body]}},
        }
    if operation.takes:
        said["requestBody"] = {
            "required": True,
            "content": {media: {"schema": {"type": "string"}} for media in operation.takes},
        }
    return said
