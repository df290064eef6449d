"""What may be in a log: only fields that are known to hold nothing secret or personal, and of an exception its kind and
the places it went through. Texts that are shown lose what looks like a secret or a person's."""

import builtins
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import asyncpg

from shared import cards
from shared.problems import Problem

SHOWN = frozenset(
    {
        *("event", "level", "timestamp", "service", "logger", "exception"),
        *("port", "path", "status", "job", "duty", "tries", "rows", "events", "attempts", "type", "event_id", "subject"),
        *("letter", "payment_id", "order_id", "shipment_id", "error", "reason", "seconds", "name", "queue", "state", "count"),
        *("code", "why", "carrier", "waybill", "unreadable", "times", "inbox_days", "idempotency_keys"),
        *("trace_id", "exc_info", "stack_info"),
    }
)
"""Fields of log lines. Another one shows its name only, until it has been thought about and added here."""

HIDDEN = "[hidden]"
LONGEST = 2000

LOST = 100
"""What is cut off may leave a piece of a secret at the end, that no longer looks like one."""

SAYING = (
    ArithmeticError,
    AttributeError,
    ImportError,
    NameError,
    NotImplementedError,
    OSError,
    RecursionError,
    TimeoutError,
    TypeError,
)
"""Exceptions whose texts are about code and connections. What others say may repeat the data they failed at."""

SAYING_POSTGRES = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)

SAYING_MODULES = ("aio_pika.", "aiormq.", "aiohttp.", "redis.", "ssl.", "shared.partners.", "shared.jwks.")

_E_MAIL = re.compile(
    # from where its name begins: tried from each letter of it, a long word without an @ would take the square of its length
    r"(?<![^\s@<>'\"=(,;)])"
    # a URL that has lost its password is none: its host says which server it is
    rf"(?![A-Za-z][\w+.-]{{0,30}}://{re.escape(HIDDEN)}@)"
    r"[^\s@<>'\"=(,;)]+@[^\s@<>'\",;)]+\.[^\s@<>'\",;)]+"
)

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@]*@", re.IGNORECASE), rf"\1{HIDDEN}@"),  # a URL's user and password
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a JWT
    (re.compile(r"\b(?:whsec|sk|pk|rk|tok|pm|AC)_[A-Za-z0-9_+/=]{6,}"), HIDDEN),  # partners' keys and tokens
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_?key|authorization)(\W{1,4})[^\s,;&'\"]+"), rf"\1\2{HIDDEN}"),
    (_E_MAIL, "[e-mail]"),
    (re.compile(r"(?<![\w-])\+[1-9][0-9][0-9 ()-]{5,16}[0-9]\b"), "[phone]"),
    (re.compile(r"(?<![\w.:-])1[3-9][0-9]{9}(?![\w.-])"), "[phone]"),  # a Chinese mobile number without +86
)


def text(said: str) -> str:
    """The text without what looks like a secret, a telephone number, an e-mail address or a card number."""
    begins = said[: 2 * LONGEST]
    for pattern, instead in _SECRETS:
        begins = pattern.sub(instead, begins)
    shown = cards.masked_text(begins)
    return shown[:LONGEST] if len(said) <= 2 * LONGEST else shown[: max(0, len(shown) - LOST)][:LONGEST]


def exception(error: BaseException) -> str:
    """Its kind, the places it went through, and its text if that can only be about code or connections."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 5:
        frames = "".join(f"  {f.filename}:{f.lineno} {f.name}\n" for f in traceback.extract_tb(seen.__traceback__)[-30:])
        parts.append(f"{summary(seen)}\n{frames}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "caused by ".join(parts).rstrip()


def summary(error: BaseException) -> str:
    """One line: what kind of failure it is, and where in the database if it is the database's."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, Problem):
        return f"{kind}: {error.status}"
    if isinstance(error, SAYING_POSTGRES):
        return f"{kind}: {text(str(error))}"
    if (state := getattr(error, "sqlstate", None)) is not None:
        places = [getattr(error, f"{what}_name", None) for what in ("table", "column", "constraint")]
        return f"{kind} {state} {' '.join(filter(None, places))}".rstrip()
    if isinstance(error, SAYING) or kind.startswith(SAYING_MODULES):
        return f"{kind}: {text(str(error))}"
    return kind


def processor(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's: every line goes through it, before it is rendered."""
    shown: dict[str, Any] = {}
    for name, value in line.items():
        if name == "exc_info":
            if (error := _error_of(value)) is not None:
                shown["exception"] = exception(error)
        elif name not in SHOWN:
            shown[name] = HIDDEN
        elif isinstance(value, str):
            shown[name] = text(value) if name not in ("error", "reason") else _told(value)
        elif isinstance(value, BaseException):
            shown[name] = summary(value)
        else:
            shown[name] = value if isinstance(value, int | float | None) else text(str(value))
    return shown


def _told(said: str) -> str:
    """An exception that was put into words, as `Kind`, `Kind(...)` or `Kind: ...`: its kind, and the words if they may be."""
    found = re.match(r"[A-Za-z_][\w.]*(?=$|\(|: )", said)
    if found is None:
        return HIDDEN
    name = found[0].rpartition(".")[2]
    kind = getattr(builtins, name, None) or getattr(asyncpg, name, None)
    if isinstance(kind, type) and issubclass(kind, (*SAYING, *SAYING_POSTGRES)):
        return text(said)
    return found[0]


def _error_of(value: Any) -> BaseException | None:
    if isinstance(value, BaseException):
        return value
    if isinstance(value, tuple):
        return value[1] if isinstance(value[1], BaseException) else None
    return sys.exc_info()[1] if value else None


class Lines(logging.Formatter):
    """The libraries' own logs in the same form, through the same sieve."""

    def __init__(self, service: str, now: Callable[[], str], ids: Callable[[], Mapping[str, str]]) -> None:
        super().__init__()
        self._service = service
        self._now = now
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "service": self._service,
            "event": _message(record),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": self._now(),
            "exc_info": record.exc_info,
            **self._ids(),
        }
        return json.dumps(dict(processor(None, "", line)), ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """With summaries where exceptions were to be repeated, and nothing of what cannot be put into words."""
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(summary(each) if isinstance(each, BaseException) else each for each in arguments)
    try:
        return str(record.msg) % arguments if arguments else str(record.msg)
    except (TypeError, ValueError):
        return str(record.msg)


def take_over_logging(service: str, now: Callable[[], str], ids: Callable[[], Mapping[str, str]]) -> None:
    """From now on what libraries log is a line like ours, with the ids of what is in hand: warnings and worse."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Lines(service, now, ids))
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [known for known in root.handlers if not isinstance(known.formatter, Lines)]
    root.addHandler(handler)
