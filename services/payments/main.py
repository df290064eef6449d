"""Payments: the one authority on an order's money. Charges, voids, refunds, and keeps the ledger."""

from services.payments import api, handlers, jobs
from services.payments.settings import settings
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentReviewRequired,
    PaymentVoided,
    RefundFailed,
)
from shared.service import Service

service = Service(
    name="payments",
    description="Charges orders once their stock is set aside, voids and refunds them, and keeps the ledger.",
    settings=settings,
    api=[api.payments, api.webhooks],
    handlers=handlers.on,
    duties=jobs.every,
    jobs=[jobs.charge, jobs.refund],
    announces=[
        PaymentActionRequired,
        PaymentReviewRequired,
        PaymentCaptured,
        PaymentFailed,
        PaymentVoided,
        PaymentRefunded,
        RefundFailed,
    ],
)
