"""Numbers as people read them. None is a dash."""

from time import time


def short(value: float | None) -> str:
    """Return a number with three digits or so: 0.25, 12.3, 1,234."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_ms(seconds: float | None) -> str:
    """Return seconds as milliseconds, `0.25 ms`."""
    return "-" if seconds is None else f"{short(seconds * 1000)} ms"


def show_seconds(seconds: float | None) -> str:
    """Return an age in one unit: `0.2 s`, `12 min`, `3 h`, `5 d`; nothing for None."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def show_ago(moment: float) -> str:
    """Return how long ago a moment was, given in seconds since 1970."""
    return f"{show_seconds(max(0.0, time() - moment))} ago"


def show_bytes(count: int | None) -> str:
    """Return bytes in a unit of 1024: `12.5 MiB`."""
    if count is None:
        return "-"
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{short(size)} {unit}"
