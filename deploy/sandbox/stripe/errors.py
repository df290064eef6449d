"""Refusals in Stripe's shape: `{"error": {"type", "code", "message", "param", …}}`."""

from deploy.sandbox.json_answers import Document


class StripeError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, type: str, message: str, *, remembered: bool = True, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.remembered = remembered
        """Whether a repeat of the idempotency key gets this answer again."""
        known = {name: value for name, value in more.items() if value is not None}
        self.document: Document = {"error": {"type": type, "message": message, **known}}


def unauthorised() -> StripeError:
    return StripeError(401, "invalid_request_error", "Invalid API Key provided.", remembered=False)


def server_error(*, remembered: bool = False) -> StripeError:
    return StripeError(500, "api_error", "An unexpected error occurred.", remembered=remembered)


def missing(param: str) -> StripeError:
    message = f"Missing required param: {param}."
    return StripeError(400, "invalid_request_error", message, remembered=False, code="parameter_missing", param=param)


def invalid(param: str, message: str, code: str | None = None) -> StripeError:
    return StripeError(400, "invalid_request_error", message, remembered=False, code=code, param=param)


def unknown(kind: str, id: str, param: str = "id", status: int = 404) -> StripeError:
    """Stripe answers 404 for an id in the path and 400 for one among the parameters."""
    message = f"No such {kind}: '{id}'"
    return StripeError(status, "invalid_request_error", message, code="resource_missing", param=param)


def token_as_payment_method(token: str) -> StripeError:
    how = f"Instead, use payment_method_data with type=card and card[token]={token}."
    return invalid("payment_method", f"A token may not be passed in as a PaymentMethod. {how}")


def unexpected_state(message: str, intent: Document) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code="payment_intent_unexpected_state", payment_intent=intent)


def key_used_otherwise(key: str) -> StripeError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeError(400, "idempotency_error", message, remembered=False)


def key_in_use(key: str) -> StripeError:
    message = f"There is currently another in-progress request using this Idempotent Key: {key}"
    return StripeError(409, "invalid_request_error", message, remembered=False, code="idempotency_key_in_use")
