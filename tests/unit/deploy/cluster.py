"""What a cluster would make of rendered manifests, as far as that can be said without one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from deploy.stack.state import CHECKOUT
from tests.kubectl import render

Manifest = dict[str, Any]

OVERLAYS = ("dev", "prod", "operators")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


@cache
def render_overlay(name: str) -> list[Manifest]:
    """What is applied with it."""
    return list(yaml.safe_load_all(render(CHECKOUT / "deploy" / "k8s" / "overlays" / name)))


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def containers(workload: Manifest) -> list[Manifest]:
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def not_restricted(workload: Manifest) -> Iterator[str]:
    """What the Pod Security Standard "restricted" (kubernetes.io/docs/concepts/security/pod-security-standards) refuses."""
    pod = workload["spec"]["template"]["spec"]
    whole = pod.get("securityContext", {})
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC", "hostUsers") if pod.get(name))
    yield from (f"sysctls {whole['sysctls']}" for _ in [0] if whole.get("sysctls"))
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"volume {volume}"
    for container in containers(workload):
        own = {**whole, **container.get("securityContext", {})}
        wrong = {
            "privileged": own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "capabilities.drop": own.get("capabilities", {}).get("drop") != ["ALL"],
            "capabilities.add": not set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": own.get("runAsNonRoot") is not True,
            "runAsUser": own.get("runAsUser") == 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "procMount": own.get("procMount", "Default") != "Default",
            "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        }
        yield from (f"{container['name']}: {name}" for name, is_wrong in wrong.items() if is_wrong)


@dataclass(frozen=True)
class Place:
    """A pod, by the labels of its namespace and its own."""

    labels: Mapping[str, str]
    namespace: str = "orderbus"


def pod_of(workload: Manifest) -> Place:
    return Place(workload["spec"]["template"]["metadata"]["labels"])


def may_connect(policies: Sequence[Manifest], source: Place, target: Place, port: int) -> bool:
    """By NetworkPolicies of the namespace orderbus, which isolate at both ends."""
    return _lets(policies, "Egress", source, target, port) and _lets(policies, "Ingress", target, source, port)


def _lets(policies: Sequence[Manifest], direction: str, own: Place, other: Place, port: int) -> bool:
    if own.namespace != "orderbus":
        return True
    applying = [
        p["spec"] for p in policies if direction in p["spec"]["policyTypes"] and _selects(p["spec"]["podSelector"], own.labels)
    ]
    if not applying:
        return True
    side = {"Egress": "to", "Ingress": "from"}[direction]
    rules = [rule for spec in applying for rule in spec.get(direction.lower(), [])]
    return any(_is_peer(rule.get(side), other) and any(p["port"] == port for p in rule["ports"]) for rule in rules)


def _is_peer(peers: Sequence[Manifest] | None, other: Place) -> bool:
    """An address is no pod: ipBlock is for what is outside."""
    if peers is None:
        return True
    for peer in peers:
        named = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": "orderbus"}})
        in_namespace = _selects(named, {"kubernetes.io/metadata.name": other.namespace})
        if "ipBlock" not in peer and in_namespace and _selects(peer.get("podSelector", {}), other.labels):
            return True
    return False


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )
