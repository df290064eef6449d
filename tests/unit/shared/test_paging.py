"""Pages."""

import pytest

from shared.paging import LAST, following


@pytest.mark.parametrize(
    ("page", "more", "next_page"), [(1, True, 2), (1, False, None), (LAST - 1, True, LAST), (LAST, True, None)]
)
def test_no_page_is_named_that_may_not_be_asked_for(page: int, more: bool, next_page: int | None) -> None:
    assert following(page, more) == next_page
