"""Logs: JSON lines on standard output, with the trace and the order that the line is about, and nothing personal."""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from shared import redaction
from shared.settings import Settings

Ids = Callable[[], Mapping[str, str]]


def configure(settings: Settings, service: str, ids: Ids, now: Callable[[], str]) -> None:
    """From now on every line, ours and the libraries', has this form. `ids`: what is in hand where it is written."""

    def with_ids(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in ids().items():
            line.setdefault(name, value)
        return line

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            with_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redaction.processor,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    structlog.contextvars.bind_contextvars(service=service)
    redaction.take_over_logging(service, now, ids)
