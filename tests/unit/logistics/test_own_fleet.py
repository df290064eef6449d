"""Numbers of our own fleet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.logistics.carriers.own_fleet import check_digit, number


@pytest.mark.parametrize(("digits", "check"), [("79462", 3), ("00200667308", 5), ("0794", 5)])
def test_the_check_digit_is_the_standards(digits: str, check: int) -> None:
    assert check_digit(digits) == check


def test_a_number_is_the_prefix_twelve_digits_and_a_check_digit() -> None:
    assert number("OF", 1) == f"OF000000000001{check_digit('000000000001')}"


@given(st.integers(1, 999_999_999_999), st.integers(0, 11), st.integers(1, 9))
def test_any_mistyped_digit_is_noticed(serial: int, place: int, error: int) -> None:
    digits = f"{serial:012d}"
    mistyped = digits[:place] + str((int(digits[place]) + error) % 10) + digits[place + 1 :]

    assert check_digit(mistyped) != check_digit(digits)
