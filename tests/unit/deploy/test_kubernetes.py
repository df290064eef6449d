"""deploy/k8s, rendered by kubectl: valid, confined, and telling each service what it needs."""

import base64
import copy
import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from pydantic import SecretStr
from typer.testing import CliRunner

from deploy.cli.__main__ import command_line
from deploy.services import SERVICES
from deploy.stack.state import CHECKOUT
from shared.bus.broker import dead_queue_name, queue_name
from tests.unit.deploy.cluster import (
    OVERLAYS,
    WORKLOADS,
    Manifest,
    Place,
    containers,
    may_connect,
    not_restricted,
    of_kind,
    pod_of,
    render_overlay,
)

VERSIONS = ("1.32", "1.37")
SECRETS = "/run/secrets/orderbus"

CUSTOM = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
"""Kinds whose schemas PyPI has; of the others the fields that they cannot do without are looked for by hand."""

REQUIRED = {
    "external-secrets.io/v1": ("spec.secretStoreRef.name", "spec.secretStoreRef.kind", "spec.dataFrom"),
    "postgresql.cnpg.io/v1": ("spec.instances", "spec.storage.size", "spec.bootstrap.initdb.database"),
    "rabbitmq.com/v1beta1": ("spec.replicas", "spec.persistence.storage"),
}

Rendered = dict[str, list[Manifest]]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return {overlay: render_overlay(overlay) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, rendered: Rendered) -> list[Manifest]:
    return rendered[str(request.param)]


def _named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [each for each in of_kind(manifests, kind) if re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_that_kubernetes_knows_is_valid(manifests: list[Manifest], version: str) -> None:
    known = [each for each in manifests if each["apiVersion"] not in {**CUSTOM, **REQUIRED}]

    for manifest in known:
        kubernetes_validate.validate(manifest, version, strict=True)
    assert {"Namespace", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"} <= {each["kind"] for each in known}


def test_a_wrong_field_would_be_found(manifests: list[Manifest]) -> None:
    deployment = dict(of_kind(manifests, "Deployment")[0])
    deployment["spec"] = deployment["spec"] | {"replica": 2}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_what_operators_act_on_is_as_they_define_it(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["apiVersion"] in CUSTOM:
            model: Any = getattr(importlib.import_module(CUSTOM[manifest["apiVersion"]]), manifest["kind"])
            read = model.model_validate(manifest)
            # a field that the schema has not is not in what was read
            assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == manifest
        for path in REQUIRED.get(manifest["apiVersion"], ()):
            value: Any = manifest
            for part in path.split("."):
                value = value[part]
            assert value


def test_every_pod_is_restricted(manifests: list[Manifest]) -> None:
    (namespace,) = of_kind(manifests, "Namespace")
    refused = {
        each["metadata"]["name"]: found for each in of_kind(manifests, *WORKLOADS) if (found := list(not_restricted(each)))
    }

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not refused


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "volume"),
        ({"securityContext": {}}, "runAsNonRoot"),
        ({"containers": [{"name": "bare"}]}, "allowPrivilegeEscalation"),
    ],
)
def test_a_pod_that_is_not_restricted_would_be_found(rendered: Rendered, wrong: Manifest, found: str) -> None:
    deployment = copy.deepcopy(_named(rendered["prod"], "Deployment", "orderbus-orders"))
    deployment["spec"]["template"]["spec"] |= wrong

    assert any(found in refused for refused in not_restricted(deployment))


