"""What is begun is finished or undone."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from deploy.stack import processes
from deploy.stack.state import StackFolder


@contextmanager
def all_or_nothing(folder: StackFolder, stop: Callable[[StackFolder, set[str]], None]) -> Iterator[None]:
    """When the block fails or is interrupted, stop what it has started and leave what ran before it."""
    before = processes.roles(folder)
    try:
        with ended_like_interrupted():
            yield
    except BaseException:
        with uninterrupted():
            stop(folder, processes.roles(folder) - before)
        raise


@contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """A polite end, or a closed terminal, leaves no more behind than Ctrl-C does. What the caller has us ignore, as nohup does,
    stays ignored."""

    def interrupt(_: int, frame: FrameType | None) -> None:
        ctrl_c = signal.getsignal(signal.SIGINT)  # asyncio has one of its own, which ends what is under way in order
        if not callable(ctrl_c):
            raise KeyboardInterrupt
        ctrl_c(signal.SIGINT, frame)

    ending = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    with _handling(dict.fromkeys(ending, interrupt)):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """An impatient second Ctrl-C does not cut the cleaning short."""
    ignored = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)
    with _handling(ignored):
        yield


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Callable[..., None] | signal.Handlers]) -> Iterator[None]:
    if current_thread() is not main_thread():  # Python handles signals in the main thread only
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
