"""TLS towards servers, by settings: whose certificates are believed. Names are always checked."""

import ssl
from urllib.parse import parse_qs, urlsplit

from shared.settings import Settings


def inward(settings: Settings) -> ssl.SSLContext:
    """For our own servers: only the CA of ORDERBUS_TLS_CA is believed, or, without one, the machine's."""
    return _modern(ssl.create_default_context(cafile=settings.tls_ca))


def outward(settings: Settings) -> ssl.SSLContext:
    """For others' servers: the machine's CAs, and our own."""
    context = _modern(ssl.create_default_context())
    if settings.tls_ca:
        context.load_verify_locations(cafile=settings.tls_ca)
    return context


def of_postgres(settings: Settings) -> ssl.SSLContext | None:
    """None leaves it to the URL: its sslmode and sslrootcert say otherwise, or it asks for no TLS."""
    url = urlsplit(settings.postgres_url.get_secret_value())
    if settings.tls_ca is None or "sslmode" in parse_qs(url.query):
        return None
    return inward(settings)


def of_rabbitmq(settings: Settings) -> ssl.SSLContext | None:
    """None for amqp://."""
    return inward(settings) if settings.rabbitmq_url.get_secret_value().startswith("amqps://") else None


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
