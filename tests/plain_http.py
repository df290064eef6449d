"""For clients of servers of our own, which speak plain HTTP."""

import ssl

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify`, it trusts nobody. A client that is told nothing reads the certificates of the whole web, which takes longer than
most tests."""
