"""The four HTTP APIs keep the promises of their OpenAPI documents, whatever is sent: no failure of ours, no answer that
is not in the document or not of its shape. Requests are made from the documents by Schemathesis, the same each time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.services import SERVICES
from deploy.stack.servers import Servers
from tests.service.house import a_house

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12
"""Of right and of wrong requests, for each route; more by hand when a route has changed."""


# the service uses the same `random` meanwhile, in the other thread
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize("service", SERVICES)
async def test_the_api_answers_as_its_document_says(service: str, servers: Servers, tmp_path: Path) -> None:
    async with a_house(service, servers, tmp_path) as house:
        document = (await house.service.get("/openapi.json")).json()
        token = house.service.headers["authorization"]
        # its requests block, and the service answers in this thread
        asked = await asyncio.to_thread(_ask_everything, document, str(house.service.base_url), {"authorization": token})
    assert asked == {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


def _ask_everything(document: dict[str, Any], url: str, headers: dict[str, str]) -> set[str]:
    schema = schemathesis.openapi.from_dict(document)
    asked = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # raises what is wrong with the document
        asked.add(f"{operation.method.upper()} {operation.path}")
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _ask(operation, mode, url, headers)
    return asked


def _ask(operation: Any, mode: GenerationMode, url: str, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any) -> None:
        response = case.call(base_url=url, headers=headers, timeout=10)
        case.validate_response(response, checks=CHECKS)

    try:
        asked()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:  # there is nothing wrong to send to a route without parameters
            raise
