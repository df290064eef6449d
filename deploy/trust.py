"""Whose certificates are believed by who asks an installation's own servers over HTTP."""

import ssl
from urllib.parse import urlsplit


def trusted_at(url: str) -> ssl.SSLContext:
    """The machine's CAs at an https:// address, and nobody at any other: to read the CAs takes 20 ms and more, longer than most
    questions, and a client that is told nothing reads them for plain HTTP as well."""
    return ssl.create_default_context() if urlsplit(url).scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
