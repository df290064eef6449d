"""The four services and the sandbox as background processes, and what each of them is told."""

import hashlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote, urlsplit

from deploy.rabbitmq import names
from deploy.stack import keys, ports, processes, urls, waiting
from deploy.stack.credentials import SERVICES, Credentials
from deploy.stack.processes import Process
from deploy.stack.servers import RabbitMQ, Servers
from deploy.stack.state import CHECKOUT, Say, StackError, StackFolder

SANDBOX = "sandbox"

ROLES = (*SERVICES, SANDBOX)
"""In the sequence in which they are stopped: who calls before who is called."""

PROGRAMS: Mapping[str, Sequence[str]] = {
    **{service: ("-m", f"services.{service}") for service in SERVICES},
    SANDBOX: ("-m", "deploy.sandbox"),
}
"""What is run for each role, after `python -P`."""

OURS = frozenset(
    f"ORDERBUS_{name}"
    for name in (
        *("STACK", "HOST", "PORT", "POSTGRES_URL", "REDIS_URL"),
        *("RABBITMQ_URL", "RABBITMQ_MANAGEMENT_URL", "RABBITMQ_METRICS_URL"),
        *("AUTH_JWKS", "AUTH_ISSUER", "AUTH_AUDIENCE"),
    )
)
"""Of these the stack alone decides; the caller's own value would point a service at the wrong place."""

PATIENCE = 60.0
"""A service imports, connects and looks at its schema: a second or two, longer on a machine at work."""


def address(chosen: Mapping[str, int], role: str) -> str:
    return f"http://127.0.0.1:{chosen[role]}"


def start_services(
    folder: StackFolder,
    servers: Servers,
    secrets: Credentials,
    say: Say,
    programs: Mapping[str, Sequence[str]] = PROGRAMS,
    patience: float = PATIENCE,
) -> dict[str, int]:
    """Start whichever does not run, or runs against servers that have moved; all are ready afterwards. Gives ports."""
    running = {role: process for role in programs if (process := processes.recorded(folder, role))}
    chosen = ports.settle(folder, list(programs), running, say)
    settings = {role: settings_of(role, folder, servers, secrets, chosen) for role in programs}
    begun = []
    for role, program in programs.items():
        fingerprint = _fingerprint(settings[role])
        if role in running and running[role].fingerprint == fingerprint and _answers(running[role], chosen[role]):
            continue
        say(f"starting {role}")
        processes.stop(folder, [role])
        processes.spawn(
            folder,
            role,
            [sys.executable, "-P", *program],
            environment=environment_of(settings[role], os.environ),
            directory=CHECKOUT,
            fingerprint=fingerprint,
        )
        begun.append(role)
    _await_readiness(folder, chosen, list(programs), begun, patience)
    return chosen


def settings_of(
    role: str, folder: StackFolder, servers: Servers, secrets: Credentials, chosen: Mapping[str, int]
) -> dict[str, str]:
    """Everything that the stack tells this process, by environment variable."""
    basics = {"HOST": "127.0.0.1", "PORT": str(chosen[role])}
    if role == SANDBOX:
        told = {**basics, **_partner_secrets(secrets)}
        told["SANDBOX_STRIPE_WEBHOOK_URL"] = f"{address(chosen, 'payments')}/api/webhooks/stripe"
        told["SANDBOX_DHL_WEBHOOK_URL"] = f"{address(chosen, 'logistics')}/api/webhooks/dhl"
    else:
        told = {
            **basics,
            "POSTGRES_URL": role_url(servers.postgres.superuser_url, role, secrets[f"role_{role}"]),
            "RABBITMQ_URL": bus_url(servers.rabbitmq, role, secrets[f"bus_{role}"]),
            "REDIS_URL": servers.redis.url,
            "AUTH_JWKS": str(keys.jwks_path(folder.path / "keys")),
            "AUTH_ISSUER": keys.ISSUER,
            "AUTH_AUDIENCE": keys.AUDIENCE,
            **_partners_of(role, address(chosen, SANDBOX), secrets),
        }
    return {f"ORDERBUS_{name}": value for name, value in told.items()}


