"""Answers in JSON, written fast."""

from collections.abc import Mapping

import orjson
from fastapi import Response

Document = dict[str, object]


def json_answer(document: Mapping[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
