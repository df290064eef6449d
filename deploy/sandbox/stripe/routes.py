"""Stripe's HTTP interface."""

import time
from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from deploy.sandbox import identifiers
from deploy.sandbox.json_answers import json_answer
from deploy.sandbox.stripe import errors, intents, sessions, tokens
from deploy.sandbox.stripe.account import Account
from deploy.sandbox.stripe.bank import Bank
from deploy.sandbox.stripe.edge import Edge
from deploy.sandbox.stripe.form import Form
from deploy.sandbox.stripe.replays import Answer, answer_with
from deploy.sandbox.stripe.sessions import Session
from deploy.sandbox.stripe.shopper import Events, Shopper
from deploy.sandbox.stripe.tokens import Card


def api(account: Account, edge: Edge, shopper: Shopper, bank: Bank, events: Events) -> APIRouter:
    """The routes under /stripe/v1."""
    router = APIRouter(prefix="/stripe/v1", tags=["stripe"], dependencies=[Depends(edge.admits)])

    @router.post("/payment_intents")
    async def make_intent(request: Request) -> Response:
        return await edge.post(request, partial(_charge, account, edge, events, request))

    @router.get("/payment_intents/{id}")
    async def read_intent(id: str, request: Request) -> Response:
        query = Form.parse(request.url.query.encode())
        return json_answer(account.intent(id).document(expand_charge=query.expands("latest_charge")))

    @router.post("/payment_intents/{id}/capture")
    async def capture_intent(id: str, request: Request) -> Response:
        async def capture(form: Form) -> Answer:
            intent = account.intent(id)
            amount = form.amount("amount_to_capture", intent.currency) if form.text("amount_to_capture") else None
            intents.capture(intent, amount)
            return answer_with(intent.document(expand_charge=form.expands("latest_charge")))

        return await edge.post(request, capture)

    @router.post("/payment_intents/{id}/cancel")
    async def cancel_intent(id: str, request: Request) -> Response:
        async def cancel(form: Form) -> Answer:
            intent = account.intent(id)
            intents.cancel(intent, form.text("cancellation_reason") or None, int(time.time()))
            return answer_with(intent.document(expand_charge=form.expands("latest_charge")))

        return await edge.post(request, cancel)

    @router.get("/charges/{id}")
    async def read_charge(id: str) -> Response:
        return json_answer(account.intent_of_charge(id).charge_document())

    @router.post("/refunds")
    async def make_refund(request: Request) -> Response:
        async def refund(form: Form) -> Answer:
            intent = account.intent_named(form.required("payment_intent"))
            wanted = form.amount("amount", intent.currency) if form.text("amount") else None
            made = account.refund(intent, wanted, form.text("reason") or None, form.group("metadata"))
            bank.is_sent(made, intent)
            return answer_with(made.document())

        return await edge.post(request, refund)

    @router.get("/refunds/{id}")
    async def read_refund(id: str) -> Response:
        return json_answer(account.refund_of(id).document())

    @router.post("/checkout/sessions")
    async def make_session(request: Request) -> Response:
        return await edge.post(request, partial(_open_session, account, edge, shopper, request))

    @router.get("/checkout/sessions/{id}")
    async def read_session(id: str) -> Response:
        return json_answer(account.session(id).document())

    @router.post("/checkout/sessions/{id}/expire")
    async def expire_session(id: str, request: Request) -> Response:
        async def expire(form: Form) -> Answer:
            session = account.session(id)
            sessions.expire(session)
            events.announce("checkout.session.expired", session.document())
            return answer_with(session.document())

        return await edge.post(request, expire)

    return router


async def _charge(account: Account, edge: Edge, events: Events, request: Request, form: Form) -> Answer:
    currency = form.currency("currency")
    amount = form.amount("amount", currency)
    capture_method = form.choice("capture_method", ("automatic", "automatic_async", "manual"))
    # The product always confirms in the same call, so an intent that waits for it is not played here.
    if not form.flag("confirm"):
        raise errors.invalid("confirm", "The sandbox only takes payment intents that are confirmed at once.")
    payment_method, card = _charged(form)
    await edge.before(card.call, request)
    intent = account.charge(
        amount,
        currency,
        payment_method,
        form.group("metadata"),
        decline_code=card.decline_code,
        review=card.review,
        capture_method=capture_method,
    )
    intent.refund_statuses = card.refund
    if card.decline_code:
        raise intent.declined()
    if card.webhook:
        what = "amount_capturable_updated" if intent.status == "requires_capture" else "succeeded"
        events.announce(f"payment_intent.{what}", intent.document())
    if card.call == "fails_after":
        raise errors.server_error(remembered=True)
    return edge.after(card.call, intent.document(expand_charge=form.expands("latest_charge")))


def _charged(form: Form) -> tuple[str, Card]:
    """The payment method that is charged: one that there is, or one that is made of a token."""
    token = form.text("payment_method_data[card][token]")
    if form.text("payment_method") or not token:
        id = form.required("payment_method")
        return id, tokens.payment_method(id)
    form.required("payment_method_data[type]")
    return identifiers.new("pm_"), tokens.card(token)


async def _open_session(account: Account, edge: Edge, shopper: Shopper, request: Request, form: Form) -> Answer:
    form.choice("mode", ("payment",))
    amount, currency = sessions.total(form)
    metadata = form.group("metadata")
    visit = tokens.visit(metadata.get("token", ""))
    id = identifiers.new("cs_test_")
    session = Session(
        id=id,
        page=f"{request.base_url}stripe/pay/{id}",
        amount_total=amount,
        currency=currency,
        created=int(time.time()),
        success_url=form.url("success_url"),
        cancel_url=form.url("cancel_url") if form.text("cancel_url") else None,
        client_reference_id=form.text("client_reference_id") or None,
        metadata=metadata,
    )
    if visit is None:
        account.open(session)
        return answer_with(session.document())
    await edge.before(visit.call, request)
    account.open(session)
    # Written before the shopper comes: an answer that was overtaken by its webhook still says "open".
    answer = edge.after(visit.call, session.document())
    await shopper.is_sent_to(session, visit)
    return answer
