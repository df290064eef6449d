"""The dashboards are what the Python says, and each panel tells a person what it shows and when that is bad."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.grafana.files import FOLDER, files

DASHBOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that show something; not headings, nor text."""
    return (panel for panel in dashboard["panels"] if panel["type"] not in ("row", "text"))


PANELS = [pytest.param(panel, id=f"{name}: {panel['title']}") for name, each in DASHBOARDS.items() for panel in panels(each)]


def test_the_files_are_what_the_python_says() -> None:
    assert {path: path.read_text() for path in FOLDER.glob("*.json")} == files(), "run python -m deploy.grafana"


def test_there_are_the_five_of_an_operators_day() -> None:
    titles = [dashboard["title"] for dashboard in DASHBOARDS.values()]

    assert sorted(titles) == ["Business now", "Flow", "Order", "Reliability", "Runtime"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_leads_to_the_others_and_overlaps_nothing(name: str) -> None:
    dashboard = DASHBOARDS[name]
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert any(link["type"] == "dashboards" for link in dashboard["links"])
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_says_what_it_shows_from_where_and_from_when_on_it_is_bad(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["datasource"]["uid"] in ("prometheus", "tempo", "loki")
    assert panel["targets"]
    if panel["datasource"]["uid"] == "prometheus":
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_an_order_leads_to_its_trace_its_logs_and_the_operators_api() -> None:
    order = DASHBOARDS["orderbus-order"]
    sources = {panel["datasource"]["uid"] for panel in panels(order)}

    assert [variable["name"] for variable in order["templating"]["list"]] == ["order", "gateway"]
    assert {"tempo", "loki"} <= sources
    assert any("/api/orders/${order}/timeline" in link["url"] for link in order["links"])
