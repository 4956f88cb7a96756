"""What a screen hands over: a template with what it shows, and its panels' rows for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.dashboard.ranges import TimeRange

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows behind a panel, as CSV and JSON give them: plain values, no texts for people.

    Args:
        id: Names it in a query string, and on the page.
        columns: Names that stay.
        rows: As many values each as there are columns.
    """

    id: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def to_csv(self) -> str:
        """Comma-separated, with a head. A text that a spreadsheet would run as a formula is quoted as its own text."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([_harmless(name) for name in self.columns])
        writer.writerows([[_harmless(value) for value in row] for row in self.rows])
        return out.getvalue()

    def to_json(self) -> str:
        """One object for each row."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return json.dumps({"panel": self.id, "rows": rows}, indent=1, allow_nan=False, default=str) + "\n"


@dataclass(frozen=True, slots=True)
class Page:
    """A screen, ready to be written.

    Args:
        template: Its name.
        title: Of the page.
        section: Which entry of the navigation is lit.
        content: What the template shows.
        tables: The rows behind its panels.
        has_range: Whether it shows a span of time that can be chosen.
    """

    template: str
    title: str
    section: str
    content: Mapping[str, Any]
    tables: Sequence[Table] = ()
    has_range: bool = False

    def table(self, identity: str) -> Table | None:
        """A panel's rows."""
        return next((table for table in self.tables if table.id == identity), None)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks a screen for.

    Args:
        path: Parts of the path by name.
        query: Of the query string, the last of each name.
        now: Seconds of the Unix epoch.
        span: The time that is shown.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    now: float
    span: TimeRange


def _harmless(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, list | dict) else value
    return f"'{value}" if value.startswith(_FORMULA) else value
