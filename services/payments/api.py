"""HTTP in: the provider's webhooks, and what became of an order's money."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Request

from services.payments import settling, store, views
from services.payments.channels import webhooks
from services.payments.settings import settings
from services.payments.views import PaymentView
from shared.auth import scope
from shared.events.fields import OrderId
from shared.http import Reader, Transactional, Tx

log = structlog.get_logger()

router = APIRouter(prefix="/api", route_class=Transactional, tags=["payments"])


@router.post("/webhooks/stripe")
async def hear_stripe(request: Request, tx: Tx, stripe_signature: Annotated[str, Header()] = "") -> dict[str, bool]:
    """Stripe tells what became of a shopper's payment. Its signature is checked before anything is read."""
    body = await request.body()
    webhooks.verify(stripe_signature, body, settings().webhook_secrets, tx.now)
    notification = webhooks.read(body)
    if notification.answer is None or notification.payment_id is None:
        return {"received": True}
    if await store.is_heard_first(tx, "stripe", notification.id, notification.type):
        order_id = await store.order_of(tx, notification.payment_id)
        if order_id is None:
            log.warning("a webhook for a payment that is not ours", payment_id=str(notification.payment_id))
        else:
            await settling.learn(tx, [(order_id, notification.answer)])
    return {"received": True}


@router.get("/payments", dependencies=[scope("payments:read")])
async def list_payments(order_id: Annotated[OrderId, Query()], reader: Reader) -> list[PaymentView]:
    """What became of an order's money."""
    return await views.payments_of(reader, order_id)
