"""What stands behind Grafana is told where the others are: by docker-compose.yml, by its own file, and by provisioning."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack import packages
from deploy.stack.state import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
CONTAINERS: dict[str, dict[str, Any]] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
COLLECTORS = ("collector", "logs")

PORTS = {
    "collector": {4317, 4318},
    "tempo": {3200, 4317},
    "loki": {3100},
    "prometheus": {9090},
    "alertmanager": {9093},
}
"""Where each listens, by its own file or by its own default."""


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _addresses(text: str) -> set[tuple[str, int]]:
    """The containers that a file names, with ports."""
    found = re.findall(rf"\b({'|'.join(CONTAINERS)}):(\d{{4,5}})\b", text)
    return {(name, int(port)) for name, port in found}


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collectors_pipelines_are_made_of_what_is_configured(name: str) -> None:
    read = _read(DEPLOY / "otel" / f"{name}.yaml")

    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in read["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert used == {kind: set(read.get(kind, {})) for kind in used}
    assert set(read["service"].get("extensions", [])) == set(read.get("extensions", {}))


def test_every_address_in_a_configuration_is_where_somebody_listens() -> None:
    files = [
        *(DEPLOY / "otel").glob("*.yaml"),
        DEPLOY / "tempo" / "tempo.yaml",
        DEPLOY / "grafana" / "provisioning" / "datasources" / "orderbus.yaml",
    ]
    named = set().union(*(_addresses(file.read_text()) for file in files))

    assert {name for name, _ in named} == {"collector", "tempo", "loki", "prometheus", "alertmanager"}
    assert {(name, port) for name, port in named if port not in PORTS[name]} == set()
    assert _read(DEPLOY / "tempo" / "tempo.yaml")["server"]["http_listen_port"] in PORTS["tempo"]
    assert _read(DEPLOY / "loki" / "loki.yaml")["server"]["http_listen_port"] in PORTS["loki"]


def test_what_a_program_keeps_it_keeps_on_its_volume() -> None:
    kept = {"tempo": "/var/tempo", "loki": "/loki"}

    for name, folder in kept.items():
        text = (DEPLOY / name / f"{name}.yaml").read_text()
        paths = re.findall(r"(?:path|path_prefix|_directory|directory): (/[\w/]+)", text)
        assert paths
        assert all(path.startswith(folder) for path in paths)
        assert f"{name}:{folder}" in CONTAINERS[name]["volumes"]


def test_figures_traces_and_logs_lead_to_each_other() -> None:
    sources = {each["uid"]: each for each in _read(DEPLOY / "grafana/provisioning/datasources/orderbus.yaml")["datasources"]}
    prometheus, tempo, loki = (sources[uid]["jsonData"] for uid in ("prometheus", "tempo", "loki"))

    assert prometheus["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "tempo"}]
    assert (tempo["tracesToLogsV2"]["datasourceUid"], tempo["tracesToMetrics"]["datasourceUid"]) == ("loki", "prometheus")
    assert [(field["matcherRegex"], field["datasourceUid"]) for field in loki["derivedFields"]] == [("trace_id", "tempo")]
    assert "--enable-feature=exemplar-storage" in CONTAINERS["prometheus"]["command"]
    assert "--web.enable-remote-write-receiver" in CONTAINERS["prometheus"]["command"]  # Tempo writes there


def test_dashboards_are_looked_for_where_they_are_mounted() -> None:
    (provider,) = _read(DEPLOY / "grafana/provisioning/dashboards/orderbus.yaml")["providers"]

    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in CONTAINERS["grafana"]["volumes"]


def test_dockers_log_files_carry_what_their_reader_goes_by() -> None:
    reader = (DEPLOY / "otel" / "logs.yaml").read_text()

    for name, container in CONTAINERS.items():
        labels = container["logging"]["options"]["labels"].split(",")
        assert container["logging"]["driver"] == "json-file", name
        assert all(f'attributes.attrs["{label}"]' in reader for label in labels)


@pytest.fixture(scope="module")
def amtool() -> str:
    """Alertmanager's own reader of its configuration."""
    if shutil.which("amtool") is None and packages.can_install():
        packages.install_packages(["prometheus-alertmanager"], print)
    return shutil.which("amtool") or pytest.skip("NOT CHECKED: alertmanager.yml, for want of amtool")


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_an_alert_reaches_whoever_its_severity_is_for(amtool: str, severity: str) -> None:
    file = str(DEPLOY / "alertmanager" / "alertmanager.yml")
    read = subprocess.run([amtool, "check-config", file], capture_output=True, text=True)
    routed = subprocess.run(
        [amtool, "config", "routes", "test", f"--config.file={file}", f"severity={severity}"], capture_output=True, text=True
    )

    assert read.returncode == 0, read.stderr
    assert routed.stdout.strip() == severity
