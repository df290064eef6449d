"""How money is taken and given back: one file a channel."""

from functools import lru_cache

from services.payments.channels.card import Card
from services.payments.channels.channel import Channel
from services.payments.channels.invoice import Invoice
from services.payments.channels.redirect import Redirect
from services.payments.channels.stripe import Stripe
from services.payments.channels.unoffered import Unoffered
from services.payments.facts import Placed
from services.payments.settings import PaymentsSettings, settings


def of(terms: Placed) -> Channel:
    """The channel that takes this payment. Where there is nothing to pay, nobody is asked for it."""
    if terms.amount.amount == 0:
        return offered()[Invoice.name]
    return offered().get(terms.channel) or Unoffered(terms.channel)


def offered() -> dict[str, Channel]:
    """By name. Made at first use, and again only when the settings are others."""
    return _made(settings())


@lru_cache(maxsize=1)
def _made(settings: PaymentsSettings) -> dict[str, Channel]:
    stripe = Stripe.of(settings)
    every: tuple[Channel, ...] = (Card(stripe), Redirect(stripe, settings.checkout_return_url), Invoice())
    return {channel.name: channel for channel in every}


__all__ = ["Channel", "of", "offered"]
