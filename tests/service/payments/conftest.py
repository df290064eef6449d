"""Payments' settings are read once a process; here each module has a service of its own."""

import pytest

from services.payments.settings import settings


@pytest.fixture(scope="module", autouse=True)
def settings_of_this_service() -> None:
    settings.cache_clear()
