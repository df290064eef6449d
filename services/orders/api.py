"""HTTP in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

import uuid_utils
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.orders import admission, lifecycle, placing, progress, refunding, store, views
from services.orders.interception import suspicions
from services.orders.order import Order, Status
from services.orders.placing import PlaceOrder
from services.orders.settings import settings
from services.orders.views import OrderView, RefundView, TimelineEntry
from shared.auth import Caller, Principal, scope
from shared.database import Tx as DatabaseTx
from shared.events import OURS
from shared.events.fields import OrderId, Reason, text
from shared.http import Reader, Transactional, Tx
from shared.joining import Joined
from shared.money import MOST
from shared.openapi import LOCATION
from shared.paging import Page, PageSize, following
from shared.problems import Conflict, NotFound, Problem, Unprocessable

router = APIRouter(prefix="/api/orders", tags=["orders"], route_class=Transactional)

SOURCE = f"{OURS}orders"

RefundId = Annotated[str, text(200)]


class Orders(BaseModel):
    """A page of orders, newest first; `next_page` is null on the last."""

    orders: list[OrderView]
    page: int
    next_page: int | None


class Timeline(BaseModel):
    """What every service said of an order."""

    order_id: str
    events: list[TimelineEntry]


class Cancel(BaseModel):
    """Why the order is called off."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = "cancelled_by_customer"


class AskRefund(BaseModel):
    """How much to give back, in minor units; without an amount, all that is left.

    `by_hand`: somebody has given it back already, by a transfer of this reference. Amount and reason have to be said then."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[int, Field(gt=0, le=MOST, strict=True)] | None = None
    reason: Reason = "refund_requested"
    by_hand: Annotated[str, text(200)] | None = None

    @model_validator(mode="after")
    def _says_what_went(self) -> Self:
        if self.by_hand and (self.amount is None or "reason" not in self.model_fields_set):
            raise ValueError("of what was given back by hand, amount and reason have to be said")
        return self


class Returned(BaseModel):
    """Why the bank has returned the transfer."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


@router.post("", status_code=201, response_model=OrderView, dependencies=[scope("orders:write")], responses={201: LOCATION})
async def place_order(wish: PlaceOrder, caller: Caller, request: Request) -> Response:
    """Accept an order, priced by our own price list; stock, payment and shipping follow by themselves.

    It belongs to the `source` of the token, if that is bound to one.
    422 when an article is unknown or sold in another currency, `line` is the index of the offending line then, or when the
    total is more than an amount may be.
    """
    order_id = str(uuid_utils.uuid7())
    return await place_together(request, (order_id, caller.source or SOURCE, wish), order_id)


@Joined
async def place_together(wishes: Sequence[tuple[str, str, PlaceOrder]], tx: DatabaseTx) -> list[Response | Problem]:
    """Price and admit what was asked for at the same time."""
    prices = await store.prices(tx, {line.sku for _, _, wish in wishes for line in wish.lines})
    orders = [_priced(order_id, source, wish, prices, tx.now) for order_id, source, wish in wishes]
    await admission.admit(tx, [order for order in orders if isinstance(order, Order)])
    return [_accepted(order) if isinstance(order, Order) else order for order in orders]


def _priced(order_id: str, source: str, wish: PlaceOrder, prices: placing.PriceList, now: datetime) -> Order | Problem:
    try:
        placed = placing.placed(order_id, source, wish, prices)
    except placing.CannotPrice as refusal:
        where = {} if refusal.line is None else {"line": refusal.line}
        return Unprocessable(refusal.detail, reason=refusal.reason, **where)
    return lifecycle.place(placed, now, suspicions(wish.lines, settings().orders_review_quantity))


def _accepted(order: Order) -> Response:
    body = OrderView.of(order).model_dump_json()
    return Response(body, 201, {"location": f"/api/orders/{order.id}"}, media_type="application/json")


@router.get("", dependencies=[scope("orders:read")])
async def list_orders(
    caller: Caller,
    reader: Reader,
    status: Status | None = None,
    page: Page = 1,
    page_size: PageSize = 20,
) -> Orders:
    """Orders, newest first, of one status or all. A token that is bound to a source lists its own; everywhere here,
    another's order is not there for it (404)."""
    found, more = await views.orders(reader, caller.source, status, page, page_size)
    return Orders(orders=found, page=page, next_page=following(page, more))


