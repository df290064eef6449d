"""What Twilio's answers mean: which are of the shopper's number, and which of us."""

import pytest
import structlog

from services.logistics import sms
from services.logistics.settings import settings
from services.logistics.shipping import Answer, Told, Unknown
from tests.unit.logistics.answering import answering

PHONE = "+8613800000000"


def refusal(code: object) -> dict[str, object]:
    return {"code": code, "message": "-", "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": 400}


async def ask(monkeypatch: pytest.MonkeyPatch, status: int, said: object, *, find: bool = False) -> Answer | None:
    async with answering((status, said)) as twilio:
        for name in ("POSTGRES_URL", "RABBITMQ_URL", "AUTH_JWKS", "TWILIO_ACCOUNT_SID"):
            monkeypatch.setenv(f"ORDERBUS_{name}", "-")
        monkeypatch.setenv("ORDERBUS_TWILIO_URL", twilio.url)
        for remembered in (settings, sms._twilio):
            remembered.cache_clear()
        try:
            return await sms.find(PHONE, "1234567890") if find else await sms.send(PHONE, "On its way: 1234567890")
        finally:
            monkeypatch.undo()
            for remembered in (settings, sms._twilio):
                remembered.cache_clear()


@pytest.mark.parametrize("code", [21211, 21214, 21217, 21265, 21266, 21268, 21408, 21610, 21612, 21614, 21635])
@pytest.mark.parametrize("status", [400, 403])
async def test_a_number_that_cannot_be_texted_is_told_in_the_app(monkeypatch: pytest.MonkeyPatch, status: int, code: int) -> None:
    assert await ask(monkeypatch, status, refusal(code)) == Told("app")


@pytest.mark.parametrize("code", [21212, 21603, 21606, 21608, 21617, 21659, 20003, 99999, None, "21211", [21211]])
async def test_a_refusal_of_us_is_shown_and_asked_again(monkeypatch: pytest.MonkeyPatch, code: object) -> None:
    with structlog.testing.capture_logs() as logs:
        assert await ask(monkeypatch, 400, refusal(code)) == Unknown()

    assert [(line["log_level"], line["code"]) for line in logs if "Twilio" in line["event"]] == [
        ("error", code if isinstance(code, int) else None)
    ]


@pytest.mark.parametrize("said", [None, [], "no", {}])
async def test_a_refusal_without_a_code_says_nothing_of_the_number(monkeypatch: pytest.MonkeyPatch, said: object) -> None:
    assert await ask(monkeypatch, 400, said) == Unknown()


@pytest.mark.parametrize("said", [None, [], {}, {"messages": None}, {"messages": [None]}, {"messages": [{}]}])
async def test_a_list_that_cannot_be_read_does_not_say_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    assert await ask(monkeypatch, 200, said, find=True) == Unknown()


async def test_a_message_with_the_number_was_sent_and_another_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, object] = {"messages": [{"body": None}, {"body": "On its way: 1234567890"}]}

    assert await ask(monkeypatch, 200, sent, find=True) == Told("sms")
    assert await ask(monkeypatch, 200, {"messages": [{"body": "another"}]}, find=True) is None
