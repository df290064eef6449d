"""What the demo found: the counts, the offenders and the audit, for people and as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.audit import Report
from deploy.demo.judging import Verdict
from deploy.demo.stories import STORIES, Story

COUNTED = ("shipped", "completed", "refunded", "cancelled", "held")


@dataclass(frozen=True, slots=True)
class Kind:
    """The orders of one story together."""

    story: Story
    orders: int
    as_expected: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run, whole. `timeline`: an order of which a person may want to see the way."""

    run: str
    verdicts: Sequence[Verdict]
    audit: Report
    seconds: float
    events: int
    timeline: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Every order ended as it must, and everything adds up."""
        return not self.offenders and self.audit.ok

    @property
    def offenders(self) -> list[Verdict]:
        """The orders that did not end as they must."""
        return [verdict for verdict in self.verdicts if not verdict.ok]

    def kinds(self) -> list[Kind]:
        """By story, in the sequence in which they are told."""
        return [_kind(story, [v for v in self.verdicts if v.course.purchase.story is story]) for story in STORIES]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        own = [verdict for verdict in self.verdicts if not verdict.course.purchase.story.way.is_external]
        external = [verdict for verdict in self.verdicts if verdict.course.purchase.story.way.is_external]
        rejected = sum(verdict.ended == "rejected" for verdict in external)
        return {
            "ok": self.ok,
            "run": self.run,
            "orders": _counts(own) | {"repeats_ignored": _ignored(own)},
            "external": _counts(external) | {"rejected": rejected, "duplicates_ignored": _ignored(external)},
            "seconds": round(self.seconds, 1),
            "kinds": [_kind_as_dict(kind) for kind in self.kinds()],
            "offenders": [_offender_as_dict(verdict) for verdict in self.offenders],
            "audit": self.audit.as_dict(),
        }


def _kind(story: Story, verdicts: Sequence[Verdict]) -> Kind:
    reasons = tuple(dict.fromkeys(verdict.reason for verdict in verdicts if verdict.reason))
    return Kind(story, len(verdicts), sum(verdict.ok for verdict in verdicts), reasons)


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Each order is counted once, by the status it is in; `unaccounted` are those in none that an order may end in."""
    ended = Counter(verdict.ended for verdict in verdicts)
    counts = {status: ended[status] for status in COUNTED}
    unaccounted = len(verdicts) - sum(counts.values()) - ended["rejected"]
    return {"submitted": len(verdicts), **counts, "unaccounted": unaccounted}


def _ignored(verdicts: Iterable[Verdict]) -> int:
    """Copies of what was sent several times that did nothing, as they must."""
    return sum(verdict.course.purchase.story.copies - 1 for verdict in verdicts if verdict.ok)


def _kind_as_dict(kind: Kind) -> dict[str, Any]:
    story = kind.story
    told = {"kind": story.name, "way": story.way.value, "orders": kind.orders, "as_expected": kind.as_expected}
    return told | {"expected": story.ending.value, "reason": "; ".join(kind.reasons[:1])}


def _offender_as_dict(verdict: Verdict) -> dict[str, Any]:
    return {
        "order_id": verdict.course.order_id,
        "reference": verdict.course.purchase.reference,
        "kind": verdict.course.purchase.story.name,
        "expected": verdict.course.purchase.story.ending.value,
        "got": verdict.ended,
        "wrong": list(verdict.wrong),
        "last_event": verdict.last_event,
    }
