"""What a cheaper way of answering gets and promises: a batch as the input plan's records hold it, and a claim about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Inputs:
    """Which columns or elements a batch has, and where they stand in it.

    Args:
        names: Of the columns of a data frame; None where the model takes a matrix.
        dtypes: In the order of the signature; None for text.
        places: For each input: (part, column) for numbers, (-1, which text) for text.
    """

    names: tuple[str, ...] | None
    dtypes: tuple["np.dtype[Any] | None", ...]
    places: tuple[tuple[int, int], ...]

    @property
    def dtype(self) -> "np.dtype[Any] | None":
        """The one type of all inputs; None where there are several, or text."""
        first = self.dtypes[0]
        return first if all(each is not None and each == first for each in self.dtypes) else None


class Batch:
    """Rows by the input plan. Numbers are finite.

    Attributes:
        rows: How many.
        parts: A read-only table for each type, maybe neither aligned nor contiguous.
        texts: Row by row.
        texts_per_row: How many of `texts` make a row.
    """

    __slots__ = ("parts", "rows", "texts", "texts_per_row")

    def __init__(self, rows: int, parts: list[Any], texts: Sequence[str], texts_per_row: int) -> None:
        self.rows = rows
        self.parts = parts
        self.texts = texts
        self.texts_per_row = texts_per_row

    def text(self, which: int) -> Sequence[str]:
        """A column of text."""
        return self.texts[which :: self.texts_per_row]


class NotTakenError(Exception):
    """A shortcut leaves this batch to the model's own method."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A way of answering that should give, to the last bit, what the model's own method gives.

    Args:
        call: Answers a batch. It may raise whatever it likes on what it does not take; the model's own method answers then.
        what: A word for people: "its own trees".
        inner: What the answer is made of, for labels alone hide what differs: a name for people, this way's (from a batch),
            and that of the model's own code (from a data frame or an array).
        edges: For inputs by position, values beside which the answer may change: thresholds, categories.
    """

    call: Callable[[Batch], Any]
    what: str
    inner: tuple[tuple[str, Callable[[Batch], Any], Callable[[Any], Any]], ...] = ()
    edges: Mapping[int, Sequence[Any]] = field(default_factory=dict)
