"""HTTP in: the provider's webhooks, and what became of an order's money."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request

from services.payments import progress, store, views
from services.payments.channels.webhooks import Notification, OfRefund, read, verify
from services.payments.settings import settings
from services.payments.views import PaymentView
from shared import bounds, telemetry
from shared.auth import of_every_shop, scope
from shared.events.fields import OrderId
from shared.http import Reader, Signed, Transactional, Tx, read_body

log = structlog.get_logger()

payments = APIRouter(prefix="/api/payments", route_class=Transactional, tags=["payments"])
webhooks = APIRouter(prefix="/api/webhooks", route_class=Signed, tags=["payments"])


BODY = {
    "requestBody": {
        "required": True,
        "description": "An event as Stripe sends it: https://docs.stripe.com/api/events/object",
        "content": {"application/json": {"schema": {"type": "object", "required": ["id", "type", "data"]}}},
    }
}


async def _signed(request: Request, stripe_signature: Annotated[str, Header(max_length=4096)] = "") -> Notification:
    """Its signature is checked before anything is read, and before there is a transaction."""
    body = await read_body(request)
    verify(stripe_signature, body, settings().webhook_secrets, telemetry.now())
    bounds.check_json(body)
    return read(body)


@webhooks.post("/stripe", openapi_extra=BODY)
async def hear_stripe(notification: Annotated[Notification, Depends(_signed)], tx: Tx) -> dict[str, bool]:
    """Stripe tells what became of a shopper's payment, and of money that went back to him: of its events `checkout.session.*`,
    `payment_intent.succeeded`, `payment_intent.amount_capturable_updated`, `refund.failed`, `refund.updated` and
    `charge.refund.updated` count. 400 when it is not signed by Stripe, these five minutes."""
    told = notification.told
    if told is None or not await store.take_webhook(tx, "stripe", notification.id, notification.type):
        return {"received": True}
    if isinstance(told, OfRefund):
        if not await progress.learn_answers(tx, [(told.key, told.answer)]):
            log.warning("a webhook for a refund that is not ours", order_id=told.key[0])
    elif order_id := await store.order_of(tx, told.payment_id):
        await progress.learn(tx, [(order_id, told.answer)])
    else:
        log.warning("a webhook for a payment that is not ours", payment_id=str(told.payment_id))
    return {"received": True}


@payments.get("", dependencies=[scope("payments:read"), of_every_shop])
async def list_payments(order_id: Annotated[OrderId, Query()], reader: Reader) -> list[PaymentView]:
    """What became of an order's money."""
    return await views.payments_of(reader, order_id)
