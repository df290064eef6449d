"""Webhook signatures, held against the partners' own published examples."""

import hashlib
import hmac

from deploy.sandbox import signatures


def test_standard_webhooks_are_signed_as_in_the_specifications_own_example() -> None:
    headers = signatures.standard_webhooks(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        1614265330,
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_stripe_signs_the_time_and_the_body_with_the_secret_as_written() -> None:
    headers = signatures.stripe("whsec_abc", b'{"id": "evt_1"}', 1700000000)

    digest = hmac.new(b"whsec_abc", b'1700000000.{"id": "evt_1"}', hashlib.sha256).hexdigest()
    assert headers == {"Stripe-Signature": f"t=1700000000,v1={digest}"}
