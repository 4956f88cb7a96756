"""SVG elements, escaped: the one place where a picture's text is written."""

import json
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape

_SERIES_COLOURS = 6


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """One element. Children that are no `Markup` are escaped, and so is every attribute.

    Args:
        name: Of the element.
        children: What stands in it.
        attributes: `class_` is class, `stroke_width` is stroke-width; one that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    # What is written here was escaped above.
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")  # noqa: S704


def joined(parts: Iterable[Markup]) -> Markup:
    """Elements beside each other."""
    return Markup("").join(parts)


def picture(
    width: float, height: float, label: str, *children: Markup, kind: str, data: Any = None, is_stretched: bool = False
) -> Markup:
    """A whole picture, which says to who cannot see it what it shows.

    Args:
        width: Of its coordinates; on the page it is as wide as its place.
        height: Likewise.
        label: What it shows, in a sentence.
        children: Elements.
        kind: Its class.
        is_stretched: Whether it takes any shape that its place has; for pictures without text.
        data: What the page's script reads values from, as JSON; none where nothing moves.
    """
    return element(
        "svg",
        element("title", label),
        *children,
        class_=f"chart {kind}",
        preserveAspectRatio="none" if is_stretched else None,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        tabindex="0" if data is not None else None,
        data_chart=None if data is None else json.dumps(data, separators=(",", ":"), allow_nan=False),
    )


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """`M0 0l1 1`: each point from the one before, to a tenth. Nobody sees less, and a page of long lines is to be small."""
    found, before = [], (0, 0)
    for number, point in enumerate(points):
        x, y = round(10 * point[0]), round(10 * point[1])
        found.append(f"{'l' if number else 'M'}{_tenths(x - before[0])} {_tenths(y - before[1])}")
        before = x, y
    return "".join(found)


def colour_of(number: int) -> str:
    """The class of the nth series."""
    return f"s{number % _SERIES_COLOURS}"


def _tenths(value: int) -> str:
    return f"{value / 10:.1f}".removesuffix(".0")


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
