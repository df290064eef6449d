"""Group commit."""

import asyncio
import itertools
from functools import partial
from types import SimpleNamespace
from typing import TypeVar

import pytest

from shared import batching
from shared.batching import Batcher

T = TypeVar("T")


async def note(batches: list[list[T]], items: list[T]) -> None:
    """Handles them, and lets others go on."""
    batches.append(items)
    await asyncio.sleep(0)


async def test_what_arrives_while_a_batch_runs_is_the_next_batch() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def handle(items: list[int]) -> None:
        batches.append(items)
        await gate.wait()

    batcher = Batcher(handle, limit=100)

    submitted = [asyncio.create_task(batcher.submit(partial(list, [n]))) for n in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*submitted)

    assert [len(batch) for batch in batches] in ([4], [1, 3])
    assert [n for batch in batches for n in batch] == [0, 1, 2, 3]


async def test_a_batch_takes_nothing_more_once_it_has_reached_its_limit() -> None:
    batches: list[list[int]] = []
    batcher = Batcher(partial(note, batches), limit=3)
    await asyncio.gather(*(batcher.submit(partial(list, items)) for items in ([1], [2, 2], [3, 3], [4] * 5, [5])))

    assert [len(batch) for batch in batches] == [3, 7, 1]


async def test_a_batch_takes_nothing_more_once_it_is_as_large_as_it_may_be() -> None:
    batches: list[list[int]] = []
    batcher = Batcher(partial(note, batches), limit=100, limit_bytes=3)
    await asyncio.gather(*(batcher.submit(partial(list, [size]), size=size) for size in (1, 1, 1, 7, 2, 2, 1)))

    assert batches == [[1, 1, 1], [7], [2, 2], [1]]


async def test_a_batch_that_is_large_does_not_end_with_what_is_patient() -> None:
    batches: list[list[str]] = []
    batcher = Batcher(partial(note, batches), limit=100, limit_bytes=2)
    await asyncio.gather(
        *(batcher.submit(partial(list, [name]), name == "patient", size=1) for name in ("one", "patient", "next", "after"))
    )

    assert batches == [["one", "patient", "next"], ["after"]]


async def test_everyone_in_a_failed_batch_hears_of_it_and_the_next_goes_on() -> None:
    async def handle(items: list[int]) -> None:
        if 13 in items:
            raise ValueError("13")

    batcher = Batcher(handle, limit=100)

    results = await asyncio.gather(
        batcher.submit(partial(list, [13])), batcher.submit(partial(list, [1])), return_exceptions=True
    )

    assert all(isinstance(result, ValueError) for result in results)
    await batcher.submit(partial(list, [1]))


async def test_what_waits_behind_a_failed_batch_is_handled() -> None:
    async def handle(items: list[int]) -> None:
        if 13 in items:
            raise ValueError("13")

    batcher = Batcher(handle, limit=1)

    async with asyncio.timeout(10):
        first, second = await asyncio.gather(
            batcher.submit(partial(list, [13])), batcher.submit(partial(list, [1])), return_exceptions=True
        )

    assert isinstance(first, ValueError)
    assert second is None


async def test_who_waits_no_longer_spoils_nothing_for_the_others_of_the_batch() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def handle(items: list[int]) -> None:
        batches.append(items)
        await gate.wait()

    batcher = Batcher(handle, limit=100)
    gone, stays = (asyncio.create_task(batcher.submit(partial(list, [n]))) for n in range(2))
    while not batches:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    gate.set()

    async with asyncio.timeout(10):
        await stays
        await batcher.submit(partial(list, [2]))

    assert batches == [[0, 1], [2]]


async def test_idle_waits_for_what_is_in_hand() -> None:
    done: list[int] = []

    async def handle(items: list[int]) -> None:
        await asyncio.sleep(0)
        done.extend(items)

    batcher = Batcher(handle, limit=1)
    submitted = asyncio.gather(*(batcher.submit(partial(list, [n])) for n in range(3)))
    await asyncio.sleep(0)

    await batcher.idle()

    assert done == [0, 1, 2]
    await submitted


