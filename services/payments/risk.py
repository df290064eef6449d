"""Screening: which payments a person must look at before money moves."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.money import Money, to_major


@dataclass(frozen=True, slots=True)
class Limits:
    """What is usual. `review_above` is in minor units of whichever currency the order has."""

    review_above: int


def is_large(amount: Money, limits: Limits) -> str | None:
    """One that is large enough to be worth a person's minute."""
    if amount.amount <= limits.review_above:
        return None
    return f"{amount} is above {to_major(limits.review_above, amount.currency)} {amount.currency}"


Rule = Callable[[Money, Limits], str | None]

RULES: tuple[Rule, ...] = (is_large,)
"""Each says in words what worries it, or None."""


def screen(amount: Money, limits: Limits) -> tuple[str, ...]:
    """What a person should look at; empty when nothing is."""
    return tuple(concern for rule in RULES if (concern := rule(amount, limits)))
