"""The gateway as docker-compose.yml starts it, with its own version of Caddy, and the Ingress: who is behind which path."""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.stack import ports, waiting
from deploy.stack.credentials import SERVICES
from deploy.stack.state import CHECKOUT
from tests.kubectl import render

CADDYFILE = CHECKOUT / "deploy" / "gateway" / "Caddyfile"
CADDY = str(Path(sys.executable).with_name("caddy"))
ROOT = Path("caddy/pki/authorities/local/root.crt")


def _routes(service: str) -> set[str]:
    return set(json.loads((CHECKOUT / "docs" / "openapi" / f"{service}.json").read_text())["paths"])


OWN = set.intersection(*map(_routes, SERVICES))
"""What each service has: it cannot be told apart by its path alone."""

CALLED = [(service, re.sub(r"\{\w+\}", "7", path)) for service in SERVICES for path in sorted(_routes(service) - OWN)]


class _Service(BaseHTTPRequestHandler):
    """Says who was asked for what, and who is said to have asked."""

    name = ""

    def _answer(self) -> None:
        asked = int(self.headers["Content-Length"] or 0)
        if len(self.rfile.read(asked)) < asked:
            return  # whoever asked has hung up
        body = json.dumps([self.name, self.path, self.headers["X-Forwarded-For"]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 -- as http.server calls them

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[httpx.Client]:
    """Caddy with the shipped configuration, in which nothing but addresses is changed."""
    services = {name: ThreadingHTTPServer(("127.0.0.1", 0), type(name, (_Service,), {"name": name})) for name in SERVICES}
    for service in services.values():
        threading.Thread(target=service.serve_forever, daemon=True).start()
    chosen = ports.choose(["gateway", "admin"], {}, ())
    text = json.dumps(_adapted())
    for name, service in services.items():
        text = text.replace(f'"{name}:8000"', f'"127.0.0.1:{service.server_port}"')
    text = text.replace('":8443"', f'"127.0.0.1:{chosen["gateway"]}"').replace("127.0.0.1:2019", f"127.0.0.1:{chosen['admin']}")
    (folder / "caddy.json").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [CADDY, "run", "--config", str(folder / "caddy.json")],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            stderr=log,
        )
    root = folder / ROOT
    try:
        ready = waiting.until(lambda: root.exists() and ports.listens(chosen["gateway"]), 30)
        assert ready, (folder / "log").read_text()
        url = f"https://localhost:{chosen['gateway']}"
        with httpx.Client(base_url=url, verify=_trusting(root), trust_env=False, timeout=30) as client:
            # it listens before it has made itself a certificate
            assert waiting.until(lambda: _shakes_hands(client), 30), (folder / "log").read_text()
            yield client
    finally:
        process.terminate()
        process.wait(30)
        for service in services.values():
            service.shutdown()
            service.server_close()


def _trusting(root: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(root))


def _adapted() -> Any:
    answer = subprocess.run(
        [CADDY, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"], check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout)


def test_the_configuration_is_valid_and_formatted_for_the_version_that_is_shipped() -> None:
    validated = subprocess.run([CADDY, "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"], capture_output=True)
    formatted = subprocess.run([CADDY, "fmt", str(CADDYFILE)], capture_output=True, text=True)
    version = subprocess.run([CADDY, "version"], capture_output=True, text=True).stdout.split()[0]
    image = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]["gateway"]["image"]

    assert validated.returncode == 0, validated.stderr
    assert formatted.stdout == CADDYFILE.read_text()
    assert image == f"caddy:{version.removeprefix('v')}-alpine"


@pytest.mark.parametrize(("service", "path"), CALLED)
def test_a_route_leads_to_the_service_that_has_it(gateway: httpx.Client, service: str, path: str) -> None:
    assert gateway.get(f"{path}?page=1").json()[:2] == [service, f"{path}?page=1"]


def _shakes_hands(client: httpx.Client) -> bool:
    try:
        client.get("/")
    except httpx.ConnectError:
        return False
    return True


@pytest.mark.parametrize("service", SERVICES)
def test_what_each_service_has_is_behind_its_name(gateway: httpx.Client, service: str) -> None:
    for path in ("/api/dead-letters", "/api/dead-letters/groups", "/api/dead-letters/7", "/asyncapi.json", "/openapi.json"):
        assert gateway.get(f"/{service}{path}").json()[:2] == [service, path]


@pytest.mark.parametrize("path", ["/", "/metrics", "/health/ready", "/orders/metrics", "/api/dead-letters", "/api/ordersX"])
def test_nothing_else_is_there(gateway: httpx.Client, path: str) -> None:
    assert gateway.get(path).status_code == 404


def test_who_called_is_who_connected_whatever_the_caller_says(gateway: httpx.Client) -> None:
    answer = gateway.get("/api/orders", headers={"X-Forwarded-For": "203.0.113.7"})

    assert answer.json()[2] == "127.0.0.1"


def test_a_body_that_no_service_takes_goes_no_further(gateway: httpx.Client, folder: Path) -> None:
    with httpx.Client(base_url=gateway.base_url, verify=_trusting(folder / ROOT), trust_env=False, timeout=30) as other:
        try:
            status = other.post("/api/events", content=b"x" * 3_000_000).status_code
        except httpx.TransportError:  # it hangs up while the rest is still being sent
            status = 413

    assert status == 413
    assert gateway.post("/api/events", content=b"x" * 1_000_000).status_code == 200


def test_the_ingress_leads_where_the_gateway_leads() -> None:
    manifests = yaml.safe_load_all(render(CHECKOUT / "deploy" / "k8s" / "overlays" / "prod"))
    (ingress,) = [each for each in manifests if each["kind"] == "Ingress"]
    ((rules, host),) = [(rule["http"]["paths"], rule["host"]) for rule in ingress["spec"]["rules"]]

    def behind(path: str) -> set[str]:
        """A prefix is one of whole parts of a path; the longest one counts."""
        found = [
            rule
            for rule in rules
            if path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(f"{rule['path']}/"))
        ]
        longest = max((len(rule["path"]) for rule in found), default=0)
        return {rule["backend"]["service"]["name"] for rule in found if len(rule["path"]) == longest}

    assert {path: behind(path) for _, path in CALLED} == {path: {f"orderbus-{service}"} for service, path in CALLED}
    assert not set().union(*map(behind, OWN))
    assert ingress["spec"]["tls"][0]["hosts"] == [host]
