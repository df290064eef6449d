"""What the demo says it found."""

from dataclasses import replace

from deploy.audit import Check, Report
from deploy.demo.courses import Course
from deploy.demo.judging import Charged, Verdict, wrong_ending, wrong_money
from deploy.demo.outcome import Outcome
from deploy.demo.shoppers import Purchase, shoppers
from deploy.demo.stories import Ending, Then, Way

RUN = shoppers("a1b2c3", 300)
SOUND = Report([Check("shelves", "they add up", 37)])


def test_every_order_is_counted_once() -> None:
    summary = _outcome().as_dict()

    for counts in (summary["orders"], summary["external"]):
        statuses = ("shipped", "completed", "refunded", "cancelled", "held", "rejected", "unaccounted")
        assert counts["submitted"] == sum(counts.get(status, 0) for status in statuses)
    assert summary["orders"]["submitted"] + summary["external"]["submitted"] == 300


def test_all_as_expected_and_a_sound_audit_is_ok() -> None:
    summary = _outcome().as_dict()

    assert summary["ok"]
    assert summary["orders"]["unaccounted"] == 0
    assert summary["external"]["duplicates_ignored"] == 10
    assert summary["offenders"] == []


def test_one_order_that_went_astray_is_named_and_nothing_is_ok() -> None:
    outcome = _outcome()
    astray = replace(outcome.verdicts[7], ended="placed", wrong=("it should be shipped",), last_event="stock.reserved")

    summary = replace(outcome, verdicts=[*outcome.verdicts[:7], astray, *outcome.verdicts[8:]]).as_dict()

    assert not summary["ok"]
    [offender] = summary["offenders"]
    assert offender["order_id"] == astray.course.order_id
    assert (offender["got"], offender["last_event"]) == ("placed", "stock.reserved")
    assert summary["orders"]["unaccounted"] + summary["external"]["unaccounted"] == 1


def test_an_audit_that_does_not_add_up_is_not_ok() -> None:
    violated = Report([Check("shelves", "they add up", 37, ["HP-1001 at main: on hand 3, but movements say 4"])])

    summary = replace(_outcome(), audit=violated).as_dict()

    assert not summary["ok"]
    assert summary["audit"]["checks"][0]["violations"] == ["HP-1001 at main: on hand 3, but movements say 4"]


def test_an_order_in_another_status_than_it_must_end_in_is_wrong() -> None:
    course = _course(ending=Ending.HELD)

    assert [*wrong_ending(course, _order("held", held_because=[course.purchase.story.because]))] == []
    assert [*wrong_ending(course, _order("shipped"))]


def test_the_right_status_for_another_reason_is_wrong() -> None:
    course = _course(ending=Ending.CANCELLED, way=Way.SHOP)

    wrong = [*wrong_ending(course, _order("cancelled", cancelled_because="something else"))]

    assert wrong == [f"the reason should say '{course.purchase.story.because}'"]


def test_money_taken_twice_is_wrong_even_if_orders_knows_of_one() -> None:
    course = _course(ending=Ending.SHIPPED, way=Way.SHOP, then=Then.NOTHING)
    order = _order("shipped") | {"captured": {"amount": 300}, "refunded": {"amount": 0}}

    assert [*wrong_money(course, order, {"T-1": Charged(1, 300, 0)})] == []
    assert len([*wrong_money(course, order, {"T-1": Charged(2, 600, 0)})]) == 2
    assert [*wrong_money(course, order, {})], "what orders holds as captured must be in the provider's books"


def test_what_was_not_refunded_is_wrong() -> None:
    course = _course(then=Then.REFUND_PART)
    order = _order("shipped") | {"captured": {"amount": 3000}, "refunded": {"amount": 0}}

    assert [*wrong_money(course, order, {"T-1": Charged(1, 3000, 0)})] == ["0 were refunded, 1000 should have been"]


def _outcome() -> Outcome:
    verdicts = [
        Verdict(Course(each, f"id-{each.number}", has_ended=True), each.story.ending, each.story.because, "the last")
        for each in RUN
    ]
    return Outcome("a1b2c3", verdicts, SOUND, 12.34, 2_000)


def _course(**wanted: object) -> Course:
    """A purchase of a story with these properties, handed in as T-1."""

    def fits(purchase: Purchase) -> bool:
        return all(getattr(purchase.story, name) == value for name, value in wanted.items())

    return Course(next(filter(fits, RUN)), "T-1")


def _order(status: str, **fields: object) -> dict[str, object]:
    told: dict[str, object] = {"status": status, "held_because": [], "cancelled_because": None, "source": "/orderbus/orders"}
    return told | {"shipment": {"waybill": "12"}, "tracking_pushed_at": "2026-11-24T08:00:00Z"} | fields
