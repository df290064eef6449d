"""Twilio's messages."""

import asyncio

import httpx
import pytest

from tests.unit.deploy.sandbox.waiting import until


def a_message(to: str = "+8613800000000", body: str = "On its way") -> dict[str, str]:
    return {"To": to, "From": "+15005550006", "Body": body}


async def test_a_message_is_queued_and_listed_newest_first(twilio: httpx.AsyncClient) -> None:
    first = await twilio.post("/Messages.json", data=a_message(body="one"))
    second = await twilio.post("/Messages.json", data=a_message(body="two"))
    await twilio.post("/Messages.json", data=a_message(to="+8613900000000"))
    listed = await twilio.get("/Messages.json", params={"To": "+8613800000000", "PageSize": "20"})

    assert (first.status_code, first.json()["status"]) == (201, "queued")
    assert first.json()["sid"].startswith("SM")
    assert listed.json()["messages"] == [second.json(), first.json()]


async def test_a_long_list_comes_in_pages(twilio: httpx.AsyncClient) -> None:
    for body in ("one", "two", "three"):
        await twilio.post("/Messages.json", data=a_message(body=body))
    first = (await twilio.get("/Messages.json", params={"PageSize": "2"})).json()
    last = (await twilio.get("/Messages.json", params={"PageSize": "2", "Page": "1"})).json()

    assert [message["body"] for message in first["messages"]] == ["three", "two"]
    assert first["next_page_uri"].endswith("Page=1")
    assert [message["body"] for message in last["messages"]] == ["one"]
    assert last["next_page_uri"] is None


async def test_a_message_whose_answer_never_comes_was_sent(twilio: httpx.AsyncClient) -> None:
    lost = asyncio.create_task(twilio.post("/Messages.json", data=a_message("+10000000408")))

    async def is_sent() -> bool:
        return bool((await twilio.get("/Messages.json", params={"To": "+10000000408"})).json()["messages"])

    await until(is_sent)
    listed = await twilio.get("/Messages.json", params={"To": "+10000000408"})

    assert not lost.done()
    assert len(listed.json()["messages"]) == 1
    await lost


async def test_a_server_error_comes_once_for_each_body(twilio: httpx.AsyncClient) -> None:
    failed = await twilio.post("/Messages.json", data=a_message("+10000000500"))
    listed = await twilio.get("/Messages.json", params={"To": "+10000000500"})
    again = await twilio.post("/Messages.json", data=a_message("+10000000500"))

    assert (failed.status_code, listed.json()["messages"], again.status_code) == (500, [], 201)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": "13800000000"}, 21211),
        ({"To": ""}, 21211),
        ({"From": ""}, 21603),
        ({"From": "Orderbus Shop"}, 21212),
        ({"From": "Läden"}, 21212),
        ({"From": "13800000000"}, 21212),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_a_wrong_message_is_refused_with_twilios_code(twilio: httpx.AsyncClient, change: dict[str, str], code: int) -> None:
    answer = await twilio.post("/Messages.json", data={**a_message(), **change})

    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_wrong_credentials_or_another_account_are_turned_away(
    twilio: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    wrong = await twilio.post("/Messages.json", data=a_message(), auth=("AC1", "wrong"))
    other = await control.post("/twilio/2010-04-01/Accounts/AC2/Messages.json", data=a_message(), auth=("AC1", "twilio-token"))

    assert (wrong.status_code, wrong.json()["code"]) == (401, 20003)
    assert (other.status_code, other.json()["code"]) == (404, 20404)
