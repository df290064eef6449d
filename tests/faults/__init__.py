"""The fault suite: load on a whole stack, one fault after the other from outside, and a ledger of its own that must agree."""
