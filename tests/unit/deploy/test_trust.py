"""Over TLS somebody is believed, and names are checked; plain HTTP reads nothing."""

import ssl

import pytest

from deploy.trust import trusted_at


@pytest.mark.parametrize("url", ["https://broker:15671", "HTTPS://broker:15671"])
def test_the_machines_cas_are_believed_and_names_are_checked(url: str) -> None:
    context = trusted_at(url)

    assert context.get_ca_certs() == ssl.create_default_context().get_ca_certs()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_at_a_plain_address_nobody_is_believed() -> None:
    context = trusted_at("http://127.0.0.1:15672")

    assert context.get_ca_certs() == []
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