def test_every_pod_can_write_to_memory_only_and_asks_the_cluster_for_nothing(manifests: list[Manifest]) -> None:
    for workload in of_kind(manifests, *WORKLOADS):
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        for container in containers(workload):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_images_are_pinned_and_those_of_docker_compose(manifests: list[Manifest]) -> None:
    compose = {each["image"] for each in yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"].values()}
    images = {container["image"] for workload in of_kind(manifests, *WORKLOADS) for container in containers(workload)}

    assert {image.removeprefix("registry.example.com/") for image in images} <= compose


def test_whatever_stays_says_whether_it_is_well(manifests: list[Manifest]) -> None:
    for workload in of_kind(manifests, "Deployment", "StatefulSet"):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert container["readinessProbe"]
    for name in SERVICES:
        (service,) = _named(manifests, "Deployment", f"orderbus-{name}")["spec"]["template"]["spec"]["containers"]
        assert service["livenessProbe"]["httpGet"]["path"] == service["startupProbe"]["httpGet"]["path"] == "/health/live"
        assert service["readinessProbe"]["httpGet"]["path"] == "/health/ready"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_pods_a_name_and_a_budget_of_its_own(manifests: list[Manifest], name: str) -> None:
    full = f"orderbus-{name}"
    deployment, service, budget = (_named(manifests, kind, full) for kind in ("Deployment", "Service", "PodDisruptionBudget"))
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert labels["app.kubernetes.io/component"] == name
    assert service["spec"]["selector"].items() <= labels.items()
    assert (
        service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == budget["spec"]["selector"]["matchLabels"]
    )
    assert [container["args"] for container in containers(deployment)] == [["deploy.prepared", name], [f"services.{name}"]]


def test_what_pods_refer_to_is_there(rendered: Rendered) -> None:
    """In dev; elsewhere secrets come from ExternalSecrets of the same names."""
    for overlay, manifests in rendered.items():
        there = Counter((each["kind"], each["metadata"]["name"]) for each in manifests)
        there.update(("Secret", name) for kind, name in list(there) if kind == "ExternalSecret")
        assert max(there.values()) <= 2  # a name once, or a secret and what makes it
        for workload in of_kind(manifests, *WORKLOADS):
            pod = workload["spec"]["template"]["spec"]
            for volume in pod.get("volumes", []):
                if "secret" in volume:
                    assert there["Secret", volume["secret"]["secretName"]], (overlay, volume)
                if "persistentVolumeClaim" in volume:
                    assert there["PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]]
            for container in containers(workload):
                for source in container.get("envFrom", []):
                    for kind, field in (("Secret", "secretRef"), ("ConfigMap", "configMapRef")):
                        assert field not in source or there[kind, source[field]["name"]], (overlay, source)
                for variable in container.get("env", []):
                    if "valueFrom" in variable:
                        assert there["Secret", variable["valueFrom"]["secretKeyRef"]["name"]]
            assert pod.get("serviceAccountName", "orderbus") == "orderbus"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reads_its_settings_as_dev_gives_them(
    rendered: Rendered, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = _named(rendered["dev"], "Secret", f"orderbus-{name}")
    settings: Any = get_type_hints(SERVICES[name].settings)["return"]
    for key, value in _decoded(secret).items():
        (tmp_path / key).write_text(value)
    for key, value in _settings(rendered["dev"]).items():
        monkeypatch.setenv(key, value.replace(SECRETS, str(tmp_path)))

    read = settings()

    assert f"//orderbus_{name}:trial-{name}@postgres:" in read.postgres_url.get_secret_value()
    assert f"//orderbus_{name}:trial-{name}-bus@rabbitmq:" in read.rabbitmq_url.get_secret_value()


@pytest.mark.parametrize("name", SERVICES)
def test_every_secret_of_a_service_is_a_file_that_its_settings_name(rendered: Rendered, name: str) -> None:
    model: Any = get_type_hints(SERVICES[name].settings)["return"]
    secrets = {
        field for field, about in model.model_fields.items() if SecretStr in (about.annotation, *get_args(about.annotation))
    }
    files = {f"ORDERBUS_{field.upper()}_FILE": field.replace("_", "-") for field in secrets}

    for overlay, manifests in rendered.items():
        told = _settings(manifests)
        assert {key: told.get(key) for key in files} == {key: f"{SECRETS}/{file}" for key, file in files.items()}, overlay
    assert set(files.values()) <= _decoded(_named(rendered["dev"], "Secret", f"orderbus-{name}")).keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_setting_has_read_from_a_file_is_mounted_where_it_is_read(manifests: list[Manifest], name: str) -> None:
    waits, serves = containers(_named(manifests, "Deployment", f"orderbus-{name}"))
    paths = {key: value for key, value in _settings(manifests).items() if value.startswith("/")}
    read = {"prepared": {"ORDERBUS_POSTGRES_URL_FILE"}, "service": paths.keys()}

    for container in (waits, serves):
        mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
        for key in read[container["name"]]:
            assert any(Path(paths[key]).is_relative_to(folder) for folder in mounted), (container["name"], key)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_not_given_what_signs_tokens(rendered: Rendered, name: str) -> None:
    pod = _named(rendered["dev"], "Deployment", f"orderbus-{name}")["spec"]["template"]["spec"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]

    assert claims == ["jwks"]


def test_what_pages_have_one_select_by_a_label_is_what_they_mean(rendered: Rendered) -> None:
    """kubectl ends with 0 when a selector selects nothing."""
    found = re.findall(r"kubectl ([^`\n]*?)-l ([a-z0-9./-]+)=([a-z0-9.-]+)", _pages())
    deployments = of_kind(rendered["prod"], "Deployment")

    assert any("rollout" in kinds for kinds, _, _ in found)
    for kinds, key, value in found:
        parts = [each if "deployment" in kinds else each["spec"]["template"] for each in deployments]
        selected = [
            each["metadata"]["name"]
            for each, part in zip(deployments, parts, strict=True)
            if part["metadata"].get("labels", {}).get(key) == value
        ]
        meant = SERVICES if key == "app.kubernetes.io/name" else [value]
        assert sorted(selected) == sorted(f"orderbus-{each}" for each in meant), (kinds, key, value)


def test_deployments_that_pages_name_are_there(rendered: Rendered) -> None:
    named = re.findall(r"kubectl ([^`\n]*?)deploy/([a-z-]+)(?![a-z0-9/-])", _pages())

    assert named
    assert {name for _, name in named} <= {each["metadata"]["name"] for each in of_kind(rendered["prod"], "Deployment")}
    assert all("-n orderbus" in how for how, _ in named)


def test_every_setting_is_one_that_there_is(manifests: list[Manifest]) -> None:
    known = {
        f"ORDERBUS_{field.upper()}"
        for each in SERVICES.values()
        for field in get_type_hints(each.settings)["return"].model_fields
    }
    told = {key.removesuffix("_FILE") for key in _settings(manifests)} - {"FORWARDED_ALLOW_IPS"}

    assert told <= known


def test_dev_prepares_with_the_passwords_that_its_services_have(rendered: Rendered) -> None:
    prepare = _decoded(_named(rendered["dev"], "Secret", "orderbus-prepare"))

    for name in SERVICES:
        own = _decoded(_named(rendered["dev"], "Secret", f"orderbus-{name}"))
        assert f":{prepare[f'ORDERBUS_{name.upper()}_DB_PASSWORD']}@" in own["postgres-url"]
        assert f":{prepare[f'ORDERBUS_{name.upper()}_BUS_PASSWORD']}@" in own["rabbitmq-url"]
    assert {"ORDERBUS_POSTGRES_URL", "ORDERBUS_RABBITMQ_URL", "ORDERBUS_RABBITMQ_MANAGEMENT_URL"} <= prepare.keys()


@pytest.mark.parametrize("overlay", ["prod", "operators"])
@pytest.mark.parametrize("name", SERVICES)
def test_processes_are_added_by_what_is_in_a_services_queues_and_in_its_hands(
    rendered: Rendered, overlay: str, name: str
) -> None:
    scaled = _named(rendered[overlay], "ScaledObject", f"orderbus-{name}")["spec"]
    (trigger,) = scaled["triggers"]
    queues = {queue_name(each, type) for each in SERVICES for type in SERVICES[each].handlers}
    queues |= {dead_queue_name(each) for each in SERVICES}

    assert scaled["scaleTargetRef"]["name"] == f"orderbus-{name}"
    assert (trigger["metadata"]["protocol"], trigger["metadata"]["excludeUnacknowledged"]) == ("http", "false")
    assert {queue for queue in queues if re.search(trigger["metadata"]["queueName"], queue)} == {
        queue for queue in queues if queue.split(".")[0] == name
    }
    assert _named(rendered[overlay], "TriggerAuthentication", trigger["authenticationRef"]["name"])
    assert "replicas" not in _named(rendered[overlay], "Deployment", f"orderbus-{name}")["spec"]


def test_pods_speak_to_those_they_need_and_to_nobody_else(rendered: Rendered) -> None:
    dev = rendered["dev"]
    policies = of_kind(dev, "NetworkPolicy")
    pods = {each["metadata"]["name"]: pod_of(each) for each in of_kind(dev, *WORKLOADS)}
    ports = {"postgres": 5432, "rabbitmq": 5672, "redis": 6379, "sandbox": 8000} | {f"orderbus-{each}": 8000 for each in SERVICES}

    allowed = {(a, b) for a in pods for b in ports if a != b and may_connect(policies, pods[a], pods[b], ports[b])}

    servers, services = ("postgres", "rabbitmq"), [f"orderbus-{each}" for each in SERVICES]
    assert allowed == {
        *((each, server) for each in services for server in (*servers, "redis", "sandbox")),
        *(("orderbus-prepare", server) for server in servers),
        *(("sandbox", each) for each in services),
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_calls_from_another_namespace_is_the_ingress_or_prometheus(rendered: Rendered, overlay: str) -> None:
    policies = of_kind(rendered[overlay], "NetworkPolicy")
    orders = pod_of(_named(rendered[overlay], "Deployment", "orderbus-orders"))

    callers = {
        each
        for each in ("ingress-nginx", "monitoring", "default", "keda")
        if may_connect(policies, Place({}, each), orders, 8000)
    }

    assert callers == {"ingress-nginx", "monitoring"}


@pytest.mark.parametrize("overlay", ["prod", "operators"])
def test_a_certificate_can_be_asked_for_by_http(rendered: Rendered, overlay: str) -> None:
    policies = of_kind(rendered[overlay], "NetworkPolicy")
    solver = Place({"acme.cert-manager.io/http01-solver": "true"})

    assert may_connect(policies, Place({}, "ingress-nginx"), solver, 8089)
    assert not may_connect(policies, Place({}, "default"), solver, 8089)


@pytest.mark.parametrize("overlay", ["prod", "operators"])
def test_the_audit_is_told_its_database_and_is_a_command_that_there_is(rendered: Rendered, overlay: str) -> None:
    (container,) = containers(_named(rendered[overlay], "Deployment", "orderbus-audit"))

    assert [variable["name"] for variable in container["env"]] == ["ORDERBUS_POSTGRES_URL"]
    assert container["args"] == yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]["audit"]["command"]
    assert CliRunner().invoke(command_line(), [*container["args"][1:2], "--help", *container["args"][2:]]).exit_code == 0


def test_the_servers_of_operators_are_reached_by_those_who_need_them(rendered: Rendered) -> None:
    manifests = rendered["operators"]
    policies = of_kind(manifests, "NetworkPolicy")
    orders, redis = (pod_of(_named(manifests, "Deployment", name)) for name in ("orderbus-orders", "redis"))
    prepare = pod_of(_named(manifests, "Job", "orderbus-prepare"))
    postgres, rabbitmq = Place({"cnpg.io/cluster": "postgres"}), Place({"app.kubernetes.io/name": "rabbitmq"})

    assert all(may_connect(policies, each, postgres, 5432) for each in (orders, prepare, postgres))
    assert all(may_connect(policies, each, rabbitmq, 5672) for each in (orders, prepare))
    assert may_connect(policies, prepare, rabbitmq, 15672)
    assert may_connect(policies, Place({}, "keda"), rabbitmq, 15672)
    assert may_connect(policies, orders, redis, 6379)
    assert not may_connect(policies, orders, rabbitmq, 15672)
    assert not may_connect(policies, redis, postgres, 5432)
    audit = pod_of(_named(manifests, "Deployment", "orderbus-audit"))
    assert may_connect(policies, audit, postgres, 5432)
    assert not any(
        may_connect(policies, audit, server, port) for server, port in ((rabbitmq, 5672), (redis, 6379), (orders, 8000))
    )
    assert not may_connect(policies, Place({}, "default"), postgres, 5432)


def _pages() -> str:
    pages = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
    return "\n".join(page.read_text() for page in pages)


def _settings(manifests: list[Manifest]) -> dict[str, str]:
    found: dict[str, str] = _named(manifests, "ConfigMap", "orderbus-settings")["data"]
    return found


def _decoded(secret: Manifest) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
