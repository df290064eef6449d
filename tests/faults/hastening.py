"""The shipped rules and configuration with time going faster: what takes minutes there is over in seconds."""

import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_WINDOW = re.compile(r"\[(\d+)([smhd])\]")
_SETTING = re.compile(r"\b(for|group_wait|\w*interval): (\d+)([smhd])")
_THRESHOLD = re.compile(r"\b(\d+) \* (60|3600)\b")


def hastened(text: str, pace: float) -> str:
    """Every duration of a rules file, or of Prometheus's or Alertmanager's configuration, divided by the pace. Nothing is
    done oftener than once a second. At a pace of 1 it is the shipped text, word for word."""
    if pace == 1:
        return text

    def shorter(number: str, unit: str, least: float = 0) -> str:
        return f"{max(least, int(number) * SECONDS[unit] / pace) * 1000:.0f}ms"

    text = _WINDOW.sub(lambda found: f"[{shorter(found[1], found[2], 1)}]", text)
    text = _SETTING.sub(lambda found: f"{found[1]}: {shorter(found[2], found[3], found[1].endswith('interval'))}", text)
    return _THRESHOLD.sub(lambda found: f"{int(found[1]) * int(found[2]) / pace:g}", text)
