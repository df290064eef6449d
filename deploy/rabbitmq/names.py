"""Who is called what on the broker. Users belong to the whole broker, so their names carry the vhost's: two installations
do not collide."""

from urllib.parse import quote, unquote, urlsplit


def vhost_of(rabbitmq_url: str) -> str:
    """The vhost that an AMQP URL leads to."""
    return unquote(urlsplit(rabbitmq_url).path).removeprefix("/") or "/"


def service_user(vhost: str, service: str) -> str:
    """`orderbus_orders`, or `orderbus_shop1_orders` in the vhost shop1."""
    return f"{_installation(vhost)}_{service}"


def watcher(vhost: str) -> str:
    """`orderbus_watcher`: sees how long the queues are."""
    return service_user(vhost, "watcher")


def system_users(vhost: str) -> str:
    """What the name of every other system's user begins with: no service's user has a dot after this."""
    return f"{_installation(vhost)}."


def system_user(vhost: str, name: str) -> str:
    """`orderbus.taobao-42`, or `orderbus_shop1.taobao-42` in the vhost shop1."""
    return f"{system_users(vhost)}{name}"


def user_url(rabbitmq_url: str, user: str, password: str) -> str:
    """The same broker and vhost, entered as somebody else. The vhost / is written out: clients differ in what none means."""
    parts = urlsplit(rabbitmq_url)
    place = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"
    return parts._replace(netloc=netloc, path=f"/{quote(vhost_of(rabbitmq_url), safe='')}").geturl()


def _installation(vhost: str) -> str:
    return "orderbus" if vhost == "/" else f"orderbus_{vhost}"
