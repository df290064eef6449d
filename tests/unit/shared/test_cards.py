"""Card numbers are found wherever they are written, and other long numbers are not taken for them."""

import random
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import cards
from shared.problems import Unprocessable

# the networks' and payment providers' own published test numbers
CARDS = [
    *("4111111111111111", "4242424242424242", "4012888888881881", "4222222222222"),
    *("5555555555554444", "5105105105105100", "2223003122003222"),
    *("378282246310005", "371449635398431"),
    *("6011111111111117", "6200000000000005", "6205500000000000004", "3566002020360505", "30569309025904", "36227206271667"),
]


def grouped(digits: str, between: str) -> str:
    return between.join(digits[i : i + 4] for i in range(0, len(digits), 4))


@pytest.mark.parametrize("number", CARDS)
def test_a_card_number_is_found_however_it_is_written(number: str) -> None:
    for written in (
        number,
        grouped(number, " "),
        grouped(number, "-"),
        grouped(number, "\u00a0"),
        f"卡号{number}，有效期 12/30",
        f"card: {grouped(number, ' - ')[:60] if len(number) < 13 else grouped(number, '-')}.",
        *("".join(chr(ord(digit) - ord("0") + zero) for digit in number) for zero in (0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE)),
    ):
        body = orjson.dumps({"customer": {"name": written}})
        assert cards.may_hold_one(body), written
        assert cards.where(orjson.loads(body)) == "customer.name", written
        with pytest.raises(Unprocessable) as refused:
            cards.refuse(body)
        assert number[-4:] not in refused.value.detail


@pytest.mark.parametrize("number", CARDS)
def test_kept_bytes_hold_no_card_number(number: str) -> None:
    for body in (
        orjson.dumps([{"id": "1", "data": {"a": [grouped(number, "-")], "b": int(number), "c": float(number)}}]),
        f"not JSON {number}".encode(),
        f'{{"escaped": "\\u003{number[0]}{number[1:]}"}}'.encode(),
    ):
        kept = cards.masked_bytes(body).decode()
        assert number[1:] not in kept
        assert grouped(number, "-") not in kept
        assert cards.masked_bytes(kept.encode()) == kept.encode()


@pytest.mark.parametrize(
    "value",
    [
        {"order_id": "4111111111111111"},  # a shop's number that happens to look like one
        {"order_id": "6917840012345678903"},  # Douyin
        {"sku": "4006381333931"},  # EAN-13
        {"id": "4222222222222", "waybill": "6200000000000005"},
        {"reference": "4200001234202411241234567890"},  # WeChat Pay
        {"reference": "2024112422001412341234567890"},  # Alipay
        {"reference": "8515131751004933"},  # Adyen
        {"reference": "6205500000000000004"},  # a bank's, of 19 digits
        {"phone": "+4915112345678", "other": "+8613800138000"},
        {"phone": "0571-88888888 13800138000"},
        {"at": "2026-11-24T22:35:11.123456Z", "ms": 1764023711123, "ns": 1764023711123456789},
        {"amount": 10**15, "unit_price": 29900, "product_id": 2**53 - 1},
        {"line1": "文三路 4111 号 1111 室", "postcode": "310000"},
        {"traceparent": "00-41111111111111111111111111111111-4111111111111111-01"},
        {"token": "tok_4111111111111111x", "email": "x@4.example"},
        {"tracking_url": "https://track.example/JD0146000041111"},
        {"note": "4111111111111112"},  # its check digit is wrong
        {"note": "9000000000000001"},  # no network's
        True,
        None,
        "",
    ],
)
def test_other_long_numbers_are_let_in(value: Any) -> None:
    cards.refuse(orjson.dumps(value))
    assert cards.masked(value) == value


def test_what_stands_beside_a_card_number_is_kept() -> None:
    number = CARDS[0]
    value = {"lines": ["x", number, 7, int(number), {"note": f"paid by {number}, today"}], number: True}

    assert cards.masked(value) == {
        "lines": ["x", cards.MASK, 7, cards.MASK, {"note": f"paid by {cards.MASK}, today"}],
        cards.MASK: True,
    }


def test_a_number_with_a_point_is_one_too() -> None:
    assert cards.where(orjson.loads(b'{"a": 4111111111111111.0}')) == "a"
    for body in (b'{"a": 4111111111111111.0}', b'{"a": 4.111111111111111e15}'):
        with pytest.raises(Unprocessable):
            cards.refuse(body)


def test_writing_in_another_script_is_not_worth_a_look() -> None:
    assert not cards.may_hold_one(orjson.dumps({"line1": "文三路 4111 号，1111 室。", "name": "李雷（收）"}))


def test_an_identifier_written_like_a_card_is_one() -> None:
    assert cards.where({"order_id": "4111-1111-1111-1111"}) == "order_id"
    assert cards.where({"payment": {"reference": "4111111111111111"}}) == "payment.reference"
    assert cards.where({"4111111111111111": 1}) == "[card number]"


def test_realistic_ids_are_practically_never_taken_for_cards() -> None:
    chance = random.Random(1)
    texts = [str(uuid4()) for _ in range(20_000)]
    texts += [f"{chance.getrandbits(128):032x}" for _ in range(20_000)]
    texts += [f"SF{chance.randrange(10**13):013d}" for _ in range(5_000)]
    texts += [f"+86{chance.choice((13, 15, 18))}{chance.randrange(10**9):09d}" for _ in range(5_000)]
    assert [text for text in texts if cards.where({"note": text})] == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_can_be_looked_at_and_what_is_masked_holds_none(value: Any) -> None:
    assert cards.where(cards.masked(value)) is None


@given(st.binary())
def test_any_bytes_can_be_masked(body: bytes) -> None:
    cards.masked_bytes(body)