async def test_what_waits_is_read_when_its_batch_is_made() -> None:
    read: list[int] = []
    gate = asyncio.Event()

    async def handle(items: list[int]) -> None:
        await gate.wait()

    def reading(n: int) -> list[int]:
        read.append(n)
        return [n]

    batcher = Batcher(handle, limit=1)
    submitted = asyncio.gather(*(batcher.submit(partial(reading, n)) for n in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert read == [0]
    gate.set()
    await submitted
    assert read == [0, 1, 2]


async def test_what_cannot_be_read_is_only_its_senders_trouble() -> None:
    batches: list[list[int]] = []

    async def handle(items: list[int]) -> None:
        batches.append(items)

    def failing() -> list[int]:
        raise ValueError("unreadable")

    batcher = Batcher(handle, limit=10)
    with pytest.raises(ValueError, match="unreadable"):
        await batcher.submit(failing)
    results = await asyncio.gather(batcher.submit(failing), batcher.submit(partial(list, [1])), return_exceptions=True)

    assert isinstance(results[0], ValueError)
    assert results[1] is None
    assert batches == [[1]]


@pytest.mark.parametrize(
    ("gathers", "apart", "batches"),
    [
        (True, 0.01, [1] * 7 + [3]),
        (True, 1.0, [1] * 10),
        (False, 0.01, [1] * 10),
    ],
)
async def test_only_what_comes_in_fast_gathers(
    monkeypatch: pytest.MonkeyPatch, gathers: bool, apart: float, batches: list[int]
) -> None:
    clock = itertools.count(0.0, apart)
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    sizes: list[int] = []

    async def handle(items: list[int]) -> None:
        sizes.append(len(items))

    batcher = Batcher(handle, limit=100, gathers=gathers)
    submitted = []
    for n in range(10):
        submitted.append(asyncio.create_task(batcher.submit(partial(list, [n]))))
        for _ in range(5):  # whoever does not gather has handled it by now
            await asyncio.sleep(0)
    await asyncio.gather(*submitted)

    assert sizes == batches


async def test_what_is_full_does_not_gather() -> None:
    sizes: list[int] = []

    async def handle(items: list[int]) -> None:
        sizes.append(len(items))

    batcher = Batcher(handle, limit=batching.FAST[0], gathers=True)
    submitted = [asyncio.create_task(batcher.submit(partial(list, [n]))) for n in range(batching.FAST[0])]
    for _ in range(5):
        await asyncio.sleep(0)

    assert sizes == [batching.FAST[0]]
    await asyncio.gather(*submitted)


async def test_what_is_patient_goes_with_the_next_that_is_not() -> None:
    batches: list[list[str]] = []

    async def handle(items: list[str]) -> None:
        batches.append(items)

    batcher = Batcher(handle, limit=100)
    placed = asyncio.create_task(batcher.submit(lambda: ["placed"], patient=True))
    for _ in range(5):
        await asyncio.sleep(0)
    assert batches == []

    await batcher.submit(lambda: ["reserved"])

    await placed
    assert batches == [["placed", "reserved"]]


async def test_what_is_patient_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 0.01)
    batches: list[list[str]] = []

    async def handle(items: list[str]) -> None:
        batches.append(items)

    batcher = Batcher(handle, limit=100)
    await batcher.submit(lambda: ["urgent"])

    await batcher.submit(lambda: ["placed"], patient=True)

    assert batches == [["urgent"], ["placed"]]


async def test_nothing_is_patient_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 3600)
    handled: list[str] = []

    async def handle(items: list[str]) -> None:
        handled.extend(items)

    batcher = Batcher(handle, limit=100)
    submitted = asyncio.create_task(batcher.submit(lambda: ["placed"], patient=True))
    await asyncio.sleep(0)

    await batcher.idle()

    assert handled == ["placed"]
    await submitted


async def test_what_is_left_of_a_full_batch_is_not_patient_if_any_of_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 3600)
    handled: list[str] = []

    async def handle(items: list[str]) -> None:
        handled.extend(items)

    batcher = Batcher(handle, limit=1)
    submitted = [
        asyncio.create_task(batcher.submit(partial(list, [name]), patient=name == "patient"))
        for name in ("urgent", "patient", "urgent too")
    ]

    await asyncio.gather(*submitted)

    assert handled == ["urgent", "patient", "urgent too"]


async def test_a_batch_does_not_end_with_what_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parcel that was made and the telling of it are said at once: they are handled at once, however full the batch is."""
    monkeypatch.setattr(batching, "PATIENCE", 3600)
    batches: list[list[str]] = []
    told: list[asyncio.Task[None]] = []

    async def handle(items: list[str]) -> None:
        batches.append(items)
        if len(batches) == 1:
            told.append(asyncio.create_task(batcher.submit(lambda: ["told 3"])))

    batcher = Batcher(handle, limit=2)
    submitted = [
        asyncio.create_task(batcher.submit(partial(list, [said]), patient=said.startswith("made")))
        for said in ("told 1", "made 2", "told 2", "made 3")
    ]

    await asyncio.gather(*submitted)

    assert batches == [["told 1", "made 2", "told 2"], ["made 3", "told 3"]]
    await asyncio.gather(*told)


async def test_clients_that_ask_again_when_they_are_answered_go_on_together() -> None:
    """Half of them come first: not half of them in each batch from then on."""
    sizes: list[int] = []

    async def handle(items: list[int]) -> None:
        sizes.append(len(items))
        await asyncio.sleep(0.005)

    batcher = Batcher(handle, limit=100, gathers=True)

    async def ask() -> None:
        for n in range(6):
            await batcher.submit(partial(list, [n]))
            await asyncio.sleep(0.001)  # the way there and back

    first = [asyncio.create_task(ask()) for _ in range(30)]
    await asyncio.sleep(0.002)
    await asyncio.gather(*first, *(ask() for _ in range(30)))

    assert max(sizes) == 60
    assert len(sizes) <= 10