def environment_of(settings: Mapping[str, str], caller: Mapping[str, str]) -> dict[str, str]:
    """What a process sees: an operator's own ORDERBUS_* and telemetry settings reach it, other stacks' do not."""
    passed = {
        name: value
        for name, value in caller.items()
        if name.startswith(("ORDERBUS_", "OTEL_", "SSL_CERT_")) and name.removesuffix("_FILE") not in OURS
    }
    ours = {name: value for name, value in settings.items() if name in OURS}
    python = {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
    return {**processes.plain_environment(), **python, **settings, **passed, **ours}


def role_url(superuser_url: str, service: str, password: str) -> str:
    """The same database, entered as the service's own role, which `deploy.prepare` names after both."""
    parts = urlsplit(superuser_url)
    role = quote(f"{urls.database(superuser_url)}_{service}", safe="")
    return parts._replace(netloc=f"{role}:{quote(password, safe='')}@{urls.place(superuser_url)}").geturl()


def bus_url(rabbitmq: RabbitMQ, service: str, password: str) -> str:
    """The same vhost, entered as the service's own user. Where no management API is known there are no such users."""
    if rabbitmq.management_url is None:
        return rabbitmq.url
    return names.user_url(rabbitmq.url, names.service_user(names.vhost_of(rabbitmq.url), service), password)


def is_ready(port: int) -> bool:
    """The process says of itself that it can do its work. To take requests a service needs Postgres alone; to do what follows
    from them, every server that it names."""
    return readiness(port) is True


def readiness(port: int) -> bool | None:
    """Whether it can, of a process that answers; None of one that does not."""
    found = _readiness(port)
    return None if found is None else found[0] == 200 and _all_answer(found[1])


def _all_answer(body: bytes) -> bool:
    try:
        return all(json.loads(body).values())
    except (ValueError, AttributeError):
        return False


def _answers(process: Process, port: int) -> bool:
    """It says within seconds whether it is ready or not: one that says nothing hangs, and is replaced."""

    def is_settled() -> bool:
        return not process.is_alive or _readiness(port) is not None

    return waiting.until(is_settled, 10) and process.is_alive


def _readiness(port: int) -> tuple[int, bytes] | None:
    return ports.answer(port, "/health/ready", timeout=3)


def _await_readiness(
    folder: StackFolder, chosen: Mapping[str, int], roles: Sequence[str], begun: Collection[str], patience: float
) -> None:
    missing = set(roles)

    def is_settled() -> bool:
        alive = {role for role in missing if processes.recorded(folder, role)}
        missing.difference_update([role for role in alive if is_ready(chosen[role])])
        return not missing or not missing <= alive

    waiting.until(is_settled, patience, pause=0.1)
    if not missing:
        return
    dead = {role for role in missing if not processes.recorded(folder, role)}
    reports = []
    for role in sorted(dead or missing):
        said = "ended before it was ready" if role in dead else f"is not ready after {patience:.0f} s"
        note = "" if role in begun else " (it was running already)"
        reports.append(f"{role} {said}{note}; the end of {folder.log(role)}:\n{processes.last_lines(folder, role)}")
    raise StackError("\n\n".join(reports))


def _partners_of(role: str, sandbox: str, secrets: Credentials) -> dict[str, str]:
    """Each service knows the partners that it calls, and no other's secrets. The stand-ins answer at once or not at all: a second
    is enough to tell."""
    every = _partner_secrets(secrets)
    urls = {"STRIPE": "stripe", "DHL": "dhl", "TWILIO": "twilio"}
    mine = {"payments": ("STRIPE",), "logistics": ("DHL", "TWILIO")}.get(role, ())
    told = {name: value for name, value in every.items() if name.partition("_")[0] in mine}
    told |= {f"{partner}_URL": f"{sandbox}/{urls[partner]}" for partner in mine}
    return told | {"PARTNER_TIMEOUT": "1"} if mine else told


def _partner_secrets(secrets: Credentials) -> dict[str, str]:
    return {name.upper(): value for name, value in secrets.values.items() if name.startswith(("stripe_", "dhl_", "twilio_"))}


def _fingerprint(settings: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
