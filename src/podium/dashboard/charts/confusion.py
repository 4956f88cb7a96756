"""What was true beside what was said: rows of the picture are the truth, columns the answers."""

from collections.abc import Sequence

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, picture
from podium.dashboard.wording import count, percent

_CELL, _HIGH, _LEFT, _TOP, _RIGHT = 92.0, 46.0, 118.0, 40.0, 6.0
_LONGEST, _LONGEST_ABOVE = 16, 12


def confusion(names: Sequence[str], cells: Sequence[Sequence[float]], label: str) -> Markup:
    """The picture.

    Args:
        names: Of the classes, in the order of rows and columns.
        cells: Rows of what was true; how many were said to be which.
        label: What it shows, in words.
    """
    width, height = _LEFT + _CELL * len(names) + _RIGHT, _TOP + _HIGH * len(names) + 4.0
    drawn = [
        element("text", "said", class_="tick", x=_LEFT, y=11.0),
        element("text", "true", class_="tick", x=_LEFT - 9, y=_TOP - 8, text_anchor="end"),
    ]
    for number, name in enumerate(names):
        x, y = _LEFT + (number + 0.5) * _CELL, _TOP + (number + 0.5) * _HIGH + 4
        drawn.append(element("text", _short(name, _LONGEST_ABOVE), class_="class", x=x, y=_TOP - 8, text_anchor="middle"))
        drawn.append(element("text", _short(name, _LONGEST), class_="class", x=_LEFT - 9, y=y, text_anchor="end"))
        drawn += _row(number, names, cells[number])
    return picture(width, height, label, joined(drawn), kind=f"confusion of{len(names)}")


def _row(truth: int, names: Sequence[str], cells: Sequence[float]) -> list[Markup]:
    whole = sum(cells)
    found = []
    for said, rows in enumerate(cells):
        share = rows / whole if whole else 0.0
        x, y = _LEFT + said * _CELL, _TOP + truth * _HIGH
        tone = "right" if said == truth else "wrong"
        found.append(
            element(
                "g",
                element("title", f"{names[truth]} was said to be {names[said]}: {count(round(rows))}, {percent(share)}"),
                element(
                    "rect", class_=f"cell {tone}", x=x + 1.5, y=y + 1.5, width=_CELL - 3, height=_HIGH - 3, rx=5,
                    fill_opacity=0.06 + 0.82 * share,
                ),
                element(
                    "text", count(round(rows)), class_="many" if share > 0.55 else "few", x=x + _CELL / 2, y=y + 20,
                    text_anchor="middle",
                ),
                element(
                    "text", percent(share), class_="part many" if share > 0.55 else "part", x=x + _CELL / 2, y=y + 34,
                    text_anchor="middle",
                ),
            )
        )  # fmt: skip
    return found


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
