"""Rows of planned requests that wait to be counted, as bytes one after the other.

The groups they came in are not kept: a group holds the whole frame that it was read from, and memory that many objects
take, one for each request, is memory that the next request finds cold. Bytes are appended to what is there already.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from podium.domain.inputs.conversions import NUMPY_TYPES
from podium.domain.inputs.plan import InputPlan
from podium.domain.signature import DataType
from podium.worker.keeping import MOST_ANSWER_BYTES, copied
from podium.worker.planned import Group

PLANNED_LIKENESS = -1

# Of arrays whose bytes are their values.
_PLAIN = frozenset("?biufcmMSU")


class Pile:
    """Batches that were answered, put together as they came.

    Args:
        groups: The first batch.
        rows: Its rows.
        answer: What the model answered to it; copied here.

    Attributes:
        rows: How many there are.
        block, texts: Their records, and their texts as JSON lists.
        likeness: As of what is put together later.
    """

    __slots__ = ("_answers", "_dtype", "_shape", "block", "rows", "texts")
    likeness = PLANNED_LIKENESS

    def __init__(self, groups: Sequence[Group], rows: int, answer: Any) -> None:
        self.rows = 0
        self.block = bytearray()
        self.texts: list[bytes] = []
        self._dtype: np.dtype[Any] | None = None
        self._shape: tuple[int, ...] = ()
        if _is_plain(answer, rows):
            self._dtype, self._shape = answer.dtype, answer.shape[1:]
            self._answers: Any = bytearray(answer.tobytes())
        else:
            self._answers = copied(answer)
        self._extend(groups, rows)

    def add(self, groups: Sequence[Group], rows: int, answer: Any) -> bool:
        """Take another batch; False where its answer is not like those that are here, and nothing was taken."""
        if self._dtype is None or type(answer) is not np.ndarray:  # numpy takes None for a type, float64
            return False
        if answer.dtype != self._dtype or answer.shape != (rows, *self._shape):
            return False
        self._answers += answer.tobytes()
        self._extend(groups, rows)
        return True

    def _extend(self, groups: Sequence[Group], rows: int) -> None:
        self.rows += rows
        for group in groups:
            self.block += group.block
            if group.texts:
                self.texts.append(group.texts)

    @property
    def answer(self) -> Any:
        """The answers to all rows. Nothing may be added after."""
        if self._dtype is None:
            return self._answers
        return np.frombuffer(self._answers, self._dtype).reshape(self.rows, *self._shape)


def _is_plain(answer: Any, rows: int) -> bool:
    """Whether an answer is an array of its rows' values and nothing else."""
    return (
        type(answer) is np.ndarray
        and answer.dtype.kind in _PLAIN
        and answer.ndim > 0
        and len(answer) == rows
        and answer.nbytes <= MOST_ANSWER_BYTES
    )


class RecordColumns:
    """The records and texts of an input plan as columns and tensors by name, where they lie.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: InputPlan) -> None:
        fields = [(position, plan.fields[position]) for position in plan.record if position not in plan.texts]
        is_columns = plan.kind == "columns"
        self._names = [field.name for _, field in fields]
        types = [NUMPY_TYPES[DataType(field.type)] if is_columns else np.dtype(field.type) for _, field in fields]
        parts = [(f"f{i}", each.newbyteorder("<"), fields[i][1].shape) for i, each in enumerate(types)]
        self._record = np.dtype(parts)
        self._texts = [str(plan.fields[position].name) for position in plan.texts]

    def of(self, rows: int, block: bytes | bytearray | memoryview, texts: Sequence[str]) -> dict[str | None, Any]:
        """The columns of so many rows."""
        found: dict[str | None, Any] = {}
        if self._names:
            records = np.frombuffer(block, self._record, rows)
            found = {name: records[f"f{i}"] for i, name in enumerate(self._names)}
        step = len(self._texts)
        return found | {name: texts[i::step] for i, name in enumerate(self._texts)}

    def of_piles(self, piles: Sequence[Pile]) -> dict[str | None, Any]:
        """The columns of all their rows. Nothing may be added to them after."""
        block = piles[0].block if len(piles) == 1 else b"".join([pile.block for pile in piles])
        texts = [text for pile in piles for listed in pile.texts for text in json.loads(listed)]
        return self.of(sum([pile.rows for pile in piles]), block, texts)
