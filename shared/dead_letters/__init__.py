"""Dead letters: what could not be handled, with its reason, its next try, and in the end a person's decision."""

from shared.dead_letters.letter import RETRY_AFTER, Letter, next_try, of_failure, of_unreadable
from shared.dead_letters.retrying import LEASE, retry_due, store

__all__ = ["LEASE", "RETRY_AFTER", "Letter", "next_try", "of_failure", "of_unreadable", "retry_due", "store"]