@router.get("/{order_id}", dependencies=[scope("orders:read")])
async def get_order(order_id: OrderId, caller: Caller, reader: Reader) -> OrderView:
    """One order with what is known of its payment, parcel and refunds."""
    order = await views.order(reader, order_id, caller.source)
    if order is None:
        raise _unknown(order_id)
    return order


@router.get("/{order_id}/timeline", dependencies=[scope("orders:read")])
async def get_timeline(order_id: OrderId, caller: Caller, reader: Reader) -> Timeline:
    """What every service said of the order, with the milliseconds between; of more than 1,000 events, what other systems said is
    left out first."""
    events = await views.timeline(reader, order_id, caller.source)
    if not events:
        raise _unknown(order_id)
    return Timeline(order_id=order_id, events=events)


@router.post("/{order_id}/cancel", dependencies=[scope("orders:write")])
async def cancel_order(order_id: OrderId, caller: Caller, tx: Tx, why: Cancel | None = None) -> OrderView:
    """Call an order off before its parcel has left; what was paid goes back by itself. 409 when it is too late."""
    order = await _lock(tx, order_id, caller)
    return await _change(tx, order, lifecycle.cancel(order, (why or Cancel()).reason, tx.now))


@router.post("/{order_id}/release", dependencies=[scope("orders:release")])
async def release_order(order_id: OrderId, caller: Caller, tx: Tx) -> OrderView:
    """Send a held order on its way again; whoever had stopped it tries once more. Of a cancelled order whose parcel had left all
    the same, or whose money is in doubt, it says that somebody has seen to it. 409 when it is not held, or only its refund was
    refused.

    For who has looked at it: a shop that places orders cannot also pass them (scope orders:release)."""
    order = await _lock(tx, order_id, caller)
    return await _change(tx, order, lifecycle.release(order, caller.subject, tx.now))


@router.post("/{order_id}/refunds", status_code=201, dependencies=[scope("orders:refund")])
async def refund_order(order_id: OrderId, caller: Caller, tx: Tx, ask: AskRefund | None = None) -> RefundView:
    """Give back a part of what was paid, or all that is left (scope orders:refund). 409 when there is not so much.

    Of a cancelled order, what was refused is asked for again; until it went, the order is held. With `by_hand` nobody is asked:
    it went by a transfer, and is entered in the books; the same transfer twice is one. 409 while a refund is under way, and of
    what a shop took."""
    order = await _lock(tx, order_id, caller)
    asked = ask or AskRefund()
    if asked.by_hand and tx.now < tx.alone_since:  # it would not understand it, and have the money sent as well
        when = f"{tx.alone_since:%Y-%m-%d %H:%M} UTC"
        raise Conflict(f"a process of the release before may still run: say from {when} on what was given back by hand")
    known = refunding.refund_by(order, asked.by_hand) if asked.by_hand else None
    refund_id = known or str(uuid_utils.uuid7())
    after = refunding.refund(order, refund_id, asked.amount, asked.reason, caller.subject, asked.by_hand)
    await _change(tx, order, after)
    return views.refund_view(after, refund_id)


@router.post("/{order_id}/refunds/{refund_id}/returned", dependencies=[scope("orders:refund")])
async def take_back_refund(order_id: OrderId, refund_id: RefundId, caller: Caller, tx: Tx, why: Returned) -> RefundView:
    """The bank has returned what was given back by hand: the books take it back, the order is held, and the money may be given
    back anew (scope orders:refund). Said twice is once. 409 for what did not go by hand, or has not gone."""
    order = await _lock(tx, order_id, caller)
    after = refunding.take_back(order, refund_id, why.reason, caller.subject)
    await _change(tx, order, after)
    return views.refund_view(after, refund_id)


async def _lock(tx: DatabaseTx, order_id: str, caller: Principal) -> Order:
    order = await store.lock_one(tx, order_id)
    if order is None or order.placed is None or not caller.may_see(order.placed.source):
        raise _unknown(order_id)
    return order


async def _change(tx: DatabaseTx, before: Order, after: Order) -> OrderView:
    await store.save(tx, [after], timedelta(seconds=settings().orders_return_window))
    progress.announce(tx, [(before, after)])
    return OrderView.of(after)


def _unknown(order_id: str) -> NotFound:
    return NotFound(f"there is no order {order_id}")
