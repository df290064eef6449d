"""The whole bench: the floor, the figures, the floor again, and whether everything adds up after each load."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from deploy.stack.state import CHECKOUT
from tests.load import judging, meter
from tests.load.figures import FIGURES, STORED, Bench
from tests.load.installation import Installation, an_installation
from tests.load.results import Findings
from tests.load.scale import Scale
from tests.load.showing import Show

FLOOR = "floor"


def chosen(only: Sequence[str], scale: Scale) -> list[str]:
    """Those named, or all that the scale has. Raises LookupError."""
    known = [name for name in FIGURES if name != "growth" or scale.growth]
    if unknown := [name for name in only if name not in (FLOOR, *known)]:
        raise LookupError(f"no such figure: {', '.join(unknown)}; there are: {', '.join((FLOOR, *known))}")
    return [name for name in known if not only or name in only]


def run(names: Sequence[str], scale: Scale, replicas: int, show: Show) -> Findings:
    """Measure these figures on an installation of the bench's own; on a second one what fills the store."""
    findings = Findings(replicas)
    filling = [name for name in names if name in STORED and scale.growth]
    others = [name for name in names if name not in filling]
    if others or not filling:
        with an_installation(show.say, replicas) as installation:
            asyncio.run(_measure(Bench(installation, scale, show), others, findings))
    if filling:
        with an_installation(show.say, replicas) as installation:
            asyncio.run(_measure(Bench(installation, scale, show), filling, findings))
    return findings


async def _measure(bench: Bench, names: Sequence[str], findings: Findings) -> None:
    is_first = not findings.floors
    if is_first:
        findings.memory_at_rest = meter.memory(bench.installation)
        at_rest = ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in findings.memory_at_rest.items())
        bench.show.say(f"memory at rest, MB: {at_rest}")
        findings.floors["before"] = await _floor(bench)
    if names:
        bench.show.begin("warming up")
        await bench.prepare()
    for name in names:
        bench.show.begin(name)
        figure = await FIGURES[name](bench)
        figure.complaints += await judging.judge(bench.installation.servers)
        findings.figures[name] = figure
        bench.show.say(findings.line(name))
    if is_first:
        findings.floors["after"] = await _floor(bench)


async def _floor(bench: Bench) -> dict[str, Any]:
    """The middle one of several."""
    bench.show.begin(FLOOR)
    runs = [await _floor_once(bench.installation, bench.scale.floor_orders) for _ in range(bench.scale.runs)]
    runs.sort(key=lambda run: float(run["orders_per_second"]))
    middle = runs[len(runs) // 2]
    bench.show.say(f"floor: {middle['orders_per_second']:,.0f} orders/s, {middle['cpu_ms_per_order']:.2f} ms of CPU an order")
    return middle | {"runs": [run["orders_per_second"] for run in runs]}


async def _floor_once(installation: Installation, orders: int) -> dict[str, Any]:
    urls = {
        "ORDERBUS_POSTGRES_URL": installation.servers.postgres_url,
        "ORDERBUS_RABBITMQ_URL": installation.servers.rabbitmq_url,
    }
    before = await meter.read(installation)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tests.load.floor", "--orders", str(orders)),
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env=os.environ | urls | {"PYTHONPATH": str(CHECKOUT)},
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # it ends its own processes then
            await process.wait()
    if process.returncode:
        raise RuntimeError("the floor could not be measured")
    after = await meter.read(installation)
    result: dict[str, Any] = json.loads(said)
    servers = {name: 1000 * (after.cpu[name] - before.cpu[name]) / orders for name in ("postgres", "rabbitmq")}
    cpu = servers | {"processes": 1000 * result.pop("cpu_seconds") / orders}
    return {
        **result,
        "cpu_ms_per_order": round(sum(cpu.values()), 3),
        "cpu_ms_per_order_of": {name: round(milliseconds, 3) for name, milliseconds in cpu.items()},
        "amqp_messages_per_order": round((after.published - before.published) / orders, 3),
    }
