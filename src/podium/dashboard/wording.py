"""Numbers, times and sizes as people read them. Pure; what nobody knows is a dash."""

from datetime import UTC, datetime

DASH = "\N{EN DASH}"
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_PREFIXES = ("", "k", "M", "G", "T")
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def count(value: float | None) -> str:
    """`987`, `12.3k`, `4.56M`: three digits."""
    if value is None:
        return DASH
    if abs(value) < 1000 and float(value).is_integer():
        return str(int(value))
    return _scaled(float(value), 1000.0, _PREFIXES)


def exact(value: float | None) -> str:
    """`1,234,567`."""
    return DASH if value is None else f"{value:,.0f}"


def number(value: float | None) -> str:
    """Any number, in at most four digits that matter."""
    if value is None:
        return DASH
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.2e}"


def signed(value: float | None) -> str:
    """`+0.031`: a difference, in three digits that matter."""
    if value is None:
        return DASH
    # A minus that is as wide as a plus.
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def score(value: float | None) -> str:
    """`0.235`: three places, as scores of drift are compared by eye."""
    return DASH if value is None else f"{value:.3f}"


def percent(ratio: float | None, places: int = 1) -> str:
    """`12.3 %`; what is more than nothing never reads as nothing, what is less than all never as all."""
    if ratio is None:
        return DASH
    least = 10.0**-places
    value = 100 * ratio
    if 0 < value < least:
        return f"<{least:g} %"
    if 100 - least < value < 100:
        return f">{100 - least:g} %"
    return f"{value:.{places}f} %" if value % 1 else f"{value:.0f} %"


def target(ratio: float) -> str:
    """`99.95 %`: a share that somebody chose, in as many digits as were said."""
    return f"{100 * ratio:.8g} %"


def seconds(value: float | None) -> str:
    """`870 µs`, `12.5 ms`, `1.4 s`, `3 min`, `2.5 h`, `12 d`."""
    if value is None:
        return DASH
    if value == 0:
        return "0 s"
    for limit, divisor, unit in (
        (1e-3, 1e-6, "µs"),
        (1.0, 1e-3, "ms"),
        (_MINUTE_S, 1.0, "s"),
        (_HOUR_S, _MINUTE_S, "min"),
        (_DAY_S, _HOUR_S, "h"),
    ):
        if abs(value) < limit:
            return f"{value / divisor:.3g} {unit}"
    return f"{value / _DAY_S:.3g} d" if value < 1000 * _DAY_S else f"{value / _DAY_S:,.0f} d"


def size(value: float | None) -> str:
    """`512 MiB`."""
    return DASH if value is None else _scaled(float(value), 1024.0, tuple(f" {unit}" for unit in _SIZES))


def ago(then: float | None, now: float) -> str:
    """`just now`, `4 min ago`, `in 2 h`; seconds of the Unix epoch."""
    if then is None:
        return DASH
    past = now - then
    if abs(past) < 1:
        return "just now"
    unit = next((unit for unit in (_DAY_S, _HOUR_S, _MINUTE_S) if abs(past) >= unit), 1.0)
    whole = seconds(round(abs(past) / unit) * unit)
    return f"{whole} ago" if past > 0 else f"in {whole}"


def moment(when: float | None) -> str:
    """`2026-03-01 12:04:09 UTC`."""
    return DASH if when is None else _utc(when).strftime("%Y-%m-%d %H:%M:%S UTC")


def stamp(when: float) -> str:
    """For the `datetime` of a `<time>`."""
    return _utc(when).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(text: str | None) -> str:
    """The beginning of a digest, enough to tell it from others."""
    return DASH if not text else text.removeprefix("sha256:")[:12]


def counted(value: int, noun: str) -> str:
    """`1 replica`, `2 replicas`, `1 entry`, `2 entries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{value:,} {noun if value == 1 else plural}"


def _utc(when: float) -> datetime:
    # A time that no calendar has (somebody's damaged file) is shown as the nearest that it has.
    return datetime.fromtimestamp(min(max(when, -62_135_596_800.0), 253_402_300_799.0), UTC)


def _scaled(value: float, base: float, units: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= base and step < len(units) - 1:
        value /= base
        step += 1
    text = f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
    return f"{text}{units[step]}"
