"""Nothing secret or personal gets into a log, a trace or the text of an exception."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from shared import redaction, telemetry
from shared.settings import Settings

CHECKOUT = Path(__file__).parents[3]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")

SECRETS = {
    "amqp://orders:hunter2@rabbit:5671/": "hunter2",
    "connecting to postgresql://u:p%40ss@db/orderbus failed": "p%40ss",
    "Authorization: Bearer abc.def.ghi": "abc.def",
    "got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln here": "eyJ",
    "whsec_c2VjcmV0c2VjcmV0": "c2VjcmV0",
    "sk_test_51HxyzABCDEF": "51Hxyz",
    "password=hunter2 x": "hunter2",
    '{"token": "hunter2"}': "hunter2",
    "write to li.lei@example.com!": "li.lei",
    "call +8613800000000 now": "13800000000",
    "call +44 20 7946 0958": "7946",
    "call 13800000000": "13800000000",
    "card 4111 1111 1111 1111": "1111",
    "from a@b.cn,li.lei@example.com": "li.lei",
    "(li.lei@example.com;han@example.com)": "han@",
    "-amqp://orders:hunter2@rabbit": "hunter2",
}


@pytest.mark.parametrize(("said", "secret"), SECRETS.items())
def test_a_text_loses_its_secrets(said: str, secret: str) -> None:
    assert secret not in redaction.text(said)


@pytest.mark.parametrize(
    "said",
    [
        "waiting for Postgres",
        "/api/orders/{order_id}/cancel",
        "0193a5b2-1234-7123-8123-123456789012",
        "2026-11-24T22:35:11.123456Z",
        "T-20261124-000017",
        "[Errno 111] Connect call failed ('127.0.0.1', 5432)",
    ],
)
def test_what_is_needed_stays(said: str) -> None:
    assert redaction.text(said) == said


@pytest.mark.parametrize("word", ["a", "a.b-", "@a", "eyJ-", "a@", "4 1 ", "password:"])
def test_a_long_text_is_cut_before_it_is_looked_through(word: str) -> None:
    assert len(redaction.text(word * 1_000_000)) <= redaction.LONGEST


def test_what_is_cut_leaves_no_piece_of_a_secret() -> None:
    addresses = "li.lei@example.com " * 300

    assert "li" not in redaction.text(addresses)


class Person(BaseModel):
    name: int


def failures() -> list[Exception]:
    found: list[Exception] = [KeyError("李雷"), ValueError("李雷 lives at 文三路"), RuntimeError("李雷")]
    row = asyncpg.CheckViolationError("new row violates check")
    row.detail, row.constraint_name, row.table_name = "Failing row contains (李雷).", "refunded_never_exceeds_captured", "orders"
    found.append(row)
    try:
        Person.model_validate({"name": "李雷"})
    except ValidationError as error:
        found.append(error)
    return found


@pytest.mark.parametrize("failure", failures(), ids=lambda failure: type(failure).__name__)
def test_an_exception_is_logged_by_its_kind_and_place(failure: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"postgres_url": SecretStr("x"), "rabbitmq_url": SecretStr("x"), "auth_jwks": "x", "otlp_endpoint": None}
    telemetry.configure(Settings(**told), "orders")  # type: ignore[arg-type]
    log = structlog.get_logger()
    try:
        try:
            raise failure
        except Exception as cause:
            raise LookupError("of 李雷") from cause
    except LookupError as error:
        log.error(
            "request failed", exc_info=error, customer={"name": "李雷"}, error=repr(failure), reason=f"ValueError: {failure}"
        )
        log.exception("a job failed", job="charge")
        logging.getLogger("asyncio").exception("Task of %s was never retrieved", "+8613800000000")
        logging.getLogger("a.library").warning("lost %r: %s", failure, failure)
    finally:
        structlog.reset_defaults()
        root = logging.getLogger()
        root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler.formatter, redaction.Lines)]

    said = capsys.readouterr().out
    lines = [json.loads(line) for line in said.splitlines()]
    assert len(lines) == 4
    assert "李雷" not in said
    assert "138000" not in said
    assert lines[0]["customer"] == redaction.HIDDEN
    assert f"{type(failure).__name__}" in lines[0]["exception"]
    assert "test_redaction.py:" in lines[1]["exception"]
    assert lines[1]["job"] == "charge"


def test_failures_of_the_database_say_where_and_of_connections_say_all() -> None:
    said = [redaction.summary(failure) for failure in failures()]
    assert "asyncpg.exceptions.CheckViolationError 23514 orders refunded_never_exceeds_captured" in said
    assert redaction.summary(ConnectionRefusedError(111, "amqp://a:b@c refused")).endswith("amqp://[hidden]@c refused")


def test_the_server_that_cannot_be_reached_is_named() -> None:
    said = 'Connection attempt to "amqp://orderbus:******@rabbitmq.prod.svc:5672/" failed; ask l@example.com, (j@example.com)'

    assert redaction.text(said) == (
        'Connection attempt to "amqp://[hidden]@rabbitmq.prod.svc:5672/" failed; ask [e-mail], ([e-mail])'
    )


def test_settings_do_not_show_their_secrets() -> None:
    told = {"postgres_url": "postgresql://u:hunter2@db/x", "rabbitmq_url": "amqp://u:hunter2@r", "auth_jwks": "x"}
    settings = Settings(**told)  # type: ignore[arg-type]
    with pytest.raises(ValidationError) as wrong:
        Settings(**told, pool_size="hunter2")  # type: ignore[arg-type]

    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(wrong.value)):
        assert "hunter2" not in shown


def fields_of_log_lines() -> Iterator[tuple[str, str]]:
    """Each field that our own code names in a log line, with the line's place."""
    for path in (path for room in ("shared", "services") for path in (CHECKOUT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level), keywords=keywords) if level in LEVELS:
                    for keyword in keywords:
                        if keyword.arg is not None:  # what is spread by ** has been named elsewhere
                            yield keyword.arg, f"{path.relative_to(CHECKOUT)}:{node.lineno}"


def test_what_our_own_lines_say_is_shown() -> None:
    said = list(fields_of_log_lines())

    assert {"queue", "times", "job"} <= {name for name, _ in said}, "the lines themselves were not found"
    assert {place: name for name, place in said if name not in redaction.SHOWN} == {}
