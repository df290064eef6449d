"""How long the partners take over things. Tests make them hurry; nobody else should."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds."""

    hold: float = 30.0
    """For how long an answer that is to come too late is held."""
    slow: float = 2.0
    """How long `tok_slow` thinks."""
    shopper: float = 0.05
    """How soon a shopper has paid after a checkout session was made."""
    late: float = 5.0
    """How late `tok_webhook_late` is, and what becomes of a refund where a bank takes its time."""
    retries: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)
    """The waits between attempts of a webhook; the last one goes on."""
    give_up_after: float = 120.0
    """The age at which a webhook is abandoned."""
