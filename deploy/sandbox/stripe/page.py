"""The page on which a shopper pays, or declines, by hand."""

from html import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from deploy.sandbox import bodies
from deploy.sandbox.stripe.account import Account
from deploy.sandbox.stripe.form import Form
from deploy.sandbox.stripe.sessions import Session
from deploy.sandbox.stripe.shopper import Shopper
from deploy.sandbox.stripe.tokens import Visit

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandbox checkout</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ font: 1rem/1.5 system-ui; max-width: 24rem; margin: 4rem auto; padding: 0 1rem }}
button {{ font: inherit; padding: .5rem 1.5rem; margin-right: .5rem }}</style>
<h1>Sandbox checkout</h1>
<p>Order <b>{reference}</b>: <b>{amount} {currency}</b> (in minor units)</p>
{body}
</html>"""

FORM = """<form method="post">
<button name="choice" value="pay">Pay</button>
<button name="choice" value="decline">Decline</button>
</form>"""

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}


def pages(account: Account, shopper: Shopper) -> APIRouter:
    """The route /stripe/pay/{session}; it asks for no key, as the shopper has none."""
    router = APIRouter(prefix="/stripe/pay", tags=["stripe"])

    @router.get("/{id}")
    async def show(id: str) -> Response:
        return HTMLResponse(_render(account.session(id)), headers=HEADERS)

    @router.post("/{id}")
    async def choose(id: str, request: Request) -> Response:
        session = account.session(id)
        pays = Form.parse(await bodies.read(request)).text("choice") == "pay"
        shopper.tries(session, Visit() if pays else Visit(decline_code="generic_decline"))
        onward = session.success_url if session.payment_status == "paid" else session.cancel_url
        if onward is None:
            return HTMLResponse(_render(session), headers=HEADERS)
        return RedirectResponse(onward.replace("{CHECKOUT_SESSION_ID}", id), 303)

    return router


def _render(session: Session) -> str:
    is_open = session.status == "open"
    return PAGE.format(
        reference=escape(session.client_reference_id or session.id),
        amount=session.amount_total,
        currency=escape(session.currency.upper()),
        body=FORM if is_open else f"<p>This checkout is {session.status}, {session.payment_status}.</p>",
    )
