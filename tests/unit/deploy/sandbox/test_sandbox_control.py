"""The ledger, the faults, and whether the sandbox is up."""

import httpx
import pytest
from pydantic import ValidationError

from deploy.sandbox.settings import Settings


def a_charge(order_id: str, amount: int, token: str = "tok_ok", currency: str = "cny") -> dict[str, str]:
    return {
        "amount": str(amount),
        "currency": currency,
        "payment_method_data[type]": "card",
        "payment_method_data[card][token]": token,
        "confirm": "true",
        "metadata[order_id]": order_id,
        "metadata[payment_id]": f"P-{order_id}",
    }


async def test_the_sandbox_says_when_it_is_up(control: httpx.AsyncClient) -> None:
    assert (await control.get("/health/ready")).status_code == 200


async def test_the_ledger_adds_up_by_currency(stripe: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    paid = (await stripe.post("/payment_intents", data=a_charge("A-1", 100))).json()
    await stripe.post("/payment_intents", data=a_charge("A-2", 10) | {"capture_method": "manual"})
    await stripe.post("/payment_intents", data=a_charge("A-3", 1000, "tok_declined"))
    await stripe.post("/payment_intents", data=a_charge("A-4", 7, currency="usd"))
    await stripe.post("/refunds", data={"payment_intent": paid["id"], "amount": "30"})
    ledger = (await control.get("/sandbox/ledger")).json()

    assert ledger["charges"][0] == {
        "payment_intent": paid["id"],
        "order_id": "A-1",
        "payment_id": "P-A-1",
        "amount": 100,
        "captured": 100,
        "refunded": 30,
        "currency": "CNY",
        "status": "succeeded",
    }
    assert [charge["status"] for charge in ledger["charges"]] == [
        "succeeded",
        "requires_capture",
        "requires_payment_method",
        "succeeded",
    ]
    assert ledger["totals"] == {
        "charged": {"CNY": 110, "USD": 7},
        "captured": {"CNY": 100, "USD": 7},
        "refunded": {"CNY": 30, "USD": 0},
    }


async def test_the_ledger_of_one_order_holds_nothing_else(
    stripe: httpx.AsyncClient, twilio: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    await stripe.post("/payment_intents", data=a_charge("A-1", 100))
    await stripe.post("/payment_intents", data=a_charge("A-2", 10))
    await twilio.post("/Messages.json", data={"To": "+8613800000000", "From": "+15005550006", "Body": "Hello"})
    of_order = (await control.get("/sandbox/ledger", params={"order_id": "A-2"})).json()
    of_number = (await control.get("/sandbox/ledger", params={"to": "+8613800000000"})).json()

    assert [charge["order_id"] for charge in of_order["charges"]] == ["A-2"]
    assert of_order["messages"] == []
    assert (of_number["charges"], of_number["messages"]) == ([], [{"to": "+8613800000000", "body": "Hello"}])


async def test_a_fault_hits_every_call_of_its_partner_until_it_is_cleared(
    stripe: httpx.AsyncClient, twilio: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    fault = {"partner": "stripe", "latency_ms": 1, "error_rate": 1.0}
    assert (await control.post("/sandbox/faults", json=fault)).status_code == 200
    struck = await stripe.post("/payment_intents", data=a_charge("A-1", 100))
    spared = await twilio.get("/Messages.json")
    listed = (await control.get("/sandbox/faults")).json()
    await control.delete("/sandbox/faults")
    after = await stripe.post("/payment_intents", data=a_charge("A-1", 100))

    assert (struck.status_code, spared.status_code, after.status_code) == (500, 200, 200)
    assert listed == [fault]


@pytest.mark.parametrize("change", [{"partner": "ups"}, {"error_rate": 1.5}, {"latency_ms": -1}])
async def test_a_fault_that_makes_no_sense_is_refused(control: httpx.AsyncClient, change: dict[str, object]) -> None:
    assert (await control.post("/sandbox/faults", json={"partner": "dhl", **change})).status_code == 422


@pytest.mark.parametrize("secret", ["not-a-secret", "whsec_not base64!"])
def test_a_webhook_secret_of_the_wrong_form_is_refused_at_the_start(settings: Settings, secret: str) -> None:
    with pytest.raises(ValidationError, match="dhl_webhook_secret"):
        Settings.model_validate({**settings.model_dump(), "dhl_webhook_secret": secret})
