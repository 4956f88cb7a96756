"""The rows of a file, in batches that are requests: what each format's reader gives, and what it can say of a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from podium.errors import InvalidInput, MalformedBody

# A batch's body is about this long at most, whatever its number of rows: the server takes it, and no other waits for it.
MOST_BYTES = 1 << 20
# A record beyond this is no row: a quote that never ends would swallow the whole file.
LONGEST_ROW_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Args:
        number: From 1, as people count the rows below a header.
        value: What the reader needs to make a request of it.
        fault: Why it cannot be sent; None for one that can.
    """

    number: int
    value: Any
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class RowMark:
    """A place between two rows: how many come before it, and where it is in the file (bytes, or rows)."""

    row: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that follow each other, and where they end."""

    rows: Sequence[Row]
    end: RowMark


class RowSource(Protocol):
    """A file that is read in batches.

    Attributes:
        content_type: Of its requests.
        size: What the last mark's offset will be.
    """

    content_type: str
    size: int

    def batches(self, start: RowMark, most_rows: int) -> Iterator[RowBatch]:
        """All rows from a mark on, of which this file's reader made it."""

    def alike(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The rows in groups that may share a request without one changing what the server makes of another."""

    def body(self, rows: Sequence[Row]) -> bytes:
        """One request for these rows, which are alike."""

    def shown(self, row: Row) -> Any:
        """The row as JSON, for the file of bad rows."""

    def kept(self, row: Row, names: Sequence[str]) -> dict[str, Any]:
        """The row's values of these columns."""


def read_line(file: IO[bytes]) -> bytes:
    """The next line with its end; empty at the file's.

    Raises:
        MalformedBody: It is longer than any row may be.
    """
    line = file.readline(LONGEST_ROW_BYTES)
    if len(line) == LONGEST_ROW_BYTES and not line.endswith(b"\n"):
        raise MalformedBody(f"A line is longer than {LONGEST_ROW_BYTES >> 20} MiB; is this a file of rows?")
    return line


def check_names(wanted: Sequence[str], there: Sequence[str]) -> None:
    """Refuse columns to keep that the file has not.

    Raises:
        InvalidInput: Names them, and those that there are.
    """
    if missing := [name for name in wanted if name not in there]:
        raise InvalidInput(f"The file has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, there))}.")
