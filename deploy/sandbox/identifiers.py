"""Ids in the partners' styles."""

import uuid


def new(prefix: str) -> str:
    """A fresh id such as `pi_3f0c…`: the prefix, then 24 hexadecimal digits."""
    return prefix + uuid.uuid4().hex[:24]


def new_sid(prefix: str) -> str:
    """A fresh Twilio SID such as `SM3f0c…`: the prefix, then 32 hexadecimal digits."""
    return prefix + uuid.uuid4().hex
