"""Frozen records, with some of their fields changed."""

import dataclasses

from shared import records


@dataclasses.dataclass(frozen=True)
class Parcel:
    waybill: str
    carrier: str | None = None
    scans: tuple[str, ...] = ()


def test_a_changed_record_is_what_dataclasses_would_make_of_it() -> None:
    parcel = Parcel("W-1")

    changed = records.replace(parcel, carrier="dhl", scans=("transit",))

    assert changed == dataclasses.replace(parcel, carrier="dhl", scans=("transit",))
    assert hash(changed) == hash(Parcel("W-1", "dhl", ("transit",)))
    assert parcel == Parcel("W-1")
