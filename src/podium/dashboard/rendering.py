"""Templates: everything that is shown is escaped, and whatever a template misses is an error."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from podium.dashboard import wording
from podium.dashboard.charts.sparks import meter
from podium.dashboard.names import as_part

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def environment() -> Environment:
    """Templates of this package, with the words of `wording` as filters."""
    # Not by the file's ending: every template is HTML.
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: Mapping[str, Callable[..., str]] = {
        name: getattr(wording, name)
        for name in (
            "count",
            "exact",
            "number",
            "score",
            "percent",
            "signed",
            "target",
            "seconds",
            "size",
            "digest",
            "counted",
            "moment",
        )
    }
    made.filters.update(words)
    made.filters.update({"since": since, "path": as_part})
    made.globals |= {"url": url_of, "meter": meter, "static_version": _static_version(), "DASH": wording.DASH}
    return made


def _static_version() -> str:
    """Part of the addresses of what is static, so that a browser asks again where it has changed."""
    parts = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))
    return hashlib.sha256(parts).hexdigest()[:12]


def url_of(path: str, query: Mapping[str, str] | None = None, **changes: object) -> str:
    """An address of this site: the query with some of it changed; what becomes None is left out."""
    asked = {**(query or {}), **{name.rstrip("_"): value for name, value in changes.items()}}
    written = urlencode({name: str(value) for name, value in asked.items() if value is not None})
    return f"{path}?{written}" if written else path


def since(then: float | None, now: float) -> Markup:
    """How long ago, with the time itself for whoever points at it."""
    if then is None:
        return escape(wording.DASH)
    text = wording.ago(then, now)
    exact = wording.moment(then)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(wording.stamp(then), escape(exact), text)
