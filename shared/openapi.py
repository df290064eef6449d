"""What the OpenAPI document says beside the routes' own shapes: bearer tokens, Idempotency-Key, and the problems a route may
answer with."""

from typing import Any

from fastapi import FastAPI

PROBLEM = "application/problem+json"

_MEANINGS = {
    400: "What was sent is not what it should be.",
    401: "No token or signature, or one that is not valid.",
    403: "The token does not allow this.",
    404: "There is no such thing, or it is not the caller's.",
    408: "The body did not come in time.",
    409: "Not in the state that the thing is in.",
    413: "More than may be sent at a time.",
    414: "The query is too long.",
    415: "The body is not JSON, or its `content-type` does not say so.",
    422: "Well-formed, but it makes no sense; `errors` or `detail` say where.",
    429: "The allowance is used up; `Retry-After` says for how long.",
    503: "Try again shortly.",
}

_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457. `detail` is for people; further members are for programs.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Who sends the same again under the same key gets the first answer again, and nothing is done twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

_REPLAYED = {
    "description": "`true` when the Idempotency-Key had been used before, and this is what was answered then.",
    "schema": {"type": "string"},
}


LOCATION: dict[str, Any] = {"headers": {"Location": {"description": "The path of what was made.", "schema": {"type": "string"}}}}
"""Of a 201 that says where."""


def problems(path: str, *, writes: bool, secured: bool) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, as FastAPI's `responses`."""
    possible = {401, 414, 422, 429, 503}
    if secured:
        possible |= {403}
    if writes:
        possible |= {400, 404, 408, 409, 413} | ({415} if secured else set())
    if "{" in path:
        possible |= {404}
    return {status: _response(status) for status in sorted(possible)}


def _response(status: int) -> dict[str, Any]:
    headers = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}} if status in (429, 503) else {}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _MEANINGS[status], "content": content} | ({"headers": headers} if headers else {})


class Application(FastAPI):
    """FastAPI, with what its document leaves out."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        if "Problem" not in schemas:
            schemas["Problem"] = _SCHEMA
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            components["parameters"] = {"IdempotencyKey": _IDEMPOTENCY_KEY}
            for item in document["paths"].values():
                for method, operation in item.items():
                    if "403" in operation["responses"]:
                        operation["security"] = [{"bearer": []}]
                        if method != "get":
                            _may_be_repeated(operation)
        return document


def _may_be_repeated(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {})["Idempotent-Replayed"] = _REPLAYED
