"""What Prometheus scrapes has the labels by which the rules and the dashboards know it, on Kubernetes as in Compose."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.files import FOLDER as DASHBOARDS
from deploy.services import SERVICES
from deploy.stack.observability import SHIPPED
from deploy.stack.state import CHECKOUT
from tests.unit.deploy.cluster import Manifest, Place, may_connect, of_kind, render_overlay

CONTAINERS: dict[str, Manifest] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]

OF_THE_RABBITMQ_OPERATOR: Manifest = {
    "kind": "Service",
    "metadata": {"name": "rabbitmq", "labels": {"app.kubernetes.io/name": "rabbitmq", "app.kubernetes.io/component": "rabbitmq"}},
    "spec": {"selector": {"app.kubernetes.io/name": "rabbitmq"}, "ports": [{"name": "prometheus", "port": 15692}]},
}
"""What it makes beside a RabbitmqCluster of this name, as far as a monitor goes by it."""


@dataclass(frozen=True)
class Target:
    """What is scraped, and whose word it is taken for. `pod`: the labels of who answers there."""

    job: str
    path: str
    port: int
    service: str | None = None
    family: tuple[str, ...] = ()
    pod: Manifest = field(default_factory=dict, compare=False, hash=False)


def _in(overlay: str) -> set[Target]:
    """As the Prometheus Operator and a RabbitMQ operator would make them."""
    manifests = render_overlay(overlay)
    services = of_kind(manifests, "Service") + [OF_THE_RABBITMQ_OPERATOR] * bool(of_kind(manifests, "RabbitmqCluster"))
    return {
        target
        for monitor in of_kind(manifests, "ServiceMonitor")
        for service in services
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"].get("labels", {}).items()
        for target in _of(monitor, service)
    }


def _of(monitor: Manifest, service: Manifest) -> Iterator[Target]:
    name, ports = service["metadata"]["name"], {port["name"]: port["port"] for port in service["spec"]["ports"]}
    for endpoint in monitor["spec"]["endpoints"]:
        if endpoint["port"] not in ports:
            continue
        labels = {"job": name, "service": name}
        for key, value in service["metadata"]["labels"].items():
            labels[f"__meta_kubernetes_service_label_{re.sub('[^a-zA-Z0-9_]', '_', key)}"] = value
        for rule in endpoint.get("relabelings", []):
            value = ";".join(labels[source] for source in rule.get("sourceLabels", []))
            labels[rule["targetLabel"]] = rule.get("replacement", value)
        yield Target(
            labels["job"],
            endpoint["path"],
            ports[endpoint["port"]],
            labels["service"] if labels["service"] in SERVICES else None,
            tuple(endpoint.get("params", {}).get("family", ())),
            service["spec"]["selector"],
        )


def _in_compose() -> set[Target]:
    """By the shipped configuration and its targets."""
    found = set()
    for job in yaml.safe_load((SHIPPED / "prometheus.yml").read_text())["scrape_configs"]:
        for group in _targets(SHIPPED / job["file_sd_configs"][0]["files"][0]):
            for address in group["targets"]:
                family = tuple(job.get("params", {}).get("family", ()))
                path, port = job.get("metrics_path", "/metrics"), int(address.partition(":")[2])
                found.add(Target(job["job_name"], path, port, group.get("labels", {}).get("service"), family))
    return found


def _targets(path: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = yaml.safe_load(path.read_text())
    return read


def _of_jobs(targets: set[Target], *jobs: str) -> set[Target]:
    return {target for target in targets if target.job in jobs}


@pytest.mark.parametrize("overlay", ["prod", "operators"])
def test_services_and_the_audit_are_scraped_as_they_are_in_compose(overlay: str) -> None:
    scraped = _of_jobs(_in(overlay), "orderbus", "audit")

    assert scraped == _of_jobs(_in_compose(), "orderbus", "audit")
    assert {target.service for target in scraped if target.job == "orderbus"} == set(SERVICES)


def test_rabbitmq_beside_them_is_scraped_as_it_is_in_compose() -> None:
    jobs = ("rabbitmq", "rabbitmq-queues")

    assert _of_jobs(_in("operators"), *jobs) == _of_jobs(_in_compose(), *jobs) != set()


def test_every_job_that_a_rule_or_a_panel_names_is_scraped() -> None:
    files = [*(SHIPPED / "rules").glob("*.yml"), *DASHBOARDS.glob("*.json")]
    named = {job for file in files for job in re.findall(r'job=\\?"([^"\\]+)', file.read_text())}

    assert named
    assert named <= {target.job for target in _in("operators")}


def test_every_service_that_a_panel_names_is_one_that_is_scraped() -> None:
    queries = [
        target.get("expr", "")
        for file in DASHBOARDS.glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    named = {service for query in queries for service in re.findall(r'\bservice="(\w+)"', query)}

    assert named <= {target.service for target in _in("prod")}


@pytest.mark.parametrize("overlay", ["prod", "operators"])
def test_prometheus_is_let_through_to_whatever_it_scrapes(overlay: str) -> None:
    policies = of_kind(render_overlay(overlay), "NetworkPolicy")

    for target in _in(overlay):
        assert may_connect(policies, Place({}, "monitoring"), Place(target.pod), target.port), target
        assert not may_connect(policies, Place({}, "default"), Place(target.pod), target.port), target


def test_whatever_compose_scrapes_is_a_container() -> None:
    hosts = {
        address.partition(":")[0]
        for file in (SHIPPED / "targets").glob("*.yml")
        for each in _targets(file)
        for address in each["targets"]
    }

    assert hosts <= CONTAINERS.keys()
