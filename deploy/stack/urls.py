"""How a server of somebody else's is named by URL."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

FORMS: Mapping[str, str] = {
    "postgres": "postgresql://user:password@host:port/database",
    "rabbitmq": "amqp://user:password@host:port/vhost",
    "redis": "redis://user:password@host:port/0",
}

SCHEMES: Mapping[str, tuple[str, ...]] = {
    "postgres": ("postgresql", "postgres"),
    "rabbitmq": ("amqp", "amqps"),
    "redis": ("redis", "rediss"),
}


def variable(server: str) -> str:
    """Where it is named."""
    return f"ORDERBUS_{server.upper()}_URL"


def is_of_form(server: str, url: str) -> bool:
    """It says by itself where the server is, and which database; no @ stands behind that, as after a / in a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    has_place = bool(place(url)) or (server == "postgres" and "host=" in parts.query)
    has_ports = all(re.fullmatch(r"(\[[^]]*\]|[^:]*)(:\d{1,5})?", host) for host in place(url).split(","))
    has_database = server != "postgres" or len(parts.path) > 1
    behind = f"{parts.path}{parts.query}{parts.fragment}"
    return parts.scheme in SCHEMES[server] and has_place and has_ports and has_database and "@" not in behind


def place(url: str) -> str:
    """Host and port, without who enters there."""
    return urlsplit(url).netloc.rpartition("@")[2]


def database(url: str) -> str:
    """The name of the database, as Postgres knows it."""
    return unquote(urlsplit(url).path).removeprefix("/")


def administration(url: str) -> str:
    """The same server's database that is always there: from it others are made, renamed and dropped."""
    return urlsplit(url)._replace(path="/postgres").geturl()


def wanted(server: str) -> str:
    """What is to be said of a URL that is not of the form. The URL is not repeated: what is wrong may be the password."""
    return f"is not a URL of the form {FORMS[server]}; in a password / is written %2F, @ is %40, and % is %25"
