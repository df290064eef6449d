"""Partners that are late, forgetful, or gone in the worst moment."""

import asyncio
from collections.abc import Sequence

from tests.faults.proxy import Connection, LostAnswers
from tests.faults.purchases import Kind
from tests.faults.scene import Scene, fault

DHL = Kind("card, DHL", postcode="10119")
PARTNERS = ("stripe", "dhl", "twilio")

ASKED = (b"POST /stripe/", b"POST /dhl/shipments", b"POST /twilio/")


def _redirect(token: str) -> Kind:
    return Kind(f"redirect, {token}", channel="redirect", token=token)


@fault("partners", rate=4)
async def partner_timeout_after_charge(scene: Scene) -> int:
    """The money is taken, or the label made, and the answer does not come."""
    late = "tok_timeout_after_charge"
    return await _buy_each(
        scene, [Kind("card, no answer", token=late), _redirect(late), Kind("DHL, no answer", postcode="00408")]
    )


@fault("partners", rate=4)
async def partner_500_then_success(scene: Scene) -> int:
    """500 to the first call, then success; and half of all calls fail for a while."""
    once = "tok_server_error_once"
    struck = await _buy_each(
        scene, [Kind("card, 500 once", token=once), _redirect(once), Kind("DHL, 500 once", postcode="00500")]
    )
    for partner in PARTNERS:
        await scene.sandbox.post("/sandbox/faults", json={"partner": partner, "error_rate": 0.5})
    await scene.shoppers.acknowledged(scene.buy(DHL, int(scene.long(4, 30))))
    await scene.some_time(4, scene.long(3, 30))
    await scene.sandbox.delete("/sandbox/faults")
    return struck


@fault("partners", rate=4)
async def webhook_early(scene: Scene) -> int:
    """The webhook is there before the call that it tells of has been answered."""
    return await _buy_each(scene, [_redirect("tok_webhook_early")])


@fault("partners", rate=4)
async def webhook_twice(scene: Scene) -> int:
    """Each webhook comes twice."""
    return await _buy_each(scene, [_redirect("tok_webhook_twice")])


@fault("partners", rate=4)
async def webhook_never(scene: Scene) -> int:
    """The shopper has paid, and nobody tells."""
    return await _buy_each(scene, [_redirect("tok_webhook_never")])


@fault("partners", rate=4)
async def carrier_drops_connection(scene: Scene) -> int:
    """The label is made, the charge taken, the message sent; then the connection breaks before the answer."""
    taps: dict[bytes, list[LostAnswers]] = {needle: [] for needle in ASKED}
    for replica in (*scene.fleet.of("payments"), *scene.fleet.of("logistics")):
        needles = ASKED[:1] if replica.service == "payments" else ASKED[1:]
        lost = [LostAnswers(needle, int(scene.long(2, 10))) for needle in needles]
        replica.links["sandbox"].tap = _Several(lost)
        for needle, each in zip(needles, lost, strict=True):
            taps[needle].append(each)
    await scene.shoppers.acknowledged(scene.buy(DHL, int(scene.long(6, 30))))

    async def have_all_struck() -> bool:
        return all(any(tap.struck for tap in of_one) for of_one in taps.values())

    await scene.until(have_all_struck, 60, "not every partner was asked")
    return sum(tap.struck for of_one in taps.values() for tap in of_one)


@fault("partners", rate=2)
async def partner_slow_30s(scene: Scene) -> int:
    """Each call takes the partner thirty seconds, long after it was given up, and is carried out all the same."""
    seconds = scene.long(2.5, 30)
    for partner in PARTNERS:
        await scene.sandbox.post("/sandbox/faults", json={"partner": partner, "latency_ms": int(seconds * 1000)})
    purchases = scene.buy(DHL, 3)
    await scene.shoppers.acknowledged(purchases)
    await asyncio.sleep(2 * seconds)
    await scene.sandbox.delete("/sandbox/faults")
    await asyncio.sleep(seconds)  # what was asked meanwhile is still being done there
    return len(PARTNERS)


class _Several:
    """Several taps on one link, one after the other."""

    def __init__(self, taps: Sequence[LostAnswers]) -> None:
        self._taps = taps

    def ask(self, connection: Connection, data: bytes) -> bytes:
        """Strike, or let pass."""
        for tap in self._taps:
            data = tap.ask(connection, data)
        return data

    def answer(self, connection: Connection, data: bytes) -> bytes:
        """Untouched."""
        return data


async def _buy_each(scene: Scene, kinds: Sequence[Kind]) -> int:
    purchases = [purchase for kind in kinds for purchase in scene.buy(kind, int(scene.long(2, 10)))]
    await scene.shoppers.acknowledged(purchases)
    return len(purchases)
