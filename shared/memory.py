"""Memory: cycles are looked for rarely, and what a flood has left behind is given back."""

import ctypes
import gc

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's. Where there is none, what is freed goes back by itself, or nothing can be done about it."""


def collect_rarely() -> None:
    """A batch makes tens of thousands of objects that are gone with it, and no cycles: looking for some after every few
    hundred costs more than it finds. What has been loaded stays anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def give_back() -> int:
    """The bodies of twenty thousand events that had waited for the broker lie below something that is still in use: glibc
    would keep their pages for the next flood. A quarter of a millisecond where there is nothing to give."""
    if _trim is not None:
        _trim(0)
    return 0
