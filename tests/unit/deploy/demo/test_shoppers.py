"""The orders of a run: reproducible, valid, and of every kind."""

from collections import Counter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.catalogue import EMPTY_SHELF, catalogue
from deploy.demo.running import encore
from deploy.demo.sending import TOGETHER, errands
from deploy.demo.shoppers import OTHER_SHOP, Purchase, pieces_kept, shoppers
from deploy.demo.stories import FEWEST, STORIES, Ending, Goods, Story, Way
from services.inventory.api import CreateProduct
from services.orders.placing import PlaceOrder
from services.payments.settings import PaymentsSettings
from shared import codec
from shared.events.orders import OrderPaid

RUN = shoppers("a1b2c3", 300)


def test_the_same_seed_buys_the_same_goods_under_other_ids() -> None:
    again = shoppers("ffffff", 300)

    assert [each.lines for each in again] == [each.lines for each in RUN]
    assert not {each.reference for each in again} & {each.reference for each in RUN}


@given(st.integers(FEWEST, 2_000))
def test_a_run_has_the_orders_that_were_asked_for_and_every_kind_of_them(orders: int) -> None:
    bought = shoppers("a1b2c3", orders)

    assert len(bought) == orders
    assert {each.story for each in bought} == set(STORIES)


def test_most_orders_are_ordinary_ones() -> None:
    shipped = sum(each.story.ending is Ending.SHIPPED for each in RUN)

    assert shipped > 0.75 * len(RUN)


def test_every_http_order_is_one_that_the_api_takes() -> None:
    for each in RUN:
        if each.story.way is Way.SHOP:
            PlaceOrder.model_validate(each.body)


def test_every_event_is_one_that_another_system_may_publish() -> None:
    for each in RUN:
        if each.story.way.is_external:
            decoded = codec.decode(_bytes(each), codec.SINGLE, {})
            assert not decoded.unreadable, decoded.unreadable
            assert decoded.events[0].inbound
            assert not decoded.events[0].envelope.is_ours


def test_a_total_is_wrong_only_where_the_story_says_so() -> None:
    for each in RUN:
        if each.story.way.is_external and each.story.way is not Way.SUBMITTED:
            order = OrderPaid.model_validate({"order_id": each.reference, **each.body})
            assert (order.total != sum(line.amount for line in order.lines)) is each.story.wrong_total


def test_references_are_unique_save_for_ids_taken_from_another_shop() -> None:
    counted = Counter(each.reference for each in RUN)
    taken = [each for each in RUN if each.story.taken_id]

    assert {reference for reference, times in counted.items() if times > 1} == {each.reference for each in taken}
    assert all(each.source == OTHER_SHOP for each in taken)


def test_a_dear_basket_is_above_the_review_limit_and_no_other_is() -> None:
    limit = PaymentsSettings.model_fields["review_above"].default
    for each in RUN:
        if each.story.goods in (Goods.DEAR, Goods.ORDINARY):
            total = sum(line["quantity"] * catalogue()[line["sku"]].price for line in each.lines)
            assert (total > limit) is (each.story.goods is Goods.DEAR)


def test_only_batches_are_handed_in_together() -> None:
    together = errands(RUN)

    assert sorted(each.number for some in together for each in some) == [each.number for each in RUN]
    assert all(len(some) <= TOGETHER and len({each.story.way for each in some}) == 1 for some in together)
    assert all(len(some) == 1 for some in together if some[0].story.way not in (Way.PAID_BATCH, Way.PAID_HTTP))


def test_what_is_kept_are_the_pieces_of_orders_that_get_their_goods() -> None:
    kept = pieces_kept(RUN)

    assert kept[EMPTY_SHELF] == 0
    assert kept.total() == sum(line["quantity"] for each in RUN if each.keeps_its_goods for line in each.lines)
    assert max(kept.values()) < 1200, "an order that a person must see first takes nothing from the shelf"


def test_the_encore_meets_every_service() -> None:
    assert encore(RUN).story.name == "delivered abroad"


def test_the_catalogue_is_one_that_inventory_takes() -> None:
    products = [CreateProduct.model_validate_json(_json(article.product)) for article in catalogue().values()]

    assert len(products) >= 30
    assert len({product.id for product in products}) == len({product.sku for product in products}) == len(products)


def test_the_catalogue_has_the_headphones() -> None:
    headphones = catalogue()["HP-1001"]

    assert (headphones.id, headphones.price, headphones.stock) == (1001, 29900, 150)
    assert headphones.product["name"] == "降噪无线耳机"


@pytest.mark.parametrize(
    "story", [story for story in STORIES if story.ending in (Ending.CANCELLED, Ending.HELD, Ending.REJECTED)]
)
def test_what_does_not_end_well_says_why(story: Story) -> None:
    assert story.because


def _bytes(purchase: Purchase) -> bytes:
    return _json(purchase.event())


def _json(value: object) -> bytes:
    return orjson.dumps(value)
