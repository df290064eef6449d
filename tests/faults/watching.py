"""Who sees alerts: Prometheus, which says what fires, and the pager that Alertmanager tells of it."""

import asyncio
import json
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.stack import observability, ports, processes
from deploy.stack.state import StackFolder, write_private
from tests.faults.hastening import hastened

SLOWLY = 60.0
"""How fast time goes for what is judged over three days: these are over in 72 minutes, and six hours in six."""

LOOKS = 0.5
"""Seconds between two looks at what fires."""

PACE = "pace"
"""The label by which the pager tells what the hastened Prometheus says."""


@cache
def shipped() -> dict[str, str]:
    """Every alert of the shipped rules, with its expression."""
    return {
        rule["alert"]: rule["expr"]
        for path in sorted((observability.SHIPPED / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def is_slow(alert: str) -> bool:
    """It is judged over three days."""
    return "_3d" in shipped()[alert]


class Pager:
    """A webhook receiver: what it was told last of each alert."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Any]] = {}
        self.url = ""

    def take(self, notification: Mapping[str, Any]) -> None:
        """One of Alertmanager's notifications."""
        for alert in notification["alerts"]:
            self._told[alert["fingerprint"]] = alert

    def fires(self, pace: str | None) -> set[str]:
        """The alerts that it was told of, and not yet that they are over."""
        return {
            alert["labels"]["alertname"]
            for alert in list(self._told.values())
            if alert["status"] == "firing" and alert["labels"].get(PACE) == pace
        }


@contextmanager
def a_pager() -> Iterator[Pager]:
    """It listens in the block."""
    pager = Pager()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pager.take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    pager.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield pager
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(slots=True)
class Watch:
    """One Prometheus, and what the pager was told of it."""

    client: httpx.AsyncClient
    pager: Pager
    pace: str | None = None
    firing: set[str] = field(default_factory=set)
    """At Prometheus, when it was asked last."""

    def fires(self, alert: str) -> bool:
        """Prometheus says so, and the pager knows."""
        return alert in self.firing and alert in self.pager.fires(self.pace)

    def is_quiet(self, alert: str) -> bool:
        """Prometheus does not say so, and the pager has been told that it is over if it ever was told of it."""
        return alert not in self.firing and alert not in self.pager.fires(self.pace)

    async def ask(self, query: str) -> list[float]:
        """What Prometheus answers, without the labels."""
        answer = (await self.client.get("/api/v1/query", params={"query": query})).json()
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    async def look_on(self) -> None:
        """For as long as the alerts are watched."""
        while True:
            with suppress(httpx.TransportError):
                alerts = (await self.client.get("/api/v1/alerts")).json()["data"]["alerts"]
                self.firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
            await asyncio.sleep(LOOKS)


@dataclass(frozen=True, slots=True)
class Watches:
    """Prometheus as it is shipped, at the run's pace; and one for what takes days, at a pace of its own."""

    usual: Watch
    slow: Watch

    def of(self, alert: str) -> Watch:
        """Who has to see this alert."""
        return self.slow if is_slow(alert) else self.usual


@asynccontextmanager
async def a_watch(folder: StackFolder, addresses: Mapping[str, Any], pace: float) -> AsyncIterator[Watches]:
    """The stack's Prometheus and Alertmanager, with a pager for whom nobody else would be told."""
    with a_pager() as pager:
        await _tell(pager, folder, addresses, pace)
        _hasten(folder.room("prometheus"), pace)
        os.kill(addresses["prometheus"]["pid"], signal.SIGHUP)
        slow_url = _start_slow_one(folder, addresses["prometheus"]["pid"], max(SLOWLY, pace))
        async with (
            httpx.AsyncClient(base_url=addresses["prometheus"]["url"], trust_env=False, timeout=10) as usual,
            httpx.AsyncClient(base_url=slow_url, trust_env=False, timeout=10) as slow,
        ):
            watches = Watches(Watch(usual, pager), Watch(slow, pager, "slow"))
            looking = [asyncio.create_task(watch.look_on()) for watch in (watches.usual, watches.slow)]
            try:
                yield watches
            finally:
                for task in looking:
                    task.cancel()
                await asyncio.gather(*looking, return_exceptions=True)


async def _tell(pager: Pager, folder: StackFolder, addresses: Mapping[str, Any], pace: float) -> None:
    """Give each receiver of the shipped configuration our webhook; returns when Alertmanager has read it. Each alert is to be
    heard by itself, also one that another makes superfluous."""
    path = folder.room("alertmanager") / observability.TOLD.name
    told = yaml.safe_load(hastened(path.read_text(), pace))
    del told["inhibit_rules"]
    for receiver in told["receivers"]:
        receiver["webhook_configs"] = [{"url": pager.url, "send_resolved": True}]
    write_private(path, yaml.safe_dump(told))
    os.kill(addresses["alertmanager"]["pid"], signal.SIGHUP)
    async with httpx.AsyncClient(base_url=addresses["alertmanager"]["url"], trust_env=False) as client, asyncio.timeout(30):
        while "webhook_configs" not in (await client.get("/api/v2/status")).json()["config"]["original"]:
            await asyncio.sleep(0.1)


def _hasten(home: Path, pace: float) -> None:
    for path in (home / "prometheus.yml", *home.glob("rules/*.yml")):
        write_private(path, hastened(path.read_text(), pace))


def _start_slow_one(folder: StackFolder, pid: int, pace: float) -> str:
    """A second Prometheus that scrapes the same and knows the objectives alone; gives its address."""
    role = "prometheus-slow"
    home, slow = folder.room("prometheus"), folder.room(role)
    shutil.copytree(home / "targets", slow / "targets", dirs_exist_ok=True)
    for path in (observability.SHIPPED / "prometheus.yml", observability.SHIPPED / "rules" / "slo.yml"):
        write_private(slow / path.relative_to(observability.SHIPPED), hastened(path.read_text(), pace))
    configuration = yaml.safe_load((slow / "prometheus.yml").read_text())
    configuration["global"]["external_labels"] = {PACE: "slow"}
    judged = "|".join(filter(is_slow, shipped()))
    # in one group with the usual ones, these would have the pager wait for an interval of the group
    configuration["alerting"]["alert_relabel_configs"] = [{"source_labels": ["alertname"], "regex": judged, "action": "keep"}]
    write_private(slow / "prometheus.yml", yaml.safe_dump(configuration))
    port = ports.settle(folder, [role], [])[role]
    command = Path(f"/proc/{pid}/cmdline").read_text().strip("\0").split("\0")
    command = [word.replace(str(home), str(slow)) for word in command if not word.startswith("--web.listen-address")]
    processes.spawn(
        folder,
        role,
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        environment=processes.plain_environment(),
        directory=slow,
    )
    return f"http://127.0.0.1:{port}"
