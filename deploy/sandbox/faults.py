"""Faults that an operator switches on for all calls of a partner."""

import asyncio
import random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Partner = Literal["stripe", "dhl", "twilio"]


class Fault(BaseModel):
    """Every call of the partner waits `latency_ms`, and this share of them then fails before anything happens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partner: Partner
    latency_ms: Annotated[int, Field(ge=0, le=600_000)] = 0
    error_rate: Annotated[float, Field(ge=0, le=1)] = 0.0


class Faults:
    """The faults now switched on, at most one a partner."""

    def __init__(self) -> None:
        self._by_partner: dict[Partner, Fault] = {}

    def switch_on(self, fault: Fault) -> None:
        """Replaces the partner's earlier fault."""
        self._by_partner[fault.partner] = fault

    def clear(self, partner: Partner | None = None) -> None:
        """One partner's, or all."""
        if partner is None:
            self._by_partner.clear()
        else:
            self._by_partner.pop(partner, None)

    def all(self) -> list[Fault]:
        return list(self._by_partner.values())

    async def strikes(self, partner: Partner) -> bool:
        """Wait as the partner's fault says, then tell whether this call is to fail."""
        fault = self._by_partner.get(partner)
        if fault is None:
            return False
        await asyncio.sleep(fault.latency_ms / 1000)
        return random.random() < fault.error_rate
